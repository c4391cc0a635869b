// A content key sealed to a member, and round keys that members announce. Input: a box, or anything
// else; its first 32 bytes are also taken as a round key.
#include "tests/fuzz/sealed_round.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto round = fuzz::sealed_round(protocol::RoundKind::training);
  const auto context = fuzz::sealed_context(round);
  const auto& member = round.members.front();
  const Digest root = protocol::sample_id(5);
  const protocol::SealedKey sealed{member.member, to_bytes(bytes)};
  if (protocol::open_key(fuzz::sealed_round_secret(),
                         crypto::x25519_public(fuzz::sealed_round_secret()), context, sealed, root)
          .ok()) {
    FM_CHECK(size == protocol::kBoxBytes, "a sealed key of another length opens");
    fuzz::accepted();
  }
  if (size < 32) return 0;
  crypto::X25519Public announced;
  std::copy_n(bytes.begin(), 32, announced.bytes.begin());
  const auto box =
      protocol::seal_key(fuzz::sealed_content_key(), context, member.member, announced, root);
  FM_CHECK(box.ok() == protocol::is_usable_round_key(announced),
           "a round key counts as usable and nothing can be sealed to it, or the other way");
  return 0;
}
