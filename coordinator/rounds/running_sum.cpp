#include "coordinator/rounds/running_sum.h"

#include <utility>

#include "aggregation/fedavg.h"
#include "base/crypto/keys.h"

namespace fedmesh::rounds {

bool RunningSum::begin(const JobId& job, const protocol::Slot& slot, std::size_t dimension) {
  if (job_ && *job_ != job) return false;
  if (job_ && slot_ != slot) forget();
  if (!job_) {
    job_ = job;
    slot_ = slot;
    values_ = zeros(dimension);
  }
  return !spoilt_;
}

void RunningSum::add(std::uint64_t first, std::span<const std::int32_t> values,
                     std::uint32_t weight) {
  aggregation::add_weighted(std::span(values_).subspan(first, values.size()), values, weight);
}

void RunningSum::take_away(std::uint64_t first, std::span<const std::int32_t> values,
                           std::uint32_t weight) {
  const auto from = std::span(values_).subspan(first, values.size());
  for (std::size_t i = 0; i < from.size(); ++i)
    from[i] -= static_cast<std::int64_t>(weight) * values[i];
}

void RunningSum::finish(const OpenedUpdate& update, std::uint32_t weight) {
  // One that is checked again, after a loss on the disk, would count twice.
  if (!added_.emplace(update.worker, Added{update.ciphertext_root, weight}).second) spoil();
}

void RunningSum::spoil() {
  spoilt_ = true;
  give_back(std::exchange(values_, {}));
}

void RunningSum::give_back(std::vector<std::int64_t> values) {
  if (values.empty()) return;
  crypto::wipe({reinterpret_cast<std::uint8_t*>(values.data()), values.size() * 8});
  spare_ = std::move(values);
}

std::vector<std::int64_t> RunningSum::zeros(std::size_t dimension) {
  if (spare_.size() != dimension) spare_ = {};
  return spare_.empty() ? aggregation::zeros(dimension) : std::exchange(spare_, {});
}

void RunningSum::release() { spare_ = {}; }

std::optional<aggregation::Sum> RunningSum::take(const JobId& job, const protocol::Slot& slot,
                                                 std::span<const OpenedUpdate> updates,
                                                 std::span<const std::uint32_t> weights) {
  if (job_ != job || slot_ != slot || spoilt_ || added_.size() != updates.size())
    return std::nullopt;
  aggregation::Sum sum;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const auto at = added_.find(updates[i].worker);
    if (at == added_.end() || at->second.ciphertext_root != updates[i].ciphertext_root ||
        at->second.weight != weights[i])
      return std::nullopt;
    sum.total_weight += weights[i];
  }
  sum.values = std::move(values_);
  forget();
  return sum;
}

void RunningSum::forget(const JobId& job) {
  if (job_ == job) forget();
}

void RunningSum::forget() {
  spoil();
  spoilt_ = false;
  added_.clear();
  job_.reset();
}

}  // namespace fedmesh::rounds
