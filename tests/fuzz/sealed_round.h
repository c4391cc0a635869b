// The job, the round and the keys that the targets of sealed updates use.
#pragma once

#include <algorithm>

#include "base/crypto/aead.h"
#include "base/crypto/blob_hash.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/protocol/state.h"
#include "tests/coordinator/protocol/sample_job.h"

namespace fedmesh::fuzz {

inline constexpr ChainId kSealedChain{{7}};
inline constexpr std::uint64_t kSealedRecords = 500;

inline const protocol::JobSpec& sealed_job() {
  static const protocol::JobSpec kSpec = protocol::record_job();
  return kSpec;
}
inline protocol::ContentKey sealed_content_key() {
  return protocol::ContentKey(protocol::sample_id(90).bytes);
}
inline crypto::X25519Secret sealed_round_secret() {
  return crypto::X25519Secret(protocol::sample_id(70).bytes);
}

// One worker, which has committed to nothing yet, and one member.
inline protocol::RoundState sealed_round(protocol::RoundKind kind) {
  protocol::RoundState round;
  round.kind = kind;
  round.phase = protocol::RoundPhase::revealing;
  protocol::CohortSlot slot;
  slot.worker = protocol::sample_id<NodeTag>(1);
  slot.record_count = kSealedRecords;
  round.cohort.push_back(slot);
  round.members.push_back({protocol::sample_id<NodeTag>(2),
                           crypto::x25519_public(sealed_round_secret()), false, std::nullopt});
  return round;
}
inline protocol::SealContext sealed_context(const protocol::RoundState& round) {
  return {kSealedChain, round.job, round.slot, round.cohort.front().worker};
}

// What a worker can encrypt that does not keep to the form: any plaintext of one chunk.
inline Bytes encrypt_update(ByteView plain) {
  Bytes associated = to_bytes(as_bytes("fedmesh/sealed/v1"));
  Bytes length(8);
  store_le64(length, plain.size());
  append(associated, length);
  associated.push_back(1);
  return aead_encrypt(crypto::AeadSuite::chacha20_poly1305, sealed_content_key(), 0, associated,
                      plain);
}

inline Bytes plain_update(std::uint64_t values) {
  Bytes plain(protocol::kUpdateHeaderBytes + 4 * values);
  std::ranges::copy(as_bytes("fmupdate"), plain.begin());
  store_le64(MutableByteView(plain).subspan(8), kSealedRecords);
  store_le64(MutableByteView(plain).subspan(16), values);
  if (values > 0) plain[protocol::kUpdateHeaderBytes] = 100;
  return plain;
}

}  // namespace fedmesh::fuzz
