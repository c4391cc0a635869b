#include "coordinator/consensus/pool.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace fedmesh::consensus {

Result<bool> RecordPool::add(ledger::Record record) {
  const std::size_t size = ledger::encode_record(record).size();
  const Digest hash = ledger::record_hash(record);
  if (hashes_.contains(hash)) return false;
  if (records_.size() >= limits_.records || size > limits_.bytes - bytes_)
    return exhausted("the pool is full: " + std::to_string(records_.size()) + " records, " +
                     std::to_string(bytes_) + " bytes; submit again after the next block");
  hashes_.insert(hash);
  records_.push_back(std::move(record));
  sizes_.push_back(size);
  bytes_ += size;
  ordered_ = false;
  return true;
}

// The places that one (author, job) holds stay its places; its records are sorted among them.
void RecordPool::order() {
  std::map<std::pair<crypto::PublicKey, JobId>, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < records_.size(); ++i)
    places[{records_[i].author, records_[i].job}].push_back(i);
  std::vector<std::size_t> from(records_.size());
  for (const auto& [slot, own] : places) {
    std::vector<std::size_t> sorted = own;
    std::stable_sort(sorted.begin(), sorted.end(), [this](std::size_t a, std::size_t b) {
      return records_[a].author_seq < records_[b].author_seq;
    });
    for (std::size_t i = 0; i < own.size(); ++i) from[own[i]] = sorted[i];
  }
  std::vector<ledger::Record> records;
  std::vector<std::size_t> sizes;
  for (const std::size_t i : from) {
    records.push_back(std::move(records_[i]));
    sizes.push_back(sizes_[i]);
  }
  records_ = std::move(records);
  sizes_ = std::move(sizes);
  ordered_ = true;
}

std::span<const ledger::Record> RecordPool::candidates() {
  if (!ordered_) order();
  return records_;
}

void RecordPool::remove(std::span<const std::size_t> indices) {
  std::vector<bool> gone(records_.size(), false);
  for (const std::size_t index : indices) gone[index] = true;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (gone[i]) {
      hashes_.erase(ledger::record_hash(records_[i]));
      bytes_ -= sizes_[i];
      continue;
    }
    if (kept != i) {
      records_[kept] = std::move(records_[i]);
      sizes_[kept] = sizes_[i];
    }
    ++kept;
  }
  records_.resize(kept);
  sizes_.resize(kept);
}

}  // namespace fedmesh::consensus
