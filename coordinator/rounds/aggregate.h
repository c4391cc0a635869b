// What an aggregator computes from the frozen reveal set S, and nothing else: a pure function, so
// that every member of a committee, and a replacement committee, gets the same bits. Updates stay
// sealed on disk: memory is one vector of int64 and blocks, however many workers there are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/byte_source.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

class RunningSum;

// How many integers an update of this round has.
std::size_t update_dimension(const protocol::JobSpec& spec, protocol::RoundKind kind);
// The L1 sensitivity of the round's sum to one unit, in granules.
std::int64_t sensitivity_granules(const protocol::JobSpec& spec, protocol::RoundKind kind);

// An update that was checked: what it takes to read its values again.
struct OpenedUpdate {
  NodeId worker;
  Digest ciphertext_root;
  protocol::ContentKey key;
  std::uint64_t examples = 0;
  crypto::Secret<32> seed_share;
};

// This member's key to the round's sealed updates.
struct RoundKey {
  NodeId member;
  crypto::X25519Secret secret;
};

// The sealed update is this worker's, opens its commitment and is admissible: length, record count,
// an L1 norm that clipped contributions can have, and every member's box recomputes. `ciphertext`
// are the bytes under reveal.ciphertext_root. What is admissible is in `running` afterwards, if one
// is given; what is not, is not. unauthenticated: sealed otherwise, or not what was
// committed to; invalid_argument: what is wrong with it; others: the source's.
Result<OpenedUpdate> open_update(const ChainId& chain, const protocol::JobSpec& spec,
                                 const protocol::RoundState& round,
                                 const protocol::CohortSlot& slot, const protocol::Reveal& reveal,
                                 const RoundKey& member, const ByteSource& ciphertext,
                                 RunningSum* running = nullptr);

using OpenBlob = std::function<Result<std::unique_ptr<ByteSource>>(const Digest& root)>;

struct Aggregate {
  Digest model_sha256;
  bool separate_base = false;  // the next round starts from the base file, not from the model
};

// `updates` are exactly those of S, in worker order; they are read again unless `running` holds
// their sum, which it does not afterwards. Rule, noise (scale = sensitivity / epsilon,
// seed from S and the workers' shares), decode, server step. Writes the released file (of a query
// round: mean and scale per numeric feature) and, where it differs, what the next round starts
// from.
Result<Aggregate> compute_aggregate(const ChainId& chain, const protocol::JobSpec& spec,
                                    const protocol::RoundState& round,
                                    std::span<const OpenedUpdate> updates, const OpenBlob& open,
                                    ByteSink& base, ByteSink& model, RunningSum* running = nullptr);

}  // namespace fedmesh::rounds
