#include "coordinator/ledger/genesis.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>

#include "base/crypto/digest.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kDomain = "fedmesh/genesis/v1";
constexpr std::string_view kCommitteeDomain = "fedmesh/committee/v1";
constexpr std::string_view kFileMagic = "fedmesh genesis v1 ";

bool is_name(const std::string& name) {
  return name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Result<void> check_keys(const char* field, const std::vector<crypto::PublicKey>& keys,
                        std::size_t least, std::size_t most) {
  if (keys.size() < least || keys.size() > most)
    return invalid_argument("genesis: " + std::string(field) + " has " + std::to_string(least) +
                            " to " + std::to_string(most) + " keys, not " +
                            std::to_string(keys.size()));
  std::set<crypto::PublicKey> seen;
  for (const auto& key : keys) {
    if (key.is_zero())
      return invalid_argument("genesis: " + std::string(field) + ": a key is zero");
    if (!seen.insert(key).second)
      return invalid_argument("genesis: " + std::string(field) + ": key " + key.short_hex() +
                              " stands there twice");
  }
  return {};
}

Error cannot_write(const std::filesystem::path& path) {
  return unavailable("cannot write " + path.string() + ": " + std::strerror(errno));
}

Result<void> write_all(int fd, ByteView bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return cannot_write(path);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return cannot_write(path);
  return {};
}

}  // namespace

Result<void> validate(const Genesis& genesis) {
  if (genesis.version != kGenesisVersion)
    return invalid_argument("genesis: version " + std::to_string(genesis.version) +
                            ", this program knows version " + std::to_string(kGenesisVersion));
  if (genesis.network_name.empty() || !is_name(genesis.network_name))
    return invalid_argument("genesis: network_name is 1 to 64 printable ASCII characters");
  if (genesis.created_ms < 0 || genesis.created_ms > kMaxTimestampMs)
    return invalid_argument("genesis: created_ms lies between the years 1970 and 9999");
  FM_TRY_VOID(check_keys("committee", genesis.committee, 1, kMaxCommittee));
  FM_TRY_VOID(check_keys("operators", genesis.operators, 0, kMaxOperators));
  std::vector<crypto::PublicKey> keys;
  for (const Participant& participant : genesis.participants) {
    keys.push_back(participant.key);
    if (participant.roles == 0 || (participant.roles & ~std::uint32_t{kAllRoles}) != 0)
      return invalid_argument("genesis: participant " + participant.key.short_hex() +
                              ": roles is a sum of 1, 2, 4, 8 and 16, not " +
                              std::to_string(participant.roles));
    if (!is_name(participant.name))
      return invalid_argument("genesis: participant " + participant.key.short_hex() +
                              ": name is at most 64 printable ASCII characters");
  }
  return check_keys("participants", keys, 0, kMaxParticipants);
}

ChainId chain_id(const Genesis& genesis) {
  const Digest hash = crypto::Sha256().add(as_bytes(kDomain)).add(codec::encode(genesis)).finish();
  return {hash.bytes};
}

Digest committee_hash(const std::vector<crypto::PublicKey>& committee) {
  return crypto::Sha256().add(as_bytes(kCommitteeDomain)).add(codec::encode(committee)).finish();
}

Bytes encode_genesis(const Genesis& genesis) { return codec::encode(genesis); }

Result<Genesis> decode_genesis(ByteView bytes) {
  FM_TRY(Genesis genesis, codec::decode<Genesis>(bytes, {.bytes = kMaxGenesisBytes,
                                                         .elements = kMaxParticipants,
                                                         .blob = kMaxNameBytes,
                                                         .depth = 4}));
  FM_TRY_VOID(validate(genesis));
  return genesis;
}

Bytes genesis_file_bytes(const Genesis& genesis) {
  Bytes file = to_bytes(as_bytes(std::string(kFileMagic) + chain_id(genesis).hex() + "\n"));
  append(file, encode_genesis(genesis));
  return file;
}

Result<Genesis> parse_genesis_file(ByteView bytes) {
  const std::size_t line = kFileMagic.size() + 64 + 1;
  if (bytes.size() < line || as_text(bytes.first(kFileMagic.size())) != kFileMagic)
    return corruption("not a genesis file: it does not begin with \"" + std::string(kFileMagic) +
                      "\"");
  auto genesis = decode_genesis(bytes.subspan(line));
  if (!genesis.ok()) return genesis.error().with_context("genesis file");
  const Bytes canonical = genesis_file_bytes(*genesis);
  if (!std::equal(bytes.begin(), bytes.end(), canonical.begin(), canonical.end()))
    return corruption("genesis file: its first line does not name its content, which is chain " +
                      chain_id(*genesis).hex());
  return genesis;
}

Result<void> store_genesis(const std::filesystem::path& path, const Genesis& genesis) {
  FM_TRY_VOID(validate(genesis));
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0 && errno == EEXIST)
    return invalid_argument(path.string() + " exists; a genesis is never overwritten");
  if (fd < 0) return cannot_write(path);
  const Result<void> written = write_all(fd, genesis_file_bytes(genesis), path);
  ::close(fd);
  if (!written.ok()) ::unlink(path.c_str());
  return written;
}

Result<Genesis> load_genesis(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found("cannot read " + path.string());
  Bytes bytes(kMaxGenesisBytes + 1024);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  auto genesis = parse_genesis_file(bytes);
  if (!genesis.ok()) return genesis.error().with_context(path.string());
  return genesis;
}

}  // namespace fedmesh::ledger
