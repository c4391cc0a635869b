// What a network is founded on. Its hash is the chain id, which every signature covers; it stands
// in for block 0.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

// Bits of Participant::roles.
enum Role : std::uint32_t {
  kCoordinator = 1,
  kAggregator = 2,
  kWorker = 4,
  kValidator = 8,
  kSubmitter = 16,
  kAllRoles = 31,
};

struct Participant {
  crypto::PublicKey key;
  std::uint32_t roles = 0;
  std::string name;  // for people: printable ASCII, at most kMaxNameBytes, may be empty
  friend bool operator==(const Participant&, const Participant&) = default;
  FM_FIELDS(key, roles, name)
};

inline constexpr std::uint32_t kGenesisVersion = 1;
inline constexpr std::size_t kMaxCommittee = 256;
inline constexpr std::size_t kMaxOperators = 256;
inline constexpr std::size_t kMaxParticipants = 10000;
inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxGenesisBytes = 2u << 20;
// Of every timestamp on the ledger (end of the year 9999): time plus one never overflows.
inline constexpr std::int64_t kMaxTimestampMs = 253'402'300'799'999;

struct Genesis {
  std::uint32_t version = kGenesisVersion;
  std::string network_name;
  std::int64_t created_ms = 0;
  std::vector<crypto::PublicKey> committee;  // the order is the members' numbering
  std::vector<crypto::PublicKey> operators;  // may admit; none: membership is fixed
  std::vector<Participant> participants;
  std::array<std::uint8_t, 32> nonce{};  // random: equal settings make different networks

  friend bool operator==(const Genesis&, const Genesis&) = default;
  FM_FIELDS(version, network_name, created_ms, committee, operators, participants, nonce)
};

// invalid_argument names the field and what it allows.
Result<void> validate(const Genesis& genesis);
ChainId chain_id(const Genesis& genesis);  // SHA256("fedmesh/genesis/v1" ‖ canonical encoding)

Bytes encode_genesis(const Genesis& genesis);
Result<Genesis> decode_genesis(ByteView bytes);  // validated

// SHA256("fedmesh/committee/v1" ‖ canonical array of the keys)
Digest committee_hash(const std::vector<crypto::PublicKey>& committee);

// A genesis file is the line "fedmesh genesis v1 <chain id in hex>\n" and then the canonical
// encoding, so that `head -1` names the network and no byte can change unnoticed.
Bytes genesis_file_bytes(const Genesis& genesis);
Result<Genesis> parse_genesis_file(ByteView bytes);
// invalid_argument: the file exists already, or the genesis is not valid; unavailable: cannot
// write.
Result<void> store_genesis(const std::filesystem::path& path, const Genesis& genesis);
Result<Genesis> load_genesis(const std::filesystem::path& path);

}  // namespace fedmesh::ledger
