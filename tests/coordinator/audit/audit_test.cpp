#include "coordinator/audit/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "coordinator/ledger/export.h"
#include "models/data/safetensors.h"
#include "tests/coordinator/audit/world.h"

namespace fedmesh::audit {
namespace {

using protocol::JobState;
using protocol::RoundPhase;
using protocol::RoundState;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Two training rounds, everybody present.
std::unique_ptr<World> two_rounds(std::uint8_t nonce = 1) {
  auto world = std::make_unique<World>(small_job(), nonce);
  world->start();
  world->play_round();
  world->play_round();
  return world;
}

AuditReport sound(const AuditInput& input) {
  auto report = audit(input);
  EXPECT_TRUE(report.ok()) << report.error().to_string();
  return report.ok() ? std::move(*report) : AuditReport{};
}

std::string refused(const AuditInput& input) {
  const auto report = audit(input);
  EXPECT_FALSE(report.ok());
  return report.ok() ? "" : report.error().to_string();
}

std::vector<std::string> said(const AuditReport& report) {
  std::vector<std::string> out;
  for (const auto& statement : report.statements)
    out.push_back(statement.label() + ": " + statement.text);
  return out;
}

TEST(AuditTest, TracesTheNewestModel) {
  const auto world = two_rounds();
  const AuditReport report = sound(world->input());
  EXPECT_EQ(report.slot.round.value, 2u);
  EXPECT_TRUE(report.newest);
  EXPECT_EQ(report.network, "audited");
  EXPECT_EQ(report.job, world->job());
  EXPECT_EQ(report.owner_name, "owner");
  EXPECT_EQ(report.model_sha256, crypto::sha256(world->model()));
  EXPECT_EQ(report.epsilon_spent_nano, 1'000'000'000);
  ASSERT_EQ(report.rounds.size(), 2u);
  const RoundEntry& first = report.rounds[0];
  EXPECT_EQ(first.attestations, 1u);
  EXPECT_TRUE(first.charged);
  ASSERT_EQ(first.cohort.size(), 2u);
  EXPECT_TRUE(first.cohort[0].in_set && first.cohort[1].in_set);
  EXPECT_EQ(first.cohort[0].name.substr(0, 6), "clinic");
  ASSERT_EQ(first.aggregators.size(), 1u);
  EXPECT_EQ(first.aggregators[0].name, "hub");
  EXPECT_LT(first.opened_height, *first.closed_height);
}

TEST(AuditTest, EveryStatementSaysHowStrongItIs) {
  const auto statements = said(sound(two_rounds()->input()));
  EXPECT_THAT(statements, Contains(HasSubstr("proved: Every byte of this file is the model of")));
  EXPECT_THAT(statements, Contains(HasSubstr("proved: The job's log is complete")));
  EXPECT_THAT(statements, Contains(AllOf(HasSubstr("proved: Budget arithmetic"),
                                         HasSubstr("an epsilon of 1, "))));
  EXPECT_THAT(statements, Contains(AllOf(HasSubstr("attested 1 of 1: The model is what the rule"),
                                         HasSubstr("1048576 / 0.5 granules"))));
  EXPECT_THAT(statements, Contains(HasSubstr("claimed: The beacons")));
  EXPECT_THAT(statements, Contains(HasSubstr("claimed: Each data root")));
  EXPECT_THAT(statements, Contains(HasSubstr("claimed: The chain id is claimed by the file: "
                                             "compare with")));
}

TEST(AuditTest, AnEarlierModelIsAcceptedWithItsRound) {
  World world;
  world.start();
  world.play_round();
  const Bytes first = world.model();
  world.play_round();
  AuditInput input = world.input();
  input.model = first;
  const AuditReport report = sound(input);
  EXPECT_EQ(report.slot.round.value, 1u);
  EXPECT_FALSE(report.newest);
  EXPECT_EQ(report.epsilon_charged_nano, 500'000'000);
  EXPECT_EQ(report.epsilon_spent_nano, 1'000'000'000);
}

TEST(AuditTest, APinnedChainIsProved) {
  const auto world = two_rounds();
  AuditInput input = world->input();
  input.pinned_chain = world->chain().id();
  const auto statements = said(sound(input));
  EXPECT_THAT(statements, Contains(HasSubstr("proved: The ledger is of the chain that you named")));
  EXPECT_THAT(statements, Not(Contains(HasSubstr("claimed by the file"))));
}

TEST(AuditTest, RefusesAnotherPinnedChain) {
  AuditInput input = two_rounds()->input();
  input.pinned_chain = two_rounds(2)->chain().id();
  EXPECT_THAT(refused(input), AllOf(HasSubstr("ledger.export: it is of chain"),
                                    HasSubstr(input.pinned_chain->hex())));
}

TEST(AuditTest, RefusesTheExportOfAnotherChain) {
  const auto world = two_rounds();
  AuditInput input = world->input();
  input.ledger_export = two_rounds(2)->export_bytes();
  EXPECT_THAT(refused(input),
              AllOf(HasSubstr("model.safetensors"), HasSubstr(crypto::sha256(input.model).hex()),
                    HasSubstr("no byte of the model may differ")));
}

TEST(AuditTest, AModelOfNoRoundListsTheRounds) {
  const auto world = two_rounds();
  AuditInput input = world->input();
  input.model.back() ^= 1;
  EXPECT_THAT(
      refused(input),
      AllOf(HasSubstr("round 2 " + crypto::sha256(world->model()).short_hex()),
            HasSubstr("round 1 " + world->round_state(1).aggregate->model_sha256.short_hex())));
}

TEST(AuditTest, AnUnfinishedLedgerHasNoModel) {
  World world;
  world.start();
  AuditInput input = world.input();
  input.model = two_rounds()->model();
  EXPECT_THAT(refused(input), HasSubstr("no round of this ledger is attested"));
}

TEST(AuditTest, AVoidRoundIsPartOfTheHistory) {
  World world;
  world.start();
  world.play_round({.silent = {1}, .attest = {}});
  world.play_round();
  const AuditReport report = sound(world.input());
  ASSERT_EQ(report.rounds.size(), 2u);
  EXPECT_EQ(report.rounds[0].phase, RoundPhase::voided);
  EXPECT_FALSE(report.rounds[0].charged);
  EXPECT_FALSE(report.rounds[0].model.has_value());
  EXPECT_THAT(report.rounds[0].reason, HasSubstr("1 of 2 workers committed"));
  EXPECT_EQ(report.slot.attempt.value, 1u);
  EXPECT_EQ(report.epsilon_charged_nano, 500'000'000);
  EXPECT_THAT(to_text(report), HasSubstr("1 of 2 workers committed"));
}

TEST(AuditTest, AJobWithoutNoiseHasNoBudget) {
  auto spec = small_job();
  spec.privacy = {};
  World world(spec);
  world.start();
  world.play_round();
  const AuditReport report = sound(world.input());
  EXPECT_EQ(report.epsilon_spent_nano, 0);
  EXPECT_THAT(said(report), Not(Contains(HasSubstr("Budget arithmetic"))));
  EXPECT_THAT(said(report), Contains(HasSubstr("without noise")));
}

protocol::JobSpec query_job() {
  auto spec = small_job();
  spec.training.average_iterates = true;
  spec.privacy.unit = protocol::PrivacyUnit::record;
  spec.privacy.fraction_bits = 12;
  spec.privacy.clip_granules = 1 << 16;
  spec.privacy.total.epsilon_nano = 2'000'000'000;
  spec.preprocessing.standardise = protocol::Standardise::private_query;
  spec.preprocessing.epsilon_nano = 250'000'000;
  return spec;
}

TEST(AuditTest, AQueryRoundIsChargedAndIsNoModel) {
  World world(query_job());
  world.start();
  world.play_round();
  world.play_round();
  const AuditReport report = sound(world.input());
  ASSERT_EQ(report.rounds.size(), 2u);
  EXPECT_EQ(report.rounds[0].kind, protocol::RoundKind::standardisation);
  EXPECT_EQ(report.epsilon_charged_nano, 750'000'000);
}

TEST(AuditTest, ValidationIsAttestedByTheValidators) {
  auto spec = small_job();
  spec.evaluation = {true, crypto::sha256(as_bytes("a public data set")), 1000};
  spec.federation.evaluation_ms = 60'000;
  World world(spec);
  world.start();
  world.play_round();
  const AuditReport report = sound(world.input());
  ASSERT_TRUE(report.rounds[0].validation.has_value());
  EXPECT_EQ(report.rounds[0].validation->correct, 83u);
  EXPECT_THAT(said(report), Contains(HasSubstr("attested 1 of 1: The validation score")));
  EXPECT_THAT(to_text(report), HasSubstr("0.8300"));
}

TEST(AuditTest, AStoppedJobKeepsItsModels) {
  World world;
  world.start();
  world.play_round();
  world.stop_job("enough");
  const AuditReport report = sound(world.input());
  EXPECT_EQ(report.state.phase, protocol::JobPhase::stopped);
  EXPECT_THAT(to_text(report), HasSubstr("enough"));
}

TEST(AuditTest, AnAttestedFileThatIsNoModelIsRefused) {
  const auto attest_to = [](const Bytes& file) {
    World world;
    world.start();
    world.play_round({.silent = {}, .attest = [&](protocol::Attest& attest, std::size_t) {
                        const Digest set = *world.round_state(1).reveal_set_root;
                        attest.model_root = attest.base_root = crypto::blob_root(file);
                        attest.model_sha256 = crypto::sha256(file);
                        attest.binding = protocol::attest_binding(
                            world.job_state().config_hash, set, attest.base_root, attest.model_root,
                            attest.model_sha256);
                      }});
    AuditInput input = world.input();
    input.model = file;
    return refused(input);
  };
  const auto bias = models::Tensor::of("linear.bias", {1}, std::vector<float>{0});
  const auto weight = models::Tensor::of("linear.weight", {1, 2}, std::vector<float>{1, 2});
  EXPECT_THAT(attest_to(to_bytes(as_bytes("not a model"))),
              AllOf(HasSubstr("model.safetensors: "), HasSubstr("is no safetensors file")));
  EXPECT_THAT(attest_to(models::encode_safetensors({bias})), HasSubstr("other parameters"));
  EXPECT_THAT(attest_to(models::encode_safetensors(
                  {bias, models::Tensor::of("linear.weight", {2, 1}, std::vector<float>{1, 2})})),
              HasSubstr("other parameters"));
  Bytes spaced = models::encode_safetensors({bias, weight});
  const std::uint64_t header = load_le64(spaced);
  store_le64(spaced, header + 8);
  spaced.insert(spaced.begin() + static_cast<std::ptrdiff_t>(8 + header), 8, ' ');
  EXPECT_THAT(attest_to(spaced), HasSubstr("not a canonical safetensors file"));
}

TEST(AuditTest, TheAttestedHashesBelongToOneFile) {
  World world;
  world.start();
  const Bytes other = to_bytes(as_bytes("other"));
  world.play_round({.silent = {}, .attest = [&](protocol::Attest& attest, std::size_t) {
                      const auto round = world.round_state(1);
                      attest.model_sha256 = crypto::sha256(other);
                      attest.binding = protocol::attest_binding(
                          round.config_hash, *round.reveal_set_root, attest.base_root,
                          attest.model_root, attest.model_sha256);
                    }});
  AuditInput input = world.input();
  input.model = other;
  EXPECT_THAT(refused(input), HasSubstr("but another blob root"));
}

TEST(AuditTest, TextFitsTheScreenAndJsonParses) {
  const AuditReport report = sound(two_rounds()->input());
  const std::string text = to_text(report);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(text, AllOf(HasSubstr(report.model_sha256.hex()), HasSubstr("clinic a"),
                          HasSubstr("attested 1 of 1"), HasSubstr("claimed")));
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["model"]["sha256"], report.model_sha256.hex());
  EXPECT_EQ(json["rounds"].size(), 2u);
  EXPECT_EQ(json["rounds"][1]["cohort"][0]["in_set"], true);
  EXPECT_EQ(json["job"]["privacy"]["epsilon_spent_nano"], 1'000'000'000);
  EXPECT_EQ(json["statements"][0]["label"], "proved");
}

TEST(AuditTest, CountsTheAggregatorsThatAttestExactlyThisFile) {
  auto spec = small_job();
  spec.aggregation.aggregators = 4;
  for (const bool wrong_sha256 : {false, true}) {
    World world(spec);
    world.start();
    // Of the last member in rank order, so that the first one's file is the aggregate.
    world.play_round({.silent = {}, .attest = [&](protocol::Attest& attest, std::size_t number) {
                        const auto round = world.round_state(1);
                        if (world.aggregator(number) != round.members.back().member) return;
                        attest.model_sha256.bytes[0] ^= 1;
                        if (!wrong_sha256) {
                          attest.model_root.bytes[0] ^= 1;
                          attest.base_root = attest.model_root;
                        }
                        attest.binding = protocol::attest_binding(
                            round.config_hash, *round.reveal_set_root, attest.base_root,
                            attest.model_root, attest.model_sha256);
                      }});
    const AuditReport report = sound(world.input());
    EXPECT_EQ(report.rounds.at(0).attestations, 3u);
    EXPECT_EQ(report.rounds.at(0).aggregators.size(), 4u);
    EXPECT_THAT(said(report), Contains(HasSubstr("attested 3 of 4: The model is what the rule")));
  }
}

// A coordinator that breaks a rule and signs everything that follows from it. The audit executes
// the blocks itself, so it arrives at another state.
struct Crime {
  const char* name;
  std::function<void(CrookedMachine&)> commit;
  Play play;
  std::uint32_t min_updates = 2;
};

template <class T>
void change(ledger::State& state, const std::string& prefix, std::function<void(T&)> edit) {
  std::vector<std::pair<std::string, Bytes>> changed;
  for (const auto& [key, value] : state.prefix(prefix)) {
    auto entry = *protocol::decode_state<T>(value);
    edit(entry);
    if (Bytes bytes = codec::encode(entry); bytes != value) changed.emplace_back(key, bytes);
  }
  for (auto& [key, value] : changed) state.put(key, std::move(value));
}

class CrookedAuditTest : public ::testing::TestWithParam<Crime> {};

TEST_P(CrookedAuditTest, IsCaughtByExecution) {
  CrookedMachine machine;
  GetParam().commit(machine);
  auto spec = small_job();
  spec.federation.min_updates = GetParam().min_updates;
  World world(spec, 1, &machine);
  world.start();
  world.play_round(GetParam().play);
  const AuditInput input = world.input();
  const auto ledger = ledger::read_export(input.ledger_export);
  ASSERT_TRUE(ledger.ok());
  ASSERT_TRUE(ledger::verify_export(*ledger).ok()) << "everything is signed";
  EXPECT_THAT(refused(input), AllOf(HasSubstr("ledger.export: block "), HasSubstr("state_root")));
}

INSTANTIATE_TEST_SUITE_P(
    Crimes, CrookedAuditTest,
    ::testing::Values(
        Crime{"ChargesNoEpsilon",
              [](CrookedMachine& machine) {
                machine.after_end = [](ledger::State& state) {
                  change<RoundState>(state, "round/", [](RoundState& r) { r.charged = false; });
                  change<JobState>(state, "job/", [](JobState& j) { j.privacy.charged.clear(); });
                };
              },
              {}},
        Crime{"GoesOnWithTooFewUpdates",
              [](CrookedMachine& machine) {
                const auto minimum = [](std::uint32_t updates) {
                  return [updates](ledger::State& state) {
                    change<protocol::JobSpec>(state, "spec/", [&](protocol::JobSpec& spec) {
                      spec.federation.min_updates = updates;
                    });
                  };
                };
                machine.before_end = minimum(1);
                machine.after_end = minimum(2);
              },
              {.silent = {1}, .attest = {}}},
        Crime{"ChoosesItsCohort",
              [](CrookedMachine& machine) {
                machine.after_record = [](ledger::State& state) {
                  change<RoundState>(state, "round/", [](RoundState& round) {
                    if (round.cohort.size() == 2) round.cohort.pop_back();
                  });
                };
              },
              {},
              1},
        Crime{"ForgetsTheTermLimit",
              [](CrookedMachine& machine) {
                machine.after_end = [](ledger::State& state) {
                  change<protocol::NodeState>(state, "node/", [](protocol::NodeState& node) {
                    node.consecutive_terms = 0;
                  });
                };
              },
              {}}),
    [](const auto& crime) { return crime.param.name; });

TEST(AuditTest, EvidenceIsPartOfTheStory) {
  World world;
  world.start();
  world.play_round();
  world.say_evidence(world.commitment(0, 1), world.commitment(0, 2));
  const AuditReport report = sound(world.input());
  EXPECT_EQ(report.slot.round.value, 1u);
  EXPECT_EQ(report.rounds.size(), 1u);
}

// A coordinator that takes a worker's roles away with records that prove nothing.
TEST(AuditTest, ForgedEvidenceIsRefused) {
  CrookedMachine machine;
  machine.takes_any_evidence = true;
  const auto with = [&](auto forge) {
    World world(small_job(), 1, &machine);
    world.start();
    world.play_round();
    auto one = world.commitment(0, 1), two = world.commitment(0, 2);
    forge(world, one, two);
    world.say_evidence(one, two);
    return refused(world.input());
  };
  using ledger::Record;
  EXPECT_THAT(with([](World&, Record&, Record& two) { two.signature.bytes[0] ^= 1; }),
              HasSubstr("block "));
  EXPECT_THAT(with([](World& world, Record&, Record& two) { two = world.commitment(1, 2); }),
              HasSubstr("block "));
  EXPECT_THAT(with([](World&, Record& one, Record& two) { two = one; }), HasSubstr("block "));
}

// The same with the aim of passing off another model.
TEST(AuditTest, ASwappedModelIsCaughtByExecution) {
  const Bytes doctored = models::encode_safetensors(
      {models::Tensor::of("linear.bias", {1}, std::vector<float>{9}),
       models::Tensor::of("linear.weight", {1, 2}, std::vector<float>{9, 9})});
  CrookedMachine machine;
  machine.after_end = [&](ledger::State& state) {
    change<RoundState>(state, "round/", [&](RoundState& round) {
      if (!round.aggregate) return;
      round.aggregate->model_root = crypto::blob_root(doctored);
      round.aggregate->model_sha256 = crypto::sha256(doctored);
    });
  };
  World world(small_job(), 1, &machine);
  world.start();
  world.play_round();
  AuditInput input = world.input();
  input.model = doctored;
  EXPECT_THAT(refused(input), AllOf(HasSubstr("block "), HasSubstr("state_root")));
}

}  // namespace
}  // namespace fedmesh::audit
