// A sealed update, as an aggregator checks it: the plaintext is encrypted under the right key and
// the commitment made to match, so that what stands behind them is reached. Input: the kind of
// round, then the plaintext. The same bytes are also read as a ciphertext.
#include "coordinator/rounds/aggregate.h"
#include "tests/fuzz/sealed_round.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_known<protocol::RoundKind>();

std::array<std::uint8_t, 32> part(ByteView plain, std::size_t at) {
  std::array<std::uint8_t, 32> out{};
  if (plain.size() >= at + out.size())
    std::copy_n(plain.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
  return out;
}
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto kind = static_cast<protocol::RoundKind>(input.byte());
  const ByteView plain = input.rest();
  const MemorySource raw(plain);
  const auto content_key = fuzz::sealed_content_key();
  FM_CHECK(!protocol::SealedUpdate::open(raw, content_key).ok(), "a forged ciphertext opens");
  if (!is_known(kind) || plain.size() > protocol::kSealedPlainBytes) return 0;
  const Bytes ciphertext = fuzz::encrypt_update(plain);
  auto round = fuzz::sealed_round(kind);
  auto& slot = round.cohort.front();
  const auto& member = round.members.front();
  const Digest root = crypto::blob_root(ciphertext);
  protocol::Reveal reveal{round.slot, protocol::kSealSuite, root, ciphertext.size(), {}};
  reveal.keys.push_back(*protocol::seal_key(content_key, fuzz::sealed_context(round), member.member,
                                            *member.round_key, root));
  slot.commitment = protocol::commitment(
      fuzz::kSealedChain, round.job, round.slot, round.base_root, slot.worker, slot.data_root,
      protocol::update_digest(root, ciphertext.size(), content_key), Digest{part(plain, 56)},
      part(plain, 88));
  const auto opened =
      rounds::open_update(fuzz::kSealedChain, fuzz::sealed_job(), round, slot, reveal,
                          {member.member, fuzz::sealed_round_secret()}, MemorySource(ciphertext));
  if (!opened.ok()) return 0;
  FM_CHECK(plain.size() == protocol::kUpdateHeaderBytes +
                               4 * rounds::update_dimension(fuzz::sealed_job(), kind),
           "an accepted update has another dimension");
  fuzz::accepted(static_cast<std::size_t>(kind));
  return 0;
}
