// What an aggregator computes, against arithmetic of the test's own, and what it refuses to open.
#include "coordinator/rounds/aggregate.h"

#include <cmath>

#include "base/crypto/blob_hash.h"
#include "coordinator/rounds/openings.h"
#include "models/data/safetensors.h"
#include "privacy/noise.h"
#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::rounds {
namespace {

using protocol::JobSpec;
using protocol::RoundState;

class AggregateTest : public testing::Test {
 protected:
  static JobSpec plain_spec(std::int64_t inputs = 40) {
    JobSpec spec = small_spec();
    spec.architecture.input_shape = {inputs};
    spec.privacy = {};
    return spec;
  }
  static JobSpec noisy_spec(std::int64_t epsilon_nano, std::int64_t inputs = 40) {
    JobSpec spec = plain_spec(inputs);
    spec.privacy.mechanism = protocol::Mechanism::laplace;
    spec.privacy.clip_granules = 1 << 20;
    spec.privacy.epsilon_per_round_nano = epsilon_nano;
    return spec;
  }
  RoundState round(const JobSpec& spec, std::uint64_t number = 1) const {
    RoundState out;
    out.job = JobId{{1}};
    out.slot.round = RoundNumber{number};
    out.config_hash = spec.config_hash();
    out.epsilon_nano = spec.privacy.epsilon_per_round_nano;
    out.reveal_set_root = crypto::blake2b(as_bytes("S"));
    return out;
  }
  std::vector<CheckedUpdate> random_updates(const JobSpec& spec, std::size_t count) {
    std::vector<CheckedUpdate> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      out[i].worker.bytes[0] = static_cast<std::uint8_t>(i);
      out[i].examples = 10 * (i + 1);
      out[i].seed_share.fill(static_cast<std::uint8_t>(i + 1));
      out[i].values.resize(models::elements(spec.architecture.layout()));
      for (auto& value : out[i].values)
        value = static_cast<std::int32_t>(random_.below(2'000'001)) - 1'000'000;
    }
    return out;
  }
  std::vector<float> random_base(const JobSpec& spec) {
    std::vector<float> out(models::elements(spec.architecture.layout()));
    for (auto& value : out) value = static_cast<float>(random_.normal());
    return out;
  }
  static Bytes file(const JobSpec& spec, const std::vector<float>& values) {
    return models::encode_safetensors(models::unflatten(values, spec.architecture.layout()));
  }
  static std::vector<float> values_of(const JobSpec& spec, const Bytes& bytes) {
    return *models::flatten(*models::decode_safetensors(bytes), spec.architecture.layout());
  }
  // The test's own: base + sum / denominator · 2^-bits.
  static std::vector<float> step(std::vector<float> base, const std::vector<std::int64_t>& sum,
                                 std::uint64_t denominator, const JobSpec& spec,
                                 double rate = 1.0) {
    for (std::size_t i = 0; i < base.size(); ++i) {
      const double mean = static_cast<double>(sum[i]) / static_cast<double>(denominator);
      base[i] = static_cast<float>(
          static_cast<double>(base[i]) +
          rate * (mean * std::ldexp(1.0, -static_cast<int>(spec.privacy.fraction_bits))));
    }
    return base;
  }
  static std::vector<std::int64_t> sum_of(const std::vector<CheckedUpdate>& updates,
                                          bool by_examples = false) {
    std::vector<std::int64_t> sum(updates.front().values.size());
    for (const auto& update : updates)
      for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += static_cast<std::int64_t>(update.values[i]) *
                  (by_examples ? static_cast<std::int64_t>(update.examples) : 1);
    return sum;
  }

  ChainId chain_{{7}};
  SeededRandom random_{11};
};

TEST_F(AggregateTest, IsPlainFederatedAveragingWithoutNoise) {
  const JobSpec spec = plain_spec();
  const auto base = random_base(spec);
  for (const std::size_t count : {1u, 2u, 3u, 7u}) {
    const auto updates = random_updates(spec, count);
    const auto out = compute_aggregate(chain_, spec, round(spec), updates, file(spec, base));
    ASSERT_TRUE(out.ok()) << out.error().to_string();
    EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates), count, spec)));
    EXPECT_EQ(out->base, out->model);
  }
}

TEST_F(AggregateTest, WeighsByExamplesUpToTheCap) {
  JobSpec spec = plain_spec();
  spec.aggregation.weight = protocol::WeightMode::examples;
  spec.aggregation.weight_cap = 1000;
  const auto base = random_base(spec);
  auto updates = random_updates(spec, 3);  // 10, 20, 30 examples
  auto out = compute_aggregate(chain_, spec, round(spec), updates, file(spec, base));
  ASSERT_TRUE(out.ok()) << out.error().to_string();
  EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates, true), 60, spec)));
  spec.aggregation.weight_cap = 20;
  updates[2].examples = 20;
  const auto capped = compute_aggregate(chain_, spec, round(spec), updates, file(spec, base));
  updates[2].examples = 30;
  out = compute_aggregate(chain_, spec, round(spec), updates, file(spec, base));
  EXPECT_EQ(out->model, capped->model);
}

TEST_F(AggregateTest, TheRecordStepDividesByThePublicRecordCount) {
  JobSpec spec = noisy_spec(0);
  spec.privacy.mechanism = protocol::Mechanism::none;
  spec.privacy.unit = protocol::PrivacyUnit::record;
  const auto base = random_base(spec);
  const auto updates = random_updates(spec, 3);
  const auto out = compute_aggregate(chain_, spec, round(spec), updates, file(spec, base));
  ASSERT_TRUE(out.ok()) << out.error().to_string();
  EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates), 60, spec, 0.5)));
}

TEST_F(AggregateTest, AddsTheNoiseThatFollowsFromSAndTheShares) {
  const JobSpec spec = noisy_spec(250'000'000);
  const auto base = random_base(spec);
  const auto updates = random_updates(spec, 3);
  const auto at = round(spec);
  const auto out = compute_aggregate(chain_, spec, at, updates, file(spec, base));
  ASSERT_TRUE(out.ok()) << out.error().to_string();
  auto sum = sum_of(updates);
  std::vector<std::array<std::uint8_t, 32>> shares;
  for (const auto& update : updates) shares.push_back(update.seed_share);
  const auto seed =
      protocol::noise_seed(chain_, at.job, at.slot, at.config_hash, *at.reveal_set_root, shares);
  const auto noise = privacy::DiscreteLaplace::create({1u << 20, 250'000'000});
  const auto samples = noise->sample(sum.size(), seed);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += samples[i];
  EXPECT_EQ(out->model, file(spec, step(base, sum, 3, spec)));
  // Whatever the seed covers changes the noise.
  auto other = updates;
  other[1].seed_share[0] ^= 1;
  EXPECT_NE(compute_aggregate(chain_, spec, at, other, file(spec, base))->model, out->model);
  auto moved = at;
  moved.slot.attempt = Attempt{1};
  EXPECT_NE(compute_aggregate(chain_, spec, moved, updates, file(spec, base))->model, out->model);
}

// The noise of released aggregates against the scale that is on the record. 40,040 coordinates over
// 20 rounds per scale; the updates are zero, so that the aggregate is noise alone. In 99.999 % of
// all seeds (these are fixed): the mean of |noise| is within 4.5 standard errors, b / sqrt(n), of
// b; the variance within 4.5 · sqrt(5 / n) of 2 b^2 (the kurtosis of Laplace's law is 6); and
// chi-square over ten equally probable bins is below 40 (nine degrees of freedom).
TEST_F(AggregateTest, ItsNoiseHasTheRecordedScale) {
  for (const std::int64_t epsilon_nano :
       std::initializer_list<std::int64_t>{90000000, 1000000000, 5000000000}) {
    const JobSpec spec = noisy_spec(epsilon_nano, 1000);
    const std::vector<float> zero(models::elements(spec.architecture.layout()), 0.0f);
    const double b = 1.0 / (static_cast<double>(epsilon_nano) / 1e9);  // clip 1.0 in the model
    double n = 0, absolute = 0, squares = 0;
    std::array<double, 10> bins{};
    for (std::uint64_t number = 1; number <= 20; ++number) {
      std::vector<CheckedUpdate> updates(1);
      updates[0].values.assign(zero.size(), 0);
      updates[0].seed_share.fill(static_cast<std::uint8_t>(number));
      const auto out =
          compute_aggregate(chain_, spec, round(spec, number), updates, file(spec, zero));
      ASSERT_TRUE(out.ok()) << out.error().to_string();
      for (const float value : values_of(spec, out->model)) {
        const double x = value;
        n += 1;
        absolute += std::abs(x);
        squares += x * x;
        const double cdf = x < 0 ? 0.5 * std::exp(x / b) : 1 - 0.5 * std::exp(-x / b);
        ++bins[std::min<std::size_t>(9, static_cast<std::size_t>(cdf * 10))];
      }
    }
    ASSERT_GT(n, 20'000);
    EXPECT_NEAR(absolute / n / b, 1, 4.5 / std::sqrt(n)) << "epsilon " << epsilon_nano;
    EXPECT_NEAR(squares / n / (2 * b * b), 1, 4.5 * std::sqrt(5 / n)) << "epsilon " << epsilon_nano;
    double chi = 0;
    for (const double count : bins) chi += (count - n / 10) * (count - n / 10) / (n / 10);
    EXPECT_LT(chi, 40) << "epsilon " << epsilon_nano;
  }
}

TEST_F(AggregateTest, TheReleasedModelIsTheMeanOfTheIteratesWhereAskedFor) {
  JobSpec spec = plain_spec();
  spec.training.average_iterates = true;
  std::vector<float> iterate = random_base(spec);
  std::vector<double> sum(iterate.size(), 0.0);
  Bytes base = file(spec, iterate);
  for (std::uint64_t number = 1; number <= 4; ++number) {
    const auto updates = random_updates(spec, 3);
    const auto out = compute_aggregate(chain_, spec, round(spec, number), updates, base);
    ASSERT_TRUE(out.ok()) << out.error().to_string();
    iterate = step(iterate, sum_of(updates), 3, spec);
    std::vector<float> mean(iterate.size());
    for (std::size_t i = 0; i < iterate.size(); ++i) {
      sum[i] += static_cast<double>(iterate[i]);
      mean[i] = static_cast<float>(sum[i] / static_cast<double>(number));
    }
    EXPECT_EQ(out->model, file(spec, mean));
    EXPECT_EQ(values_of(spec, out->base), iterate);
    base = out->base;
  }
}

TEST_F(AggregateTest, AMalformedBaseIsRefused) {
  const JobSpec spec = plain_spec();
  const auto updates = random_updates(spec, 2);
  for (const Bytes& base :
       {Bytes{}, Bytes(100, 0xff), file(plain_spec(7), random_base(plain_spec(7)))})
    EXPECT_FALSE(compute_aggregate(chain_, spec, round(spec), updates, base).ok());
}

// An honest opening and every way to spoil it.
class OpeningTest : public AggregateTest {
 protected:
  OpeningTest() : spec_(noisy_spec(100'000'000)), round_(round(spec_)) {
    update_.values.resize(4 * update_dimension(spec_, round_.kind));
    store_le32(update_.values, 1000);
    update_.examples = 50;
    update_.seed_share.fill(3);
    salt_.fill(4);
    round_.cohort.resize(2);
    round_.cohort[0].worker = NodeId{{5}};
    round_.cohort[0].data_root = Digest{{6}};
    round_.cohort[0].record_count = 50;
    round_.cohort[1].worker = NodeId{{9}};
    commit(bytes());
  }
  Bytes bytes() const { return codec::encode(protocol::Opening{codec::encode(update_), salt_}); }
  void commit(const Bytes& opening) {
    const auto decoded = codec::decode<protocol::Opening>(opening);
    round_.cohort[0].commitment =
        protocol::commitment(chain_, round_.job, round_.slot, round_.base_root, NodeId{{5}},
                             Digest{{6}}, *decoded, update_.trace_root);
  }
  Result<CheckedUpdate> check(const Bytes& opening) const {
    return check_opening(chain_, spec_, round_, round_.cohort[0], opening);
  }
  ErrorCode code(const Bytes& opening) const {
    const auto checked = check(opening);
    return checked.ok() ? ErrorCode::exhausted : checked.error().code;
  }
  protocol::OpeningFrame frame(const Bytes& opening, std::size_t from, std::size_t count) const {
    const auto part = ByteView(opening).subspan(from, count);
    return {round_.job, round_.slot, opening.size(), from, to_bytes(part)};
  }
  protocol::OpeningStatus add(Openings& openings, const protocol::OpeningFrame& frame,
                              const NodeId& worker = NodeId{{5}}) const {
    return openings.add(chain_, spec_, round_, worker, frame);
  }

  JobSpec spec_;
  RoundState round_;
  protocol::Update update_;
  std::array<std::uint8_t, 32> salt_;
};

TEST_F(OpeningTest, AnHonestOneIsTaken) {
  const auto checked = check(bytes());
  ASSERT_TRUE(checked.ok()) << checked.error().to_string();
  EXPECT_EQ(checked->values[0], 1000);
  EXPECT_EQ(checked->examples, 50u);
  EXPECT_EQ(checked->seed_share, update_.seed_share);
}

TEST_F(OpeningTest, EveryFlippedByteIsRefused) {
  const Bytes honest = bytes();
  for (std::size_t i = 0; i < honest.size(); ++i) {
    Bytes flipped = honest;
    flipped[i] ^= 1;
    EXPECT_FALSE(check(flipped).ok()) << "byte " << i;
  }
  for (std::size_t size = 0; size < honest.size(); ++size)
    EXPECT_FALSE(
        check(Bytes(honest.begin(), honest.begin() + static_cast<std::ptrdiff_t>(size))).ok());
}

TEST_F(OpeningTest, ItIsBoundToWorkerDataRoundAndModel) {
  const Bytes honest = bytes();
  const RoundState kept = round_;
  const auto spoiled = [&](auto change) {
    round_ = kept;
    change(round_);
    return code(honest);
  };
  using Round = RoundState;
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].worker.bytes[0] ^= 1; }),
            ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].data_root.bytes[0] ^= 1; }),
            ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.base_root.bytes[0] ^= 1; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.job.bytes[0] ^= 1; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.slot.round = RoundNumber{2}; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.slot.attempt = Attempt{1}; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].commitment.reset(); }), ErrorCode::unauthenticated);
  round_ = kept;
  chain_.bytes[0] ^= 1;
  EXPECT_EQ(code(honest), ErrorCode::unauthenticated);
}

// Committed to, and still inadmissible.
TEST_F(OpeningTest, InadmissibleUpdatesAreRefused) {
  const auto refused = [&](auto change) {
    const auto kept = update_;
    change(update_);
    commit(bytes());
    const ErrorCode out = code(bytes());
    update_ = kept;
    return out;
  };
  using Update = protocol::Update;
  EXPECT_EQ(refused([](Update& u) { u.values.resize(u.values.size() - 4); }),
            ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { u.values.push_back(0); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { u.examples = 51; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { store_le32(u.values, (1 << 20) + 1); }),
            ErrorCode::invalid_argument)
      << "above the clip norm";
  EXPECT_EQ(refused([](Update& u) { store_le32(u.values, 0x80000000); }),
            ErrorCode::invalid_argument)
      << "the most negative number";
  EXPECT_EQ(refused([](Update& u) { store_le32(u.values, 1 << 20); }), ErrorCode::exhausted)
      << "at the clip norm it is taken";
}

TEST_F(OpeningTest, FramesResumeWhereTheyWereLost) {
  Openings openings;
  const Bytes whole = bytes();
  EXPECT_EQ(add(openings, frame(whole, 50, 50)).received, 0u) << "out of order: from the start";
  EXPECT_EQ(add(openings, frame(whole, 0, 60)).received, 60u);
  EXPECT_EQ(add(openings, frame(whole, 0, 60)).received, 60u) << "again: nothing is doubled";
  EXPECT_EQ(add(openings, frame(whole, 100, 10)).received, 60u) << "a gap";
  EXPECT_FALSE(openings.settled(NodeId{{5}}));
  EXPECT_EQ(openings.checked(NodeId{{5}}), nullptr);
  const auto last = add(openings, frame(whole, 60, whole.size() - 60));
  EXPECT_EQ(last.received, whole.size());
  EXPECT_EQ(last.error, "");
  ASSERT_NE(openings.checked(NodeId{{5}}), nullptr);
  EXPECT_EQ(openings.checked(NodeId{{5}})->values[0], 1000);
  EXPECT_EQ(add(openings, frame(whole, 0, 60)).received, whole.size()) << "complete stays complete";
}

TEST_F(OpeningTest, OversizeAndForeignFramesAreRefused) {
  Openings openings;
  const Bytes whole = bytes();
  EXPECT_NE(add(openings, frame(whole, 0, 60), NodeId{{8}}).error, "") << "not in the cohort";
  EXPECT_NE(add(openings, frame(whole, 0, 60), NodeId{{9}}).error, "") << "has not committed";
  auto huge = frame(whole, 0, 60);
  huge.total = std::uint64_t{1} << 40;
  EXPECT_NE(add(openings, huge).error, "");
  EXPECT_TRUE(openings.settled(NodeId{{5}}));
  Openings fresh;
  EXPECT_EQ(add(fresh, frame(whole, 0, 60)).received, 60u);
  auto other_total = frame(whole, 60, 10);
  other_total.total -= 1;
  EXPECT_EQ(add(fresh, other_total).received, 60u);
  auto overlong = frame(whole, 60, whole.size() - 60);
  overlong.bytes.resize(overlong.bytes.size() + 1);
  EXPECT_EQ(add(fresh, overlong).received, 60u);
  auto wrapping = frame(whole, 60, 10);
  wrapping.offset = ~std::uint64_t{0} - 5;
  EXPECT_EQ(add(fresh, wrapping).received, 60u);
}

TEST_F(OpeningTest, AWrongOneIsRefusedForGood) {
  Openings openings;
  Bytes wrong = bytes();
  wrong.back() ^= 1;
  EXPECT_NE(add(openings, frame(wrong, 0, wrong.size())).error, "");
  EXPECT_TRUE(openings.settled(NodeId{{5}}));
  EXPECT_NE(add(openings, frame(bytes(), 0, wrong.size())).error, "");
  EXPECT_EQ(openings.checked(NodeId{{5}}), nullptr);
}

}  // namespace
}  // namespace fedmesh::rounds
