// A round told from events: by hand, where every figure is known, and from the blocks of a network.
#include "coordinator/cli/round_timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/ledger/export.h"
#include "coordinator/publisher.h"
#include "coordinator/round_log.h"
#include "tests/coordinator/audit/world.h"

namespace fedmesh::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kJob(64, '7');
const std::string kAnna(64, 'a'), kBert(64, 'b'), kCora(64, 'c'), kHub(64, 'f');
constexpr Instant kNow{200'000};

class RoundTimelineTest : public testing::Test {
 protected:
  using Value = std::variant<std::int64_t, std::string>;

  void tell(std::int64_t at, const std::string& what, std::map<std::string, Value> more,
            const std::string& source = "hub.jsonl", std::int64_t attempt = 0) {
    LoggedEvent event{at, "round." + what, std::move(more)};
    event.fields.insert({{"job", kJob}, {"round", 3}, {"attempt", attempt}, {"height", at / 1000}});
    builder_.add_logged(event, source);
  }
  void answer(std::int64_t at, const std::string& what, const std::string& phase,
              const std::string& node) {
    tell(at, what, {{"phase", phase}, {"node", node}});
  }
  void phase(std::int64_t at, const std::string& next, const std::string& awaited,
             const std::string& ended = "", const std::string& because = "",
             const std::string& missing = "") {
    std::map<std::string, Value> fields = {
        {"phase", next}, {"deadline_ms", at + 60'000}, {"awaited", awaited}};
    if (!ended.empty())
      fields.insert({{"ended", ended}, {"because", because}, {"missing", missing}});
    tell(at, "phase", std::move(fields));
  }
  // Anna and Bert commit, Cora does not; the deadline ends the phase.
  void tell_round() {
    tell(100'000, "opened", {{"kind", "training"}, {"job_name", "clinics"}});
    phase(100'000, "accept", kHub);
    answer(100'010, "accepted", "accept", kHub);
    phase(100'010, "train and commit", kAnna + " " + kBert + " " + kCora, "accept", "all answered");
    tell(100'510, "committed",
         {{"phase", "train and commit"}, {"node", kBert}, {"node_name", "bert"}});
    answer(103'010, "committed", "train and commit", kAnna);
    phase(160'010, "reveal", kAnna + " " + kBert, "train and commit", "deadline", kCora);
    answer(160'110, "revealed", "reveal", kAnna);
  }
  void note(std::int64_t at, const std::string& kind, const std::string& detail,
            std::int64_t attempt = 0) {
    builder_.add_logged(
        {at, kind, {{"job", kJob}, {"round", 3}, {"attempt", attempt}, {"detail", detail}}},
        "anna.jsonl");
  }
  RoundTimeline build() {
    auto built = builder_.build(kNow);
    EXPECT_TRUE(built.ok()) << built.error().detail;
    return built.ok() ? *built : RoundTimeline{};
  }

  TimelineBuilder builder_{kJob, 3, std::nullopt};
};

TEST_F(RoundTimelineTest, PhasesHaveDurationsEndsAndWaiting) {
  tell_round();
  const RoundTimeline told = build();
  EXPECT_EQ(told.job_name, "clinics");
  EXPECT_EQ(told.outcome, "open");
  EXPECT_FALSE(told.proven);
  ASSERT_EQ(told.phases.size(), 3u);
  EXPECT_EQ(told.phases[0].because, "all answered");
  EXPECT_THAT(told.phases[0].waited.nodes, ElementsAre(kHub));
  EXPECT_EQ(told.phases[0].waited.ms, 10);
  const auto& commit = told.phases[1];
  EXPECT_EQ(*commit.ended_ms - commit.opened_ms, 60'000);
  EXPECT_EQ(commit.because, "deadline");
  EXPECT_EQ(commit.answered(), 2u);
  ASSERT_EQ(commit.nodes.size(), 3u);
  EXPECT_EQ(commit.nodes[0].node, kBert) << "who answers first comes first";
  EXPECT_EQ(*commit.nodes[0].at, 100'510);
  EXPECT_TRUE(commit.nodes[2].missing);
  EXPECT_THAT(commit.waited.nodes, ElementsAre(kCora));
  EXPECT_EQ(commit.waited.ms, 160'010 - 103'010);
  const auto& reveal = told.phases[2];
  EXPECT_FALSE(reveal.ended_ms.has_value());
  EXPECT_THAT(reveal.waited.nodes, ElementsAre(kBert));
  EXPECT_EQ(reveal.waited.ms, kNow.ms - 160'110);
  EXPECT_EQ(told.name_of(kBert), "bert");
  EXPECT_EQ(told.name_of(kCora), "cccccccc");
}

TEST_F(RoundTimelineTest, TheSlowestIsWhomAllWaitedForAlone) {
  tell_round();
  answer(162'110, "revealed", "reveal", kBert);
  phase(162'110, "check", kHub, "reveal", "all answered");
  const auto told = build();
  EXPECT_THAT(told.phases[2].waited.nodes, ElementsAre(kBert));
  EXPECT_EQ(told.phases[2].waited.ms, 2000);
}

TEST_F(RoundTimelineTest, TextSaysIt) {
  tell_round();
  tell(160'200, "void",
       {{"reason", "1 of 3 workers revealed, 2 needed"},
        {"ended", "reveal"},
        {"because", "stopped"},
        {"missing", kBert}});
  note(100'100, "round.computing", "training");
  note(100'200, "opening.refused", "opening refused: \x1b[31m too long");
  const std::string text = to_text(build());
  EXPECT_THAT(text, HasSubstr("job clinics 777777777777, round 3, attempt 0 (training): void, "
                              "60.200 s\n  1 of 3 workers revealed, 2 needed\n"));
  EXPECT_THAT(text, HasSubstr("not proven (--ledger, --coordinator)"));
  EXPECT_THAT(text, HasSubstr("train and commit  +0.010 s   60.000 s  2 of 3    deadline      "
                              "cccccccc (never came), 57.000 s\n"));
  EXPECT_THAT(text, HasSubstr("bert (bbbbbbbb)      -         +0.500 s          never\n"));
  EXPECT_THAT(text, HasSubstr("+0.100 s  anna.jsonl  round.computing  training\n"));
  EXPECT_THAT(text, HasSubstr("opening refused: ?[31m too long"));
}

TEST_F(RoundTimelineTest, JsonHasTheSame) {
  tell_round();
  builder_.skipped(4);
  const auto json = nlohmann::json::parse(to_json(build()));
  EXPECT_EQ(json["job"], kJob);
  EXPECT_EQ(json["outcome"], "open");
  EXPECT_EQ(json["phases"][1]["phase"], "train and commit");
  EXPECT_EQ(json["phases"][1]["ended_by"], "deadline");
  EXPECT_EQ(json["phases"][1]["duration_ms"], 60'000);
  EXPECT_EQ(json["phases"][1]["nodes"][0]["after_ms"], 500);
  EXPECT_EQ(json["phases"][1]["nodes"][2]["answered"], false);
  EXPECT_TRUE(json["phases"][1]["nodes"][2]["at_ms"].is_null());
  EXPECT_EQ(json["phases"][1]["waited_for"]["ms"], 57'000);
  EXPECT_TRUE(json["phases"][2]["duration_ms"].is_null());
  EXPECT_EQ(json["skipped_lines"], 4);
}

TEST_F(RoundTimelineTest, TheSameEventTwiceCountsOnce) {
  tell_round();
  const std::string once = to_json(build());
  tell_round();  // as after a restart, or from a copy of the log
  EXPECT_EQ(to_json(build()), once);
}

TEST_F(RoundTimelineTest, ReplacedAndExcludedNodesAreNamed) {
  tell_round();
  tell(101'000, "replaced", {{"node", kHub}, {"by", kAnna}});
  tell(161'000, "excluded", {{"node", kBert}, {"yes", 0}, {"needed", 1}});
  const std::string text = to_text(build());
  EXPECT_THAT(text, HasSubstr("replaced: aggregator ffffffff did not accept in time, aaaaaaaa took "
                              "its place"));
  EXPECT_THAT(text, HasSubstr("not counted: bert revealed, but 0 aggregators could check"));
}

TEST_F(RoundTimelineTest, TheNewestAttemptIsToldUnlessAnotherIsAskedFor) {
  tell_round();
  tell(170'000, "opened", {{"kind", "training"}, {"job_name", "clinics"}}, "hub.jsonl", 1);
  note(170'100, "round.computing", "again", 1);
  const auto told = build();
  EXPECT_EQ(told.attempt, 1);
  EXPECT_THAT(told.attempts, ElementsAre(0, 1));
  EXPECT_EQ(told.notes.size(), 1u);
  TimelineBuilder none(kJob, 3, 7);
  EXPECT_FALSE(none.build(kNow).ok());
}

TEST_F(RoundTimelineTest, RejectedRecordsAreShownWhileTheRoundWasOpen) {
  const auto reject = [&](std::int64_t at, const std::string& detail) {
    builder_.add_logged({at, "record.rejected", {{"height", 1}, {"detail", detail}}}, "hub.jsonl");
  };
  reject(99'000, "before");
  tell_round();
  reject(160'100, "meanwhile");
  tell(160'200, "void", {{"reason", "x"}});
  reject(161'000, "after");
  const auto told = build();
  ASSERT_EQ(told.refusals.size(), 1u);
  EXPECT_EQ(told.refusals[0].detail, "meanwhile");
}

TEST_F(RoundTimelineTest, WhatIsNotThereIsSaidWithWhatIs) {
  const auto nothing = builder_.build(kNow);
  ASSERT_FALSE(nothing.ok());
  EXPECT_THAT(nothing.error().detail, HasSubstr("--ledger"));
  LoggedEvent other{
      1000, "round.opened", {{"job", kJob}, {"round", 5}, {"attempt", 0}, {"height", 1}}};
  builder_.add_logged(other, "hub.jsonl");
  const auto wrong = builder_.build(kNow);
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().detail, HasSubstr("it has rounds 5 to 5"));
}

TEST_F(RoundTimelineTest, NonsenseInALogIsHarmless) {
  tell(-5, "phase", {});
  tell(1, "phase", {{"phase", 3}, {"awaited", "  x  y "}, {"ended", "nothing"}});
  answer(2, "committed", "no such phase", "z");
  tell(INT64_MAX, "finished", {{"in_set", -7}, {"ended", "accept"}});
  tell(5, "void", {});
  tell(6, "replaced", {});
  tell(7, "unheard of", {{"phase", "accept"}, {"node", ""}});
  const auto told = build();
  EXPECT_FALSE(to_text(told).empty());
  EXPECT_FALSE(nlohmann::json::parse(to_json(told)).is_discarded());
}

// The events that replaying an export gives are those that a coordinator logged.
TEST(ReplayedRoundTest, ASilentWorkerIsWhomEverybodyWaitedFor) {
  protocol::JobSpec spec = audit::small_job();
  spec.federation.min_updates = 1;
  audit::World world(spec);
  world.start();
  world.play_round({.silent = {1}, .attest = {}});
  const auto ledger_export = ledger::read_export(world.export_bytes());
  ASSERT_TRUE(ledger_export.ok());
  const rounds::RoundsMachine machine;
  ledger::MemoryStore store;
  const auto chain = ledger::Chain::open(ledger_export->genesis, machine, store);
  ASSERT_TRUE(chain.ok());
  coordinator::Publisher publisher;
  coordinator::RoundLog log;
  TimelineBuilder builder(world.job().hex(), 1, std::nullopt);
  for (const auto& block : ledger_export->blocks) {
    ASSERT_TRUE((*chain)->commit(block).ok());
    const auto changed = publisher.changed((*chain)->state());
    for (const auto& event :
         log.step((*chain)->state(), changed, (*chain)->height(), (*chain)->timestamp()))
      builder.add_proven(logged(event));
  }
  const auto told = builder.build(kNow);
  ASSERT_TRUE(told.ok()) << told.error().detail;
  const auto state = world.round_state(1);
  EXPECT_TRUE(told->proven);
  EXPECT_EQ(told->outcome, "finished");
  EXPECT_EQ(told->opened_ms, state.opened_ms);
  EXPECT_EQ(told->closed_ms, state.closed_ms);
  EXPECT_EQ(told->in_set, 1);
  ASSERT_GE(told->phases.size(), 5u);
  const auto& commit = told->phases[1];
  EXPECT_EQ(commit.phase, "train and commit");
  EXPECT_EQ(commit.because, "deadline");
  EXPECT_EQ(commit.answered(), 1u);
  EXPECT_GE(*commit.ended_ms, commit.deadline_ms);
  ASSERT_EQ(commit.waited.nodes.size(), 1u);
  for (const auto& slot : state.cohort)
    EXPECT_EQ(slot.worker.hex() == commit.waited.nodes[0], !slot.commitment.has_value());
  for (const auto& phase : told->phases) EXPECT_TRUE(phase.ended_ms.has_value()) << phase.phase;
  EXPECT_THAT(told->excluded, IsEmpty());
}

}  // namespace
}  // namespace fedmesh::cli
