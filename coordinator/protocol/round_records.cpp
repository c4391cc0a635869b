#include "coordinator/protocol/round_records.h"

#include "base/crypto/digest.h"

namespace fedmesh::protocol {

using crypto::Blake2b;

JobId job_id(const ChainId& chain, const crypto::PublicKey& author, std::uint64_t author_seq,
             const JobSpec& spec) {
  return JobId{Blake2b("fedmesh/job/v1")
                   .add(chain)
                   .add(author)
                   .add_u64(author_seq)
                   .add_sized(codec::encode(spec))
                   .finish()
                   .bytes};
}

Digest commitment(const ChainId& chain, const JobId& job, const Slot& slot, const Digest& base_root,
                  const NodeId& worker, const Digest& data_root, const Digest& update_digest,
                  const Digest& trace_root, const std::array<std::uint8_t, 32>& salt) {
  return Blake2b("fedmesh/commit/v1")
      .add(chain)
      .add(job)
      .add(slot.round)
      .add(slot.attempt)
      .add(base_root)
      .add(worker)
      .add(data_root)
      .add(update_digest)
      .add(trace_root)
      .add(ByteView(salt))
      .finish();
}

Digest score_commitment(const ChainId& chain, const JobId& job, const Slot& slot,
                        const NodeId& validator, const Score& score,
                        const std::array<std::uint8_t, 32>& salt) {
  return Blake2b("fedmesh/score/v1")
      .add(chain)
      .add(job)
      .add(slot.round)
      .add(slot.attempt)
      .add(validator)
      .add_sized(codec::encode(score))
      .add(ByteView(salt))
      .finish();
}

Digest attest_binding(const Digest& config_hash, const Digest& reveal_set_root,
                      const Digest& base_root, const Digest& model_root,
                      const Digest& model_sha256) {
  return Blake2b("fedmesh/attest/v1")
      .add(config_hash)
      .add(reveal_set_root)
      .add(base_root)
      .add(model_root)
      .add(model_sha256)
      .finish();
}

Digest noise_seed(const ChainId& chain, const JobId& job, const Slot& slot,
                  const Digest& config_hash, const Digest& reveal_set_root,
                  const std::vector<std::array<std::uint8_t, 32>>& seed_shares) {
  Blake2b seed("fedmesh/noise/v1");
  seed.add(chain).add(job).add(slot.round).add(slot.attempt).add(config_hash).add(reveal_set_root);
  for (const auto& share : seed_shares) seed.add(ByteView(share));
  return seed.finish();
}

}  // namespace fedmesh::protocol
