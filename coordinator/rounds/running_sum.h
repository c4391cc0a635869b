// The sum of a round's updates, kept while they are checked, so that each is read and decrypted
// once. Exact integers: adding an update and taking it away again leaves nothing of it, and the
// order does not matter. What it holds is private until noise is added: it is wiped with the round.
// Not thread-safe: owned by the compute thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "aggregation/rule.h"
#include "coordinator/rounds/aggregate.h"

namespace fedmesh::rounds {

class RunningSum {
 public:
  RunningSum() = default;
  RunningSum(const RunningSum&) = delete;
  RunningSum& operator=(const RunningSum&) = delete;
  ~RunningSum() { forget(); }

  // Makes ready for this attempt of a round. False: another job's sum is kept, and there is room
  // for one; its updates are read twice then.
  bool begin(const JobId& job, const protocol::Slot& slot, std::size_t dimension);
  // While an update is checked, chunk after chunk.
  void add(std::uint64_t first, std::span<const std::int32_t> values, std::uint32_t weight);
  void take_away(std::uint64_t first, std::span<const std::int32_t> values, std::uint32_t weight);
  // All of it was added.
  void finish(const OpenedUpdate& update, std::uint32_t weight);
  // Part of an update is in it that cannot be taken away: it is of no use for this round.
  void spoil();

  // The sum of exactly these updates, if that is what was added; it is empty afterwards.
  std::optional<aggregation::Sum> take(const JobId& job, const protocol::Slot& slot,
                                       std::span<const OpenedUpdate> updates,
                                       std::span<const std::uint32_t> weights);
  // Memory for the next sum is wiped and kept: fresh pages cost more than the sum itself.
  void give_back(std::vector<std::int64_t> values);
  std::vector<std::int64_t> zeros(std::size_t dimension);  // such memory, if it has this size
  void forget(const JobId& job);                           // its round is over
  void forget();
  void release();  // the memory that waits for the next sum

 private:
  struct Added {
    Digest ciphertext_root;
    std::uint32_t weight = 0;
  };
  std::optional<JobId> job_;
  protocol::Slot slot_;
  bool spoilt_ = false;
  std::vector<std::int64_t> values_;
  std::vector<std::int64_t> spare_;  // zeros
  std::map<NodeId, Added> added_;
};

}  // namespace fedmesh::rounds
