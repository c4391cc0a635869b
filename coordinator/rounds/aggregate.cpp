#include "coordinator/rounds/aggregate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "aggregation/rule.h"
#include "aggregation/server_step.h"
#include "aggregation/statistics.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "privacy/noise.h"

namespace fedmesh::rounds {
namespace {

using models::Tensor;
using models::Tensors;
using protocol::JobSpec;
using protocol::Mechanism;
using protocol::PrivacyUnit;
using protocol::RoundKind;
using protocol::RoundState;

constexpr const char* kAveragePrefix = "average.sum.";
constexpr const char* kAverageCount = "average.count";
constexpr std::int64_t kWholeStep = 1'000'000'000;

// Wipes two private byte strings at the end of a scope.
struct Wiped {
  MutableByteView a;
  MutableByteView b;
  ~Wiped() {
    crypto::wipe(a);
    crypto::wipe(b);
  }
};

bool is_record_step(const JobSpec& spec) { return spec.privacy.unit == PrivacyUnit::record; }

std::uint32_t weight_of(const JobSpec& spec, std::uint64_t examples) {
  if (spec.aggregation.weight == protocol::WeightMode::uniform) return 1;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(examples, spec.aggregation.weight_cap));
}

Result<aggregation::Sum> noisy_sum(const ChainId& chain, const JobSpec& spec,
                                   const RoundState& round,
                                   std::span<const CheckedUpdate> updates) {
  FM_TRY(const auto rule, aggregation::make_rule(spec.aggregation.rule));
  // Record sums carry their own weight: every record counts once, whoever holds it.
  const bool by_record = round.kind == RoundKind::standardisation || is_record_step(spec);
  std::vector<aggregation::WeightedUpdate> weighted;
  for (const auto& update : updates)
    weighted.push_back({update.values, by_record ? 1 : weight_of(spec, update.examples)});
  FM_TRY(auto sum, rule->aggregate(weighted));
  if (spec.privacy.mechanism == Mechanism::none) return sum;
  std::vector<std::array<std::uint8_t, 32>> shares;
  for (const auto& update : updates) shares.push_back(update.seed_share);
  Digest seed = protocol::noise_seed(chain, round.job, round.slot, round.config_hash,
                                     *round.reveal_set_root, shares);
  for (auto& share : shares) crypto::wipe(share);
  FM_TRY(const auto noise, privacy::DiscreteLaplace::create(
                               {static_cast<std::uint64_t>(sensitivity_granules(spec, round.kind)),
                                round.epsilon_nano}));
  noise.add(sum.values, seed);
  crypto::wipe(seed.bytes);
  return sum;
}

std::uint64_t records_of(std::span<const CheckedUpdate> updates) {
  std::uint64_t total = 0;
  for (const auto& update : updates) total += update.examples;
  return total;
}

Result<Aggregate> standardisation(const JobSpec& spec, const aggregation::Sum& sum,
                                  std::uint64_t records, ByteView base) {
  std::vector<aggregation::ColumnBounds> bounds;
  for (const auto& column : spec.schema.columns)
    if (column.kind == models::ColumnKind::numeric)
      bounds.push_back({static_cast<double>(column.minimum_micro) / 1e6,
                        static_cast<double>(column.maximum_micro) / 1e6});
  privacy::LaplaceScale noise;
  if (spec.is_private())
    noise = {static_cast<std::uint64_t>(sensitivity_granules(spec, RoundKind::standardisation)),
             spec.preprocessing.epsilon_nano};
  FM_TRY(const auto statistics,
         aggregation::column_statistics(sum.values, bounds, records,
                                        spec.preprocessing.fraction_bits, noise));
  models::Standardisation out;
  for (const auto& column : statistics) {
    out.mean.push_back(column.mean);
    out.scale.push_back(column.scale);
  }
  return Aggregate{to_bytes(base), models::encode_safetensors(models::to_tensors(out))};
}

// The running sum of iterates travels inside the base file, beside the parameters.
struct Averages {
  std::vector<double> sum;
  std::int64_t count = 0;
};

Result<Averages> read_averages(const Tensors& base, const models::Layout& layout) {
  Averages out;
  for (const auto& shape : layout) {
    const auto at = std::find_if(base.begin(), base.end(), [&](const Tensor& tensor) {
      return tensor.name == kAveragePrefix + shape.name && tensor.dtype == models::DType::f64;
    });
    if (at == base.end()) {  // before the first iterate
      out.sum.assign(models::elements(layout), 0.0);
      return out;
    }
    const auto values = at->doubles();
    out.sum.insert(out.sum.end(), values.begin(), values.end());
  }
  const auto count = std::find_if(base.begin(), base.end(), [](const Tensor& tensor) {
    return tensor.name == kAverageCount && tensor.dtype == models::DType::i64;
  });
  if (count == base.end() || count->data.size() != 8 || out.sum.size() != models::elements(layout))
    return corruption("the base model's running average is malformed");
  out.count = static_cast<std::int64_t>(load_le64(count->data));
  const bool finite = std::all_of(out.sum.begin(), out.sum.end(),
                                  [](double value) { return std::isfinite(value); });
  if (out.count < 1 || !finite) return corruption("the base model's running average is malformed");
  return out;
}

Tensors with_averages(Tensors tensors, const models::Layout& layout, const Averages& averages) {
  std::size_t at = 0;
  for (const auto& shape : layout) {
    const std::size_t size = models::elements({shape});
    const auto first = averages.sum.begin() + static_cast<std::ptrdiff_t>(at);
    tensors.push_back(
        Tensor::of(kAveragePrefix + shape.name, shape.shape,
                   std::vector<double>(first, first + static_cast<std::ptrdiff_t>(size))));
    at += size;
  }
  Tensor count;
  count.name = kAverageCount;
  count.dtype = models::DType::i64;
  count.shape = {1};
  count.data.resize(8);
  store_le64(count.data, static_cast<std::uint64_t>(averages.count));
  tensors.push_back(std::move(count));
  std::sort(tensors.begin(), tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  return tensors;
}

Result<Aggregate> server_step(const JobSpec& spec, const aggregation::Sum& sum,
                              std::uint64_t records, ByteView base_bytes) {
  const models::Layout layout = spec.architecture.layout();
  FM_TRY(const auto tensors, models::decode_safetensors(base_bytes));
  FM_TRY(const auto base, models::flatten(tensors, layout));
  const bool record = is_record_step(spec);
  FM_TRY(const auto next,
         aggregation::apply_mean(base, sum.values, record ? records : sum.total_weight,
                                 spec.privacy.fraction_bits,
                                 record ? spec.training.options.learning_rate_nano : kWholeStep));
  Tensors iterate = models::unflatten(next, layout);
  if (!spec.training.average_iterates) {
    const Bytes bytes = models::encode_safetensors(iterate);
    return Aggregate{bytes, bytes};
  }
  FM_TRY(auto averages, read_averages(tensors, layout));
  aggregation::running_average(averages.sum, next);
  ++averages.count;
  const auto mean = aggregation::average(averages.sum, static_cast<std::uint64_t>(averages.count));
  return Aggregate{models::encode_safetensors(with_averages(std::move(iterate), layout, averages)),
                   models::encode_safetensors(models::unflatten(mean, layout))};
}

}  // namespace

void wipe(CheckedUpdate& update) {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(update.values.data()),
                update.values.size() * sizeof(std::int32_t)});
  crypto::wipe(update.seed_share);
}

std::size_t update_dimension(const JobSpec& spec, RoundKind kind) {
  if (kind == RoundKind::standardisation) return 2 * spec.schema.numeric_features().size();
  return models::elements(spec.architecture.layout());
}

std::uint64_t opening_bytes_max(const JobSpec& spec, RoundKind kind) {
  return 4 * static_cast<std::uint64_t>(update_dimension(spec, kind)) + 256;
}

std::int64_t sensitivity_granules(const JobSpec& spec, RoundKind kind) {
  if (kind == RoundKind::standardisation)
    return static_cast<std::int64_t>(update_dimension(spec, kind))
           << spec.preprocessing.fraction_bits;
  return spec.privacy.clip_granules;
}

Result<CheckedUpdate> check_opening(const ChainId& chain, const JobSpec& spec,
                                    const RoundState& round, const protocol::CohortSlot& slot,
                                    ByteView bytes) {
  const codec::Limits limits{.bytes = opening_bytes_max(spec, round.kind),
                             .elements = 16,
                             .blob = opening_bytes_max(spec, round.kind),
                             .depth = 4};
  FM_TRY(auto opening, codec::decode<protocol::Opening>(bytes, limits));
  const Wiped wipe_opening{opening.update, opening.salt};
  FM_TRY(auto update, codec::decode<protocol::Update>(opening.update, limits));
  const Wiped wipe_update{update.values, update.seed_share};
  const Digest expected =
      protocol::commitment(chain, round.job, round.slot, round.base_root, slot.worker,
                           slot.data_root, opening, update.trace_root);
  if (!slot.commitment || expected != *slot.commitment)
    return unauthenticated("the opening does not match the commitment");
  const std::size_t dimension = update_dimension(spec, round.kind);
  if (update.values.size() != dimension * 4)
    return invalid_argument("the update has " + std::to_string(update.values.size() / 4) +
                            " values, the round's have " + std::to_string(dimension));
  if (update.examples != slot.record_count)
    return invalid_argument("the update counts other records than were enrolled");
  CheckedUpdate out;
  out.worker = slot.worker;
  out.examples = update.examples;
  out.seed_share = update.seed_share;
  out.values.resize(dimension);
  unsigned __int128 norm = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    out.values[i] = static_cast<std::int32_t>(load_le32(ByteView(update.values).subspan(4 * i, 4)));
    norm += static_cast<std::uint64_t>(std::abs(static_cast<std::int64_t>(out.values[i])));
  }
  const bool by_record = round.kind == RoundKind::standardisation || is_record_step(spec);
  const auto bound = static_cast<unsigned __int128>(sensitivity_granules(spec, round.kind)) *
                     (by_record ? update.examples : 1);
  if (bound > 0 && norm > bound)
    return invalid_argument("the update exceeds the L1 norm that clipping leaves");
  return out;
}

Result<Aggregate> compute_aggregate(const ChainId& chain, const JobSpec& spec,
                                    const RoundState& round, std::span<const CheckedUpdate> updates,
                                    ByteView base) {
  FM_TRY(const auto sum, noisy_sum(chain, spec, round, updates));
  const std::uint64_t records = records_of(updates);
  if (round.kind == RoundKind::standardisation) return standardisation(spec, sum, records, base);
  return server_step(spec, sum, records, base);
}

}  // namespace fedmesh::rounds
