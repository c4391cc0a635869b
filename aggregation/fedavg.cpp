#include "aggregation/fedavg.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

namespace fedmesh::aggregation {
namespace {

// 64 KiB of sums stay in the second-level cache while all updates pass over them: memory is the
// limit, and streams shorter than this do not let the processor read ahead.
constexpr std::size_t kBlock = 8192;

// One build for every processor: the widest vectors that it has are chosen when the program starts.
// The sanitizers' start-up does not bear such choices. Integers: the result is the same.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FEDMESH_WIDEST gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")
#else
#define FEDMESH_WIDEST gnu::noinline
#endif

[[FEDMESH_WIDEST]] void add(std::int64_t* __restrict sum, const std::int32_t* __restrict a,
                            std::size_t size) {
  for (std::size_t j = 0; j < size; ++j) sum[j] += a[j];
}

[[FEDMESH_WIDEST]] std::uint64_t absolute(const std::int32_t* values, std::size_t size) {
  std::uint64_t norm = 0;
  for (std::size_t j = 0; j < size; ++j) {
    const std::int64_t value = values[j];
    norm += static_cast<std::uint64_t>(value < 0 ? -value : value);
  }
  return norm;
}

// Four at once: the sums are read and written a quarter as often.
[[FEDMESH_WIDEST]] void add_four(std::int64_t* __restrict sum, const std::int32_t* __restrict a,
                                 const std::int32_t* __restrict b, const std::int32_t* __restrict c,
                                 const std::int32_t* __restrict d, std::size_t size) {
  for (std::size_t j = 0; j < size; ++j)
    sum[j] += (std::int64_t{a[j]} + b[j]) + (std::int64_t{c[j]} + d[j]);
}

[[FEDMESH_WIDEST]] void add_times(std::int64_t* __restrict sum, const std::int32_t* __restrict a,
                                  std::int64_t factor, std::size_t size) {
  for (std::size_t j = 0; j < size; ++j) sum[j] += factor * a[j];
}

void add_block(std::span<std::int64_t> sum, std::size_t at,
               std::span<const WeightedUpdate> updates) {
  const auto from = [&](std::size_t i) { return updates[i].values.data() + at; };
  std::size_t i = 0;
  const auto all_one = [](const WeightedUpdate& update) { return update.weight == 1; };
  for (; i + 4 <= updates.size() &&
         std::all_of(updates.begin() + static_cast<std::ptrdiff_t>(i),
                     updates.begin() + static_cast<std::ptrdiff_t>(i + 4), all_one);
       i += 4)
    add_four(sum.data(), from(i), from(i + 1), from(i + 2), from(i + 3), sum.size());
  for (; i < updates.size(); ++i)
    add_weighted(sum, updates[i].values.subspan(at, sum.size()), updates[i].weight);
}

}  // namespace

std::vector<std::int64_t> zeros(std::size_t size) {
  // Getting the memory in pages of 4 KiB costs a third of the time of a mean. Only advice.
  constexpr std::uintptr_t kHugePage = 2u << 20;
  std::vector<std::int64_t> out;
  out.reserve(size);
  const auto begin = (std::bit_cast<std::uintptr_t>(out.data()) + kHugePage - 1) & ~(kHugePage - 1);
  const auto end = std::bit_cast<std::uintptr_t>(out.data() + out.capacity()) & ~(kHugePage - 1);
  if (end > begin) (void)::madvise(std::bit_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  out.assign(size, 0);
  return out;
}

void add_weighted(std::span<std::int64_t> sum, std::span<const std::int32_t> values,
                  std::uint32_t weight) {
  FM_CHECK(sum.size() == values.size(), "an update has as many values as the sum");
  if (weight == 1) {
    add(sum.data(), values.data(), sum.size());
  } else {
    add_times(sum.data(), values.data(), static_cast<std::int64_t>(weight), sum.size());
  }
}

std::uint64_t l1_norm(std::span<const std::int32_t> values) {
  return absolute(values.data(), values.size());
}

Result<Sum> FedAvg::aggregate(std::span<const WeightedUpdate> updates) const {
  FM_TRY_VOID(check_updates(updates));
  Sum out;
  out.values = zeros(updates.front().values.size());
  for (const auto& update : updates) out.total_weight += update.weight;
  for (std::size_t at = 0; at < out.values.size(); at += kBlock) {
    const std::size_t size = std::min(kBlock, out.values.size() - at);
    add_block(std::span(out.values).subspan(at, size), at, updates);
  }
  return out;
}

}  // namespace fedmesh::aggregation
