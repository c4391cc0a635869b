#include "coordinator/rounds/aggregate.h"

#include <algorithm>
#include <limits>

#include "aggregation/fedavg.h"
#include "aggregation/rule.h"
#include "aggregation/statistics.h"
#include "base/crypto/digest.h"
#include "coordinator/rounds/running_sum.h"
#include "coordinator/rounds/server_file.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "privacy/noise.h"

namespace fedmesh::rounds {
namespace {

using protocol::JobSpec;
using protocol::Mechanism;
using protocol::PrivacyUnit;
using protocol::RoundKind;
using protocol::RoundState;

constexpr std::int64_t kWholeStep = 1'000'000'000;

bool is_record_step(const JobSpec& spec) { return spec.privacy.unit == PrivacyUnit::record; }

// Record sums carry their own weight: every record counts once, whoever holds it.
bool sums_records(const JobSpec& spec, RoundKind kind) {
  return kind == RoundKind::standardisation || is_record_step(spec);
}

std::uint32_t weight_of(const JobSpec& spec, RoundKind kind, std::uint64_t examples) {
  if (sums_records(spec, kind) || spec.aggregation.weight == protocol::WeightMode::uniform)
    return 1;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(examples, spec.aggregation.weight_cap));
}

// Until noise is added the sum is private, afterwards it is what the model says: however the
// computation ends, it is wiped.
class PrivateSum {
 public:
  explicit PrivateSum(RunningSum* running) : running_(running) {}
  PrivateSum(const PrivateSum&) = delete;
  PrivateSum& operator=(const PrivateSum&) = delete;
  ~PrivateSum() {
    if (running_ != nullptr)
      running_->give_back(std::move(sum.values));
    else
      crypto::wipe({reinterpret_cast<std::uint8_t*>(sum.values.data()), sum.values.size() * 8});
  }
  aggregation::Sum sum;

 private:
  RunningSum* running_;
};

// One update after the other, chunk by chunk: exact integers, so the order does not matter.
Result<void> add_up(const JobSpec& spec, const RoundState& round,
                    std::span<const OpenedUpdate> updates, const OpenBlob& open,
                    RunningSum* running, aggregation::Sum& sum) {
  const RoundKind kind = round.kind;
  FM_TRY(const auto rule, aggregation::make_rule(spec.aggregation.rule));
  std::vector<std::uint32_t> weights;
  for (const auto& update : updates) weights.push_back(weight_of(spec, kind, update.examples));
  FM_TRY_VOID(aggregation::check_capacity(
      updates.size(), updates.empty() ? 0 : *std::max_element(weights.begin(), weights.end())));
  if (running != nullptr)
    if (auto taken = running->take(round.job, round.slot, updates, weights)) {
      sum = std::move(*taken);
      return {};
    }
  const std::size_t dimension = update_dimension(spec, kind);
  sum.values = running != nullptr ? running->zeros(dimension) : aggregation::zeros(dimension);
  for (const auto& update : updates) {
    FM_TRY(const auto ciphertext, open(update.ciphertext_root));
    FM_TRY(auto sealed, protocol::SealedUpdate::open(*ciphertext, update.key));
    if (sealed.header().values != sum.values.size())
      return corruption("an update has another length than when it was checked");
    const std::uint32_t weight = weight_of(spec, kind, update.examples);
    for (std::uint64_t i = 0; i < sealed.chunks(); ++i) {
      FM_TRY(const auto values, sealed.chunk(i));
      aggregation::add_weighted(
          std::span(sum.values).subspan(protocol::SealedUpdate::first_value(i), values.size()),
          values, weight);
    }
    sum.total_weight += weight;
  }
  return {};
}

Result<void> add_noise(const ChainId& chain, const JobSpec& spec, const RoundState& round,
                       std::span<const OpenedUpdate> updates, aggregation::Sum& sum) {
  if (spec.privacy.mechanism == Mechanism::none) return {};
  std::vector<std::array<std::uint8_t, 32>> shares(updates.size());
  for (std::size_t i = 0; i < updates.size(); ++i)
    std::copy_n(updates[i].seed_share.view().begin(), 32, shares[i].begin());
  Digest seed = protocol::noise_seed(chain, round.job, round.slot, round.config_hash,
                                     *round.reveal_set_root, shares);
  for (auto& share : shares) crypto::wipe(share);
  FM_TRY(const auto noise, privacy::DiscreteLaplace::create(
                               {static_cast<std::uint64_t>(sensitivity_granules(spec, round.kind)),
                                round.epsilon_nano}));
  noise.add(sum.values, seed);
  crypto::wipe(seed.bytes);
  return {};
}

Result<void> write_standardisation(const JobSpec& spec, const aggregation::Sum& sum,
                                   std::uint64_t records, ByteSink& out) {
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
  models::Standardisation constants;
  for (const auto& column : statistics) {
    constants.mean.push_back(column.mean);
    constants.scale.push_back(column.scale);
  }
  return out.append(models::encode_safetensors(models::to_tensors(constants)));
}

// Hashes what passes on its way to the file.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& to) : to_(to) {}
  Result<void> append(ByteView bytes) override {
    hash_.add(bytes);
    return to_.append(bytes);
  }
  Digest finish() { return hash_.finish(); }

 private:
  ByteSink& to_;
  crypto::Sha256 hash_;
};

// Every box is the one that the content key gives: then no member was handed another key. `opened`
// is the one that the key came from.
Result<void> check_boxes(const protocol::SealContext& context, const RoundState& round,
                         const protocol::Reveal& reveal, std::size_t opened,
                         const protocol::ContentKey& key) {
  const auto is_right = [&](std::size_t i) -> Result<bool> {
    const auto& member = round.members[i];
    if (i == opened)
      return protocol::is_box_of(key, context, *member.round_key, reveal.keys[i],
                                 reveal.ciphertext_root);
    FM_TRY(const auto box, protocol::seal_key(key, context, member.member, *member.round_key,
                                              reveal.ciphertext_root));
    return box.box == reveal.keys[i].box;
  };
  for (std::size_t i = 0; i < round.members.size(); ++i) {
    const auto& member = round.members[i];
    FM_TRY(const bool right, is_right(i));
    if (!right)
      return unauthenticated("the key sealed for member " + member.member.short_hex() +
                             " is not that of the update");
  }
  return {};
}

// Whatever the updates turn out to count, their sum does not overflow on the way.
bool fits(const JobSpec& spec, const RoundState& round) {
  const std::uint32_t most = weight_of(spec, round.kind, std::numeric_limits<std::uint32_t>::max());
  return aggregation::check_capacity(round.cohort.size(), most).ok();
}

// Of the first `chunks` chunks, which were added.
void take_away(protocol::SealedUpdate& sealed, std::uint64_t chunks, RunningSum& running,
               std::uint32_t weight) {
  for (std::uint64_t i = 0; i < chunks; ++i) {
    const auto values = sealed.chunk(i);
    if (!values.ok()) return running.spoil();
    running.take_away(protocol::SealedUpdate::first_value(i), *values, weight);
  }
}

// The L1 norm is at most `bound`, if there is one. On the way the values enter the running sum, if
// there is one. |value| is at most 2^31, and there are at most 2^28 values.
Result<void> check_values(protocol::SealedUpdate& sealed, unsigned __int128 bound,
                          RunningSum* running, std::uint32_t weight) {
  std::uint64_t norm = 0;
  for (std::uint64_t i = 0; i < sealed.chunks(); ++i) {
    const auto values = sealed.chunk(i);
    if (!values.ok()) {
      if (running != nullptr) take_away(sealed, i, *running, weight);
      return values.error();
    }
    norm += aggregation::l1_norm(*values);
    if (running != nullptr) running->add(protocol::SealedUpdate::first_value(i), *values, weight);
  }
  if (bound == 0 || norm <= bound) return {};
  if (running != nullptr) take_away(sealed, sealed.chunks(), *running, weight);
  return invalid_argument("the update exceeds the L1 norm that clipping leaves");
}

}  // namespace

std::size_t update_dimension(const JobSpec& spec, RoundKind kind) {
  if (kind == RoundKind::standardisation) return 2 * spec.schema.numeric_features().size();
  return models::elements(spec.architecture.layout());
}

std::int64_t sensitivity_granules(const JobSpec& spec, RoundKind kind) {
  if (kind == RoundKind::standardisation)
    return static_cast<std::int64_t>(update_dimension(spec, kind))
           << spec.preprocessing.fraction_bits;
  return spec.privacy.clip_granules;
}

Result<OpenedUpdate> open_update(const ChainId& chain, const JobSpec& spec, const RoundState& round,
                                 const protocol::CohortSlot& slot, const protocol::Reveal& reveal,
                                 const RoundKey& member, const ByteSource& ciphertext,
                                 RunningSum* running) {
  const std::size_t dimension = update_dimension(spec, round.kind);
  if (ciphertext.size() != reveal.length || reveal.length != protocol::sealed_bytes(dimension) ||
      reveal.keys.size() != round.members.size())
    return invalid_argument("the sealed update has another length than the round's");
  const auto self =
      std::find_if(round.members.begin(), round.members.end(),
                   [&](const protocol::MemberSlot& one) { return one.member == member.member; });
  const auto mine = static_cast<std::size_t>(self - round.members.begin());
  if (self == round.members.end() || !self->round_key || reveal.keys[mine].member != member.member)
    return unauthenticated("no key is sealed for this member");
  const protocol::SealContext context{chain, round.job, round.slot, slot.worker};
  OpenedUpdate out;
  out.worker = slot.worker;
  out.ciphertext_root = reveal.ciphertext_root;
  FM_TRY(out.key, protocol::open_key(member.secret, *self->round_key, context, reveal.keys[mine],
                                     reveal.ciphertext_root));
  FM_TRY_VOID(check_boxes(context, round, reveal, mine, out.key));
  FM_TRY(auto sealed, protocol::SealedUpdate::open(ciphertext, out.key));
  const protocol::UpdateHeader& header = sealed.header();
  const Digest expected = protocol::commitment(
      chain, round.job, round.slot, round.base_root, slot.worker, slot.data_root,
      protocol::update_digest(reveal.ciphertext_root, reveal.length, out.key), header.trace_root,
      header.salt);
  if (!slot.commitment || expected != *slot.commitment)
    return unauthenticated("the sealed update does not open the commitment");
  if (header.values != dimension)
    return invalid_argument("the update has " + std::to_string(header.values) +
                            " values, the round's have " + std::to_string(dimension));
  if (header.examples != slot.record_count)
    return invalid_argument("the update counts other records than were enrolled");
  const auto bound = static_cast<unsigned __int128>(sensitivity_granules(spec, round.kind)) *
                     (sums_records(spec, round.kind) ? header.examples : 1);
  const std::uint32_t weight = weight_of(spec, round.kind, header.examples);
  const bool summed =
      running != nullptr && fits(spec, round) && running->begin(round.job, round.slot, dimension);
  FM_TRY_VOID(check_values(sealed, bound, summed ? running : nullptr, weight));
  out.examples = header.examples;
  out.seed_share = crypto::Secret<32>(header.seed_share);
  if (summed) running->finish(out, weight);
  return out;
}

Result<Aggregate> compute_aggregate(const ChainId& chain, const JobSpec& spec,
                                    const RoundState& round, std::span<const OpenedUpdate> updates,
                                    const OpenBlob& open, ByteSink& base, ByteSink& model,
                                    RunningSum* running) {
  std::uint64_t records = 0;
  for (const auto& update : updates) records += update.examples;
  PrivateSum kept(running);
  aggregation::Sum& sum = kept.sum;
  FM_TRY_VOID(add_up(spec, round, updates, open, running, sum));
  FM_TRY_VOID(add_noise(chain, spec, round, updates, sum));
  Aggregate out;
  HashingSink hashed(model);
  if (round.kind == RoundKind::standardisation) {
    FM_TRY_VOID(write_standardisation(spec, sum, records, hashed));
  } else {
    const bool record = is_record_step(spec);
    const auto from = open(round.base_root);
    if (!from.ok()) return from.error().with_context("the base model");
    const ServerStep step{sum.values, record ? records : sum.total_weight,
                          record ? spec.training.options.learning_rate_nano : kWholeStep};
    FM_TRY_VOID(write_next_model(spec, step, **from, base, hashed));
    out.separate_base = spec.training.average_iterates;
  }
  out.model_sha256 = hashed.finish();
  return out;
}

}  // namespace fedmesh::rounds
