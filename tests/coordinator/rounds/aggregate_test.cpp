// What an aggregator computes, against arithmetic of the test's own, and what it refuses to open.
#include "coordinator/rounds/aggregate.h"

#include <cmath>

#include "coordinator/rounds/running_sum.h"
#include "models/data/safetensors.h"
#include "privacy/noise.h"
#include "tests/coordinator/rounds/machine_fixture.h"
#include "tests/coordinator/rounds/sealed_fixture.h"

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
  std::vector<PlainUpdate> random_updates(const JobSpec& spec, std::size_t count) {
    std::vector<PlainUpdate> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      out[i].worker.bytes[0] = static_cast<std::uint8_t>(i);
      out[i].examples = 10 * (i + 1);
      out[i].seed_share.fill(static_cast<std::uint8_t>(i + 1));
      for (auto& byte : out[i].content_key) byte = static_cast<std::uint8_t>(random_.next_u64());
      out[i].values.resize(models::elements(spec.architecture.layout()));
      for (auto& value : out[i].values)
        value = static_cast<std::int32_t>(random_.below(2'000'001)) - 1'000'000;
    }
    return out;
  }
  struct Files {
    Bytes model;
    Bytes base;
    std::size_t longest = 0;  // of all reads and writes
  };
  // Seals the updates, computes, and checks what is said of the files.
  Result<Files> aggregate(const JobSpec& spec, RoundState at,
                          const std::vector<PlainUpdate>& updates, const Bytes& base) const {
    MemoryFiles files;
    at.base_root = files.put(base);
    std::vector<OpenedUpdate> opened;
    for (const auto& update : updates)
      opened.push_back({update.worker, files.put(update.seal()), update.key(), update.examples,
                        crypto::Secret<32>(update.seed_share)});
    MemorySink next, model;
    FM_TRY(const auto out,
           compute_aggregate(chain_, spec, at, opened, files.opener(), next, model));
    EXPECT_EQ(out.model_sha256, crypto::sha256(model.bytes));
    EXPECT_EQ(out.separate_base, spec.training.average_iterates);
    EXPECT_EQ(next.bytes.empty(), !out.separate_base);
    return Files{model.bytes, out.separate_base ? next.bytes : model.bytes,
                 std::max({files.longest_read(), next.longest, model.longest})};
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
  static std::vector<std::int64_t> sum_of(const std::vector<PlainUpdate>& updates,
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
    const auto out = aggregate(spec, round(spec), updates, file(spec, base));
    ASSERT_TRUE(out.ok()) << out.error().to_string();
    EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates), count, spec)));
    EXPECT_EQ(out->base, out->model);
  }
}

// Three sealed chunks, three blocks of the model: no file is read or written in one piece.
TEST_F(AggregateTest, LargeOnesGoThroughBlockByBlock) {
  for (const bool averaged : {false, true}) {
    JobSpec spec = plain_spec(40'000);
    spec.training.average_iterates = averaged;
    const auto base = random_base(spec);
    const auto updates = random_updates(spec, 3);
    ASSERT_GT(updates[0].seal().size(), 2 * protocol::kSealedChunkBytes);
    const auto out = aggregate(spec, round(spec), updates, file(spec, base));
    ASSERT_TRUE(out.ok()) << out.error().to_string();
    // The mean of one iterate is that iterate.
    EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates), 3, spec)));
    EXPECT_LE(out->longest, 128u * 1024) << "one block of f64";
  }
}

TEST_F(AggregateTest, DamagedOrMissingCiphertextsAreErrors) {
  const JobSpec spec = plain_spec();
  const auto updates = random_updates(spec, 2);
  MemoryFiles files;
  RoundState at = round(spec);
  at.base_root = files.put(file(spec, random_base(spec)));
  const auto code = [&](const Digest& root) {
    std::vector<OpenedUpdate> opened;
    opened.push_back({updates[0].worker, files.put(updates[0].seal()), updates[0].key(), 10, {}});
    opened.push_back({updates[1].worker, root, updates[1].key(), 20, {}});
    MemorySink next, model;
    const auto out = compute_aggregate(chain_, spec, at, opened, files.opener(), next, model);
    EXPECT_TRUE(model.bytes.empty());
    return out.ok() ? ErrorCode::exhausted : out.error().code;
  };
  Bytes damaged = updates[1].seal();
  damaged[200] ^= 1;
  EXPECT_EQ(code(files.put(damaged)), ErrorCode::unauthenticated);
  EXPECT_EQ(code(Digest{{1}}), ErrorCode::not_found);
  PlainUpdate shorter = updates[1];
  shorter.values.pop_back();
  EXPECT_EQ(code(files.put(shorter.seal())), ErrorCode::corruption);
}

TEST_F(AggregateTest, WeighsByExamplesUpToTheCap) {
  JobSpec spec = plain_spec();
  spec.aggregation.weight = protocol::WeightMode::examples;
  spec.aggregation.weight_cap = 1000;
  const auto base = random_base(spec);
  auto updates = random_updates(spec, 3);  // 10, 20, 30 examples
  auto out = aggregate(spec, round(spec), updates, file(spec, base));
  ASSERT_TRUE(out.ok()) << out.error().to_string();
  EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates, true), 60, spec)));
  spec.aggregation.weight_cap = 20;
  updates[2].examples = 20;
  const auto capped = aggregate(spec, round(spec), updates, file(spec, base));
  updates[2].examples = 30;
  out = aggregate(spec, round(spec), updates, file(spec, base));
  EXPECT_EQ(out->model, capped->model);
}

TEST_F(AggregateTest, TheRecordStepDividesByThePublicRecordCount) {
  JobSpec spec = noisy_spec(0);
  spec.privacy.mechanism = protocol::Mechanism::none;
  spec.privacy.unit = protocol::PrivacyUnit::record;
  const auto base = random_base(spec);
  const auto updates = random_updates(spec, 3);
  const auto out = aggregate(spec, round(spec), updates, file(spec, base));
  ASSERT_TRUE(out.ok()) << out.error().to_string();
  EXPECT_EQ(out->model, file(spec, step(base, sum_of(updates), 60, spec, 0.5)));
}

TEST_F(AggregateTest, AddsTheNoiseThatFollowsFromSAndTheShares) {
  const JobSpec spec = noisy_spec(250'000'000);
  const auto base = random_base(spec);
  const auto updates = random_updates(spec, 3);
  const auto at = round(spec);
  const auto out = aggregate(spec, at, updates, file(spec, base));
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
  EXPECT_NE(aggregate(spec, at, other, file(spec, base))->model, out->model);
  auto moved = at;
  moved.slot.attempt = Attempt{1};
  EXPECT_NE(aggregate(spec, moved, updates, file(spec, base))->model, out->model);
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
      std::vector<PlainUpdate> updates(1);
      updates[0].values.assign(zero.size(), 0);
      updates[0].seed_share.fill(static_cast<std::uint8_t>(number));
      const auto out = aggregate(spec, round(spec, number), updates, file(spec, zero));
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
    const auto out = aggregate(spec, round(spec, number), updates, base);
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
    EXPECT_FALSE(aggregate(spec, round(spec), updates, base).ok());
}

// However it ends: its memory, wiped, is what the next sum gets.
TEST_F(AggregateTest, TheSumIsWipedAlsoWhenAFileIsMissing) {
  const JobSpec spec = plain_spec();
  const auto updates = random_updates(spec, 2);
  for (const std::size_t missing : {0u, 1u, 2u}) {
    MemoryFiles files;
    std::vector<OpenedUpdate> opened;
    for (std::size_t i = 0; i < updates.size(); ++i) {
      const Bytes sealed = updates[i].seal();
      opened.push_back(
          {updates[i].worker, i == missing ? crypto::blob_root(sealed) : files.put(sealed),
           updates[i].key(), updates[i].examples, crypto::Secret<32>(updates[i].seed_share)});
    }
    RunningSum running;
    auto memory = running.zeros(updates[0].values.size());
    const auto* const place = memory.data();
    running.give_back(std::move(memory));
    MemorySink base, model;
    EXPECT_FALSE(
        compute_aggregate(chain_, spec, round(spec), opened, files.opener(), base, model, &running)
            .ok());
    const auto next = running.zeros(updates[0].values.size());
    EXPECT_EQ(next.data(), place) << "file " << missing;
    EXPECT_THAT(next, testing::Each(0));
  }
}

// An honest sealed update and every way to spoil it. Four members; the second one is this node.
class OpenUpdateTest : public AggregateTest {
 protected:
  OpenUpdateTest() : spec_(noisy_spec(100'000'000)), round_(round(spec_)) {
    update_.worker = NodeId{{5}};
    update_.values.assign(update_dimension(spec_, round_.kind), 0);
    update_.values[0] = 1000;
    update_.examples = 50;
    update_.seed_share.fill(3);
    update_.salt.fill(4);
    update_.content_key.fill(9);
    round_.cohort.resize(2);
    round_.cohort[0].worker = update_.worker;
    round_.cohort[0].data_root = Digest{{6}};
    round_.cohort[0].record_count = 50;
    round_.cohort[1].worker = NodeId{{9}};
    for (std::uint8_t i = 0; i < 4; ++i)
      round_.members.push_back({NodeId{{i}}, crypto::x25519_public(secret(i)), false, {}});
    commit();
  }
  static crypto::X25519Secret secret(std::uint8_t number) {
    return crypto::X25519Secret(std::array<std::uint8_t, 32>{number, 77});
  }
  void commit() {
    ciphertext_ = update_.seal();
    reveal_ = update_.reveal(chain_, round_, ciphertext_);
    round_.cohort[0].commitment = update_.commitment(chain_, round_, round_.cohort[0], ciphertext_);
  }
  Result<OpenedUpdate> open(std::uint8_t member = 1) const {
    return open_update(chain_, spec_, round_, round_.cohort[0], reveal_,
                       RoundKey{NodeId{{member}}, secret(member)}, MemorySource(ciphertext_));
  }
  ErrorCode code() const {
    const auto opened = open();
    return opened.ok() ? ErrorCode::exhausted : opened.error().code;
  }

  JobSpec spec_;
  RoundState round_;
  PlainUpdate update_;
  Bytes ciphertext_;
  protocol::Reveal reveal_;
};

TEST_F(OpenUpdateTest, EveryMemberTakesAnHonestOne) {
  for (std::uint8_t member = 0; member < 4; ++member) {
    const auto opened = open(member);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    EXPECT_EQ(opened->worker, update_.worker);
    EXPECT_EQ(opened->ciphertext_root, crypto::blob_root(ciphertext_));
    EXPECT_EQ(opened->examples, 50u);
    EXPECT_EQ(to_bytes(opened->key.view()), to_bytes(update_.key().view()));
    EXPECT_TRUE(std::ranges::equal(opened->seed_share.view(), update_.seed_share));
  }
}

// Checked and added in one reading; what is refused leaves no trace, and the sum is given once.
TEST_F(OpenUpdateTest, CheckingSumsWhatIsAdmissible) {
  spec_ = noisy_spec(100'000'000, 40'000);
  update_.values.assign(update_dimension(spec_, round_.kind), 0);
  update_.values[0] = 1000;
  update_.values.back() = -7;
  commit();
  RunningSum running;
  const auto check = [&] {
    return open_update(chain_, spec_, round_, round_.cohort[0], reveal_,
                       RoundKey{NodeId{{1}}, secret(1)}, MemorySource(ciphertext_), &running);
  };
  const auto good = to_bytes(ciphertext_);
  update_.values[1] = spec_.privacy.clip_granules * 60;
  commit();
  EXPECT_EQ(check().error().code, ErrorCode::invalid_argument) << "beyond the clip";
  update_.values[1] = 0;
  commit();
  ciphertext_[ciphertext_.size() - 1] ^= 1;  // found in its last chunk
  EXPECT_EQ(check().error().code, ErrorCode::unauthenticated);
  ciphertext_ = good;
  std::vector<OpenedUpdate> opened;
  opened.push_back(check().value());
  const std::uint32_t weights[] = {1};
  EXPECT_FALSE(running.take(JobId{{99}}, round_.slot, opened, weights)) << "another job";
  EXPECT_FALSE(running.take(round_.job, round_.slot, {}, {})) << "another set";
  const auto sum = running.take(round_.job, round_.slot, opened, weights);
  ASSERT_TRUE(sum);
  EXPECT_EQ(sum->values, std::vector<std::int64_t>(update_.values.begin(), update_.values.end()));
  EXPECT_EQ(sum->total_weight, 1u);
  EXPECT_FALSE(running.take(round_.job, round_.slot, opened, weights)) << "it was taken";
}

// Counting it twice is worse than reading all of them again.
TEST_F(OpenUpdateTest, AnUpdateThatIsCheckedTwiceSpoilsTheRunningSum) {
  RunningSum running;
  std::vector<OpenedUpdate> opened;
  for (int i = 0; i < 2; ++i) {
    auto one = open_update(chain_, spec_, round_, round_.cohort[0], reveal_,
                           RoundKey{NodeId{{1}}, secret(1)}, MemorySource(ciphertext_), &running);
    ASSERT_TRUE(one.ok());
    opened.clear();
    opened.push_back(std::move(one).value());
  }
  const std::uint32_t weights[] = {1};
  EXPECT_FALSE(running.take(round_.job, round_.slot, opened, weights));
}

TEST_F(OpenUpdateTest, ItIsReadChunkByChunk) {
  spec_ = noisy_spec(100'000'000, 40'000);
  update_.values.assign(update_dimension(spec_, round_.kind), 0);
  commit();
  MemoryFiles files;
  const auto source = *files.opener()(files.put(ciphertext_));
  const auto opened = open_update(chain_, spec_, round_, round_.cohort[0], reveal_,
                                  RoundKey{NodeId{{1}}, secret(1)}, *source);
  EXPECT_TRUE(opened.ok());
  EXPECT_EQ(files.longest_read(), protocol::kSealedChunkBytes);
}

TEST_F(OpenUpdateTest, EveryFlippedByteIsRefused) {
  const Bytes honest = ciphertext_;
  for (std::size_t i = 0; i < honest.size(); ++i) {
    ciphertext_ = honest;
    ciphertext_[i] ^= 1;
    EXPECT_EQ(code(), ErrorCode::unauthenticated) << "byte " << i;
  }
  for (const std::size_t size : {std::size_t{0}, honest.size() - 4, honest.size() + 4}) {
    ciphertext_ = honest;
    ciphertext_.resize(size);
    EXPECT_EQ(code(), ErrorCode::invalid_argument) << size;
  }
}

TEST_F(OpenUpdateTest, ItIsBoundToWorkerDataRoundAndModel) {
  const RoundState kept = round_;
  const auto spoiled = [&](auto change) {
    round_ = kept;
    change(round_);
    return code();
  };
  using Round = RoundState;
  EXPECT_EQ(spoiled([](Round&) {}), ErrorCode::exhausted);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].worker.bytes[0] ^= 1; }),
            ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].data_root.bytes[0] ^= 1; }),
            ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.base_root.bytes[0] ^= 1; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.job.bytes[0] ^= 1; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.slot.round = RoundNumber{2}; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.slot.attempt = Attempt{1}; }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].commitment.reset(); }), ErrorCode::unauthenticated);
  EXPECT_EQ(spoiled([](Round& r) { r.cohort[0].commitment->bytes[0] ^= 1; }),
            ErrorCode::unauthenticated);
  round_ = kept;
  chain_.bytes[0] ^= 1;
  EXPECT_EQ(code(), ErrorCode::unauthenticated);
}

// A worker that gives some members a key that does not open, to split them.
TEST_F(OpenUpdateTest, AWrongBoxForAnyMemberIsSeenByAll) {
  const auto kept = reveal_;
  for (std::size_t i = 0; i < 4; ++i) {
    reveal_ = kept;
    reveal_.keys[i].box[70] ^= 1;
    EXPECT_EQ(code(), ErrorCode::unauthenticated) << i;
    reveal_ = kept;  // a box that opens, but to another key
    reveal_.keys[i] = *protocol::seal_key(protocol::ContentKey(std::array<std::uint8_t, 32>{1}),
                                          {chain_, round_.job, round_.slot, update_.worker},
                                          round_.members[i].member, *round_.members[i].round_key,
                                          reveal_.ciphertext_root);
    EXPECT_EQ(code(), ErrorCode::unauthenticated) << i;
  }
  reveal_ = kept;
  std::swap(reveal_.keys[2].box, reveal_.keys[3].box);
  EXPECT_EQ(code(), ErrorCode::unauthenticated);
  reveal_ = kept;
  reveal_.keys.pop_back();
  EXPECT_EQ(code(), ErrorCode::invalid_argument);
  reveal_ = kept;
  EXPECT_EQ(open(9).error().code, ErrorCode::unauthenticated) << "not a member";
}

// Committed to, sealed well, and still inadmissible.
TEST_F(OpenUpdateTest, InadmissibleUpdatesAreRefused) {
  const auto refused = [&](auto change) {
    const auto kept = update_;
    change(update_);
    commit();
    const ErrorCode out = code();
    update_ = kept;
    return out;
  };
  using Update = PlainUpdate;
  EXPECT_EQ(refused([](Update& u) { u.values.pop_back(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { u.values.push_back(0); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { u.examples = 51; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Update& u) { u.values[0] = (1 << 20) + 1; }), ErrorCode::invalid_argument)
      << "above the clip norm";
  EXPECT_EQ(refused([](Update& u) { u.values[1] = INT32_MIN; }), ErrorCode::invalid_argument)
      << "the most negative number";
  EXPECT_EQ(refused([](Update& u) { u.values[0] = -(1 << 20); }), ErrorCode::exhausted)
      << "at the clip norm it is taken";
}

}  // namespace
}  // namespace fedmesh::rounds
