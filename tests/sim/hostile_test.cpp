// One worker of six cheats; the round goes on without it, unharmed, and says why.
#include "base/crypto/blob_hash.h"
#include "tests/sim/rogue.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;
using testing::HasSubstr;

struct Case {
  Crime crime;
  const char* reason;  // in the coordinator's log; "" where the ledger refuses the record
};

std::vector<Case> cases() {
  std::vector<Case> out;
  const auto add = [&](const char* name, const char* reason, auto fill) {
    Case one;
    one.crime.name = name;
    one.reason = reason;
    fill(one.crime);
    out.push_back(std::move(one));
  };
  add("TooLong", "bytes",
      [](Crime& c) { c.update = [](RogueRound& r) { r.values.push_back(0); }; });
  add("TooShort", "bytes", [](Crime& c) { c.update = [](RogueRound& r) { r.values.pop_back(); }; });
  add("BeyondTheClip", "exceeds the L1 norm", [](Crime& c) {
    c.update = [](RogueRound& r) { r.values.assign(r.values.size(), INT32_MAX); };
  });
  add("OtherCount", "other records than were enrolled",
      [](Crime& c) { c.update = [](RogueRound& r) { r.header.examples = 1u << 30; }; });
  add("RevealOfAnotherUpdate", "does not open the commitment", [](Crime& c) {
    c.commitment = [](const RogueRound&, Digest honest) {
      honest.bytes[0] ^= 1;
      return honest;
    };
  });
  add("OtherRound", "does not open the commitment", [](Crime& c) {
    c.commitment = [](const RogueRound& r, const Digest&) {
      return crypto::blob_root(codec::encode(r.round.slot));
    };
  });
  add("WrongKeyInABox", "", [](Crime& c) {
    c.reveal = [](const RogueRound&, protocol::Reveal& r) { r.keys[0].box[40] ^= 1; };
  });
  add("NoBoxes", "sealed key for each member",
      [](Crime& c) { c.reveal = [](const RogueRound&, protocol::Reveal& r) { r.keys.clear(); }; });
  add("AbsurdLength", "sealed update of this round has", [](Crime& c) {
    c.reveal = [](const RogueRound&, protocol::Reveal& r) { r.length = UINT64_MAX; };
  });
  add("UnknownSuite", "sealed with suite",
      [](Crime& c) { c.reveal = [](const RogueRound&, protocol::Reveal& r) { r.suite = 0; }; });
  add("NeverServes", "", [](Crime& c) { c.serves = false; });
  return out;
}

class HostileWorker : public testing::TestWithParam<Case> {};

FederationOptions with_rogue(std::uint64_t seed, Crime crime) {
  auto options = clinics(seed);
  options.rogues = 1;
  options.make_rogue = [crime = std::move(crime)](Federation& federation, std::size_t index) {
    return std::make_unique<Rogue>(federation, index, crime);
  };
  return options;
}

// Everybody is drawn, and five honest workers are enough.
SimJob job_for_six(std::uint32_t rounds) {
  SimJob job = plain_job(rounds);
  job.spec.federation.max_participants = 6;
  return job;
}

std::string log_of(const Federation& federation) {
  std::string log;
  for (const auto& event : federation.events()) log += to_json_line(event) + "\n";
  return log;
}

// Honest rogues count: the cases below fail for their crime and nothing else.
TEST(HostileWorkerTest, ARogueWithoutACrimeTakesPart) {
  Federation federation(with_rogue(60, Crime{}));
  const auto job = job_for_six(2);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  for (const auto& round : federation.rounds(id)) {
    EXPECT_EQ(round.cohort.size(), 6u);
    for (const auto& slot : round.cohort) EXPECT_TRUE(slot.in_set);
  }
}

TEST_P(HostileWorker, IsLeftOutAndTheRoundIsUnharmed) {
  Watched sim(with_rogue(61, GetParam().crime));
  Federation& federation = sim.federation;
  const auto job = job_for_six(2);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
  std::size_t cheated = 0;
  for (const auto& round : federation.rounds(id)) {
    EXPECT_EQ(round.phase, RoundPhase::finished);
    for (const auto& slot : round.cohort) {
      const bool rogue = slot.worker == federation.rogue_id(0);
      EXPECT_EQ(slot.in_set, !rogue) << "worker " << slot.worker.short_hex();
      if (rogue) ++cheated;
    }
  }
  EXPECT_EQ(cheated, 2u);
  EXPECT_THAT(log_of(federation), HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Crimes, HostileWorker, testing::ValuesIn(cases()),
                         [](const auto& one) { return std::string(one.param.crime.name); });

// Record counts are the denominator of record-level rounds.
TEST(HostileWorkerTest, AnAbsurdRecordCountDoesNotEnrol) {
  for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{UINT64_MAX}}) {
    Crime crime;
    crime.name = "Boaster";
    crime.enrols_with = count;
    Watched sim(with_rogue(66, crime));
    const auto job = job_for_six(1);
    const JobId id = sim.federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(sim.federation.run(id));
    EXPECT_EQ(sim.federation.job(id).phase, JobPhase::finished);
    EXPECT_EQ(sim.federation.job(id).enrolled.size(), 5u) << "with " << count << " records";
  }
}

TEST(HostileWorkerTest, TwoCommitmentsAreEvidenceAndTheWorkerIsBanned) {
  Crime crime;
  crime.name = "Equivocator";
  crime.commits_twice = true;
  Federation federation(with_rogue(62, crime));
  const auto job = job_for_six(3);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
  const auto* raw = federation.chain().state().get(protocol::node_key(federation.rogue_id(0)));
  ASSERT_NE(raw, nullptr);
  const auto node = protocol::decode_state<protocol::NodeState>(*raw);
  EXPECT_TRUE(node->banned);
  EXPECT_EQ(node->roles, 0u);
  EXPECT_EQ(node->conduct_micro, 0);
  const auto rounds = federation.rounds(id);
  for (const auto& slot : rounds.back().cohort)
    EXPECT_NE(slot.worker, federation.rogue_id(0)) << "a banned worker is drawn";
  for (const auto& round : rounds) EXPECT_EQ(round.phase, RoundPhase::finished);
}

// Whoever copies a commitment cannot open it, and the first one stays its author's.
TEST(HostileWorkerTest, ACopiedCommitmentIsRefused) {
  std::optional<Digest> seen;
  Crime crime;
  crime.name = "Copycat";
  crime.commitment = [&](const RogueRound&, const Digest& honest) { return seen.value_or(honest); };
  auto options = with_rogue(63, crime);
  options.links.latency_max = Duration(1);
  Federation federation(std::move(options));
  federation.world().set_tap(
      [&](const NodeId& from, const NodeId&, const Bytes& bytes, Channel channel) {
        if (channel != Channel::control || from == federation.rogue_id(0)) return;
        const auto message = protocol::decode_message(bytes);
        if (!message.ok()) return;
        const auto* submit = std::get_if<protocol::SubmitRecord>(&*message);
        if (submit == nullptr) return;
        const auto record = ledger::decode_record(submit->record);
        if (record->kind == ledger::RecordKind::commit)
          seen = protocol::decode_payload<protocol::Commit>(record->payload)->commitment;
      });
  const auto job = job_for_six(2);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished);
  for (const auto& round : federation.rounds(id)) {
    std::set<Digest> distinct;
    for (const auto& slot : round.cohort) {
      EXPECT_TRUE(slot.in_set || slot.worker == federation.rogue_id(0));
      EXPECT_TRUE(!slot.commitment || distinct.insert(*slot.commitment).second);
    }
  }
}

TEST(HostileWorkerTest, AFloodOfRecordsLeavesTheJobUnharmed) {
  Crime crime;
  crime.name = "Flooder";
  crime.every_message = [](Rogue& rogue) {
    for (int i = 0; i < 50; ++i) {
      rogue.submit(ledger::RecordKind::enrol, JobId{{9}}, Bytes(1000, 7));
      rogue.send(Bytes(2000, 0xc1), Channel::bulk);
    }
  };
  Federation federation(with_rogue(64, crime));
  const auto job = job_for_six(2);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
  for (const auto& round : federation.rounds(id))
    for (const auto& slot : round.cohort)
      EXPECT_TRUE(slot.in_set || slot.worker == federation.rogue_id(0));
}

// Time is the ledger's: a worker whose clock is an hour off takes part like any other.
TEST(HostileWorkerTest, WrongClocksDoNoHarm) {
  auto options = clinics(65);
  options.clock_error = {std::chrono::hours(1), -std::chrono::hours(1), Duration(0),
                         std::chrono::hours(24 * 365), Duration(-1000)};
  Watched sim(std::move(options));
  const auto job = plain_job(2);
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  EXPECT_EQ(sim.federation.job(id).phase, JobPhase::finished) << sim.federation.job(id).reason;
  for (const auto& round : sim.federation.rounds(id)) {
    EXPECT_EQ(round.cohort.size(), 5u);
    for (const auto& slot : round.cohort) EXPECT_TRUE(slot.in_set);
  }
}

}  // namespace
}  // namespace fedmesh::sim
