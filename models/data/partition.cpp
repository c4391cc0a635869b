#include "models/data/partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>

#include "base/random.h"
#include "models/data/portable_math.h"

namespace fedmesh::models {
namespace {

using Rows = std::vector<std::size_t>;
using Silos = std::vector<Rows>;

void shuffle(Rows& rows, SeededRandom& random) {
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.below(i)]);
}

Rows shuffled_rows(const Dataset& data, SeededRandom& random) {
  Rows rows(data.rows());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  shuffle(rows, random);
  return rows;
}

// Piece i of n nearly equal ones.
std::span<const std::size_t> piece(const Rows& rows, std::size_t i, std::size_t n) {
  const std::size_t first = rows.size() / n * i + std::min(i, rows.size() % n);
  const std::size_t size = rows.size() / n + (i < rows.size() % n ? 1 : 0);
  return std::span(rows).subspan(first, size);
}

Silos iid(const Dataset& data, const PartitionRule& rule, SeededRandom& random) {
  const Rows rows = shuffled_rows(data, random);
  Silos out(rule.silos);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto mine = piece(rows, i, out.size());
    out[i].assign(mine.begin(), mine.end());
  }
  return out;
}

Silos shards(const Dataset& data, const PartitionRule& rule, SeededRandom& random) {
  Rows rows = shuffled_rows(data, random);
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::size_t a, std::size_t b) { return data.labels[a] < data.labels[b]; });
  Rows order(std::size_t{rule.silos} * rule.shards_per_silo);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, random);
  Silos out(rule.silos);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto shard = piece(rows, order[i], order.size());
    Rows& silo = out[i / rule.shards_per_silo];
    silo.insert(silo.end(), shard.begin(), shard.end());
  }
  return out;
}

// How many of `count` rows each silo gets: cumulative shares, rounded.
Rows dirichlet_counts(std::size_t count, const PartitionRule& rule, SeededRandom& random) {
  std::vector<double> shares(rule.silos);
  for (double& share : shares) share = portable::gamma(random, rule.alpha);
  double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(total > 0)) {  // a tiny alpha underflowed everywhere: one silo takes the class
    shares[random.below(rule.silos)] = 1;
    total = 1;
  }
  Rows counts(rule.silos);
  double sum = 0;
  std::size_t before = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sum += shares[i];
    const double upto = std::floor(sum / total * static_cast<double>(count) + 0.5);
    const std::size_t end =
        i + 1 == counts.size() ? count : std::min(count, static_cast<std::size_t>(upto));
    counts[i] = end - before;
    before = end;
  }
  return counts;
}

void fill_empty(Silos& silos) {
  for (Rows& silo : silos) {
    if (!silo.empty()) continue;
    const auto largest =
        std::max_element(silos.begin(), silos.end(),
                         [](const Rows& a, const Rows& b) { return a.size() < b.size(); });
    silo.push_back(largest->back());
    largest->pop_back();
  }
}

Silos dirichlet(const Dataset& data, const PartitionRule& rule, SeededRandom& random) {
  std::vector<Rows> by_class(data.classes);
  for (const std::size_t row : shuffled_rows(data, random))
    by_class[static_cast<std::size_t>(data.labels[row])].push_back(row);
  Silos out(rule.silos);
  for (const Rows& rows : by_class) {
    const Rows counts = dirichlet_counts(rows.size(), rule, random);
    auto from = rows.begin();
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto to = from + static_cast<std::ptrdiff_t>(counts[i]);
      out[i].insert(out[i].end(), from, to);
      from = to;
    }
  }
  fill_empty(out);
  return out;
}

}  // namespace

Result<std::vector<std::vector<std::size_t>>> partition(const Dataset& data,
                                                        const PartitionRule& rule) {
  using Kind = PartitionRule::Kind;
  if (rule.silos < 1) return invalid_argument("a partition has at least one silo");
  if (rule.kind == Kind::dirichlet && !(rule.alpha >= kAlphaMin && rule.alpha <= kAlphaMax))
    return invalid_argument("alpha must be 0.001 to 1000");
  if (rule.kind == Kind::shards && rule.shards_per_silo < 1)
    return invalid_argument("a silo has at least one shard");
  const std::uint64_t pieces =
      std::uint64_t{rule.silos} * (rule.kind == Kind::shards ? rule.shards_per_silo : 1);
  if (data.rows() < pieces)
    return invalid_argument(std::to_string(data.rows()) + " rows cannot fill " +
                            std::to_string(pieces) + " silos or shards");
  SeededRandom random = SeededRandom(rule.seed).fork(static_cast<std::uint64_t>(rule.kind));
  Silos out = rule.kind == Kind::iid      ? iid(data, rule, random)
              : rule.kind == Kind::shards ? shards(data, rule, random)
                                          : dirichlet(data, rule, random);
  for (Rows& rows : out) std::sort(rows.begin(), rows.end());
  return out;
}

}  // namespace fedmesh::models
