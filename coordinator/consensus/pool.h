// Records that wait for a block.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/record.h"

namespace fedmesh::consensus {

struct PoolLimits {
  std::size_t records = 16384;
  std::size_t bytes = 32u << 20;  // encoded
};

// First come, first served, except that the records of one (author, job) go in the order of their
// author_seq: the later one first would make the earlier one inadmissible for ever. Duplicates are
// dropped. Not thread-safe: owned by the consensus.
class RecordPool {
 public:
  explicit RecordPool(const PoolLimits& limits = {}) : limits_(limits) {}

  // True if it is new here, false for one that waits already. exhausted: the pool is full.
  Result<bool> add(ledger::Record record);
  bool empty() const { return records_.empty(); }
  std::size_t size() const { return records_.size(); }
  std::size_t bytes() const { return bytes_; }

  // In the order in which they should enter blocks; valid until the pool changes.
  std::span<const ledger::Record> candidates();
  // `indices` into the last candidates(): these no longer wait.
  void remove(std::span<const std::size_t> indices);

 private:
  void order();

  PoolLimits limits_;
  std::vector<ledger::Record> records_;
  std::vector<std::size_t> sizes_;  // encoded, beside records_
  std::unordered_set<Digest> hashes_;
  std::size_t bytes_ = 0;
  bool ordered_ = true;
};

}  // namespace fedmesh::consensus
