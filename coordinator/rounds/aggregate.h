// What an aggregator computes from the frozen reveal set S, and nothing else: a pure function, so
// that every member of a committee, and a replacement committee, gets the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

// How many integers an update of this round has.
std::size_t update_dimension(const protocol::JobSpec& spec, protocol::RoundKind kind);
// The largest encoded opening that a valid update of this round can have.
std::uint64_t opening_bytes_max(const protocol::JobSpec& spec, protocol::RoundKind kind);
// The L1 sensitivity of the round's sum to one unit, in granules.
std::int64_t sensitivity_granules(const protocol::JobSpec& spec, protocol::RoundKind kind);

struct CheckedUpdate {
  NodeId worker;
  std::vector<std::int32_t> values;
  std::uint64_t examples = 0;
  std::array<std::uint8_t, 32> seed_share{};
};

void wipe(CheckedUpdate& update);  // values and seed share

// The opening matches the worker's commitment and the update is admissible: length, record count,
// and an L1 norm that clipped contributions can have. unauthenticated: another opening;
// invalid_argument: what is wrong with it.
Result<CheckedUpdate> check_opening(const ChainId& chain, const protocol::JobSpec& spec,
                                    const protocol::RoundState& round,
                                    const protocol::CohortSlot& slot, ByteView opening);

struct Aggregate {
  Bytes base;   // safetensors: what the next round starts from
  Bytes model;  // safetensors: what is released (a query round: mean and scale per numeric feature)
};

// `updates` are exactly those of S, in worker order; `base` is the safetensors file under
// round.base_root. Rule, noise (scale = sensitivity / epsilon, seed from S and the workers'
// shares), decode, server step.
Result<Aggregate> compute_aggregate(const ChainId& chain, const protocol::JobSpec& spec,
                                    const protocol::RoundState& round,
                                    std::span<const CheckedUpdate> updates, ByteView base);

}  // namespace fedmesh::rounds
