// Consent, the choice of network and device, and the outbox on their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "tests/base/temporary_folder.h"
#include "tests/worker/scripted_ledger.h"
#include "worker/consent.h"
#include "worker/known_network.h"
#include "worker/outbox.h"

namespace fedmesh::worker {
namespace {

using ::testing::HasSubstr;

TEST(ConsentTest, EveryRuleRefusesAndSaysWhy) {
  const auto owner = test_key(50).public_key();
  const Capabilities machine{.memory_mb = 1000, .gpu = false};
  struct Case {
    const char* expected;
    std::function<void(ConsentPolicy&, protocol::JobSpec&)> change;
    std::int64_t spent = 0;
  };
  const std::vector<Case> cases{
      {"submitter",
       [](ConsentPolicy& p, protocol::JobSpec&) {
         ASSERT_TRUE(p.allow_submitter(test_key(51).public_key().hex()).ok());
       }},
      {"architecture",
       [](ConsentPolicy& p, protocol::JobSpec&) { ASSERT_TRUE(p.allow_architecture("cnn").ok()); }},
      {"without noise",
       [](ConsentPolicy& p, protocol::JobSpec& s) {
         p.require_privacy = true;
         s = clinics_job();
       }},
      {"without noise",
       [](ConsentPolicy& p, protocol::JobSpec& s) {
         p.max_epsilon_nano = 1;
         s = clinics_job();
       }},
      {"allows a job 0.5",
       [](ConsentPolicy& p, protocol::JobSpec&) { p.max_epsilon_per_job_nano = 500'000'000; }},
      {"earlier jobs have 1.5 of the 2",
       [](ConsentPolicy& p, protocol::JobSpec&) { p.max_epsilon_nano = 2'000'000'000; },
       1'500'000'000},
      {"2000 MB", [](ConsentPolicy&, protocol::JobSpec& s) { s.requirements.memory_mb = 2000; }},
      {"GPU", [](ConsentPolicy&, protocol::JobSpec& s) { s.requirements.gpu = true; }},
  };
  EXPECT_TRUE(check({}, machine, private_clinics_job(), owner, 0).ok());
  for (const Case& c : cases) {
    ConsentPolicy policy;
    protocol::JobSpec spec = private_clinics_job();
    c.change(policy, spec);
    const auto checked = check(policy, machine, spec, owner, c.spent);
    ASSERT_FALSE(checked.ok()) << c.expected;
    EXPECT_THAT(checked.error().detail, HasSubstr(c.expected));
  }
}

TEST(ConsentTest, SubmittersByKeyOrNodeId) {
  const auto key = test_key(50).public_key();
  for (const std::string& hex : {key.hex(), crypto::node_id_of(key.view()).hex()}) {
    ConsentPolicy policy;
    ASSERT_TRUE(policy.allow_submitter(hex).ok());
    EXPECT_TRUE(check(policy, {}, clinics_job(), key, 0).ok());
  }
  ConsentPolicy policy;
  EXPECT_FALSE(policy.allow_submitter("zz").ok());
  EXPECT_THAT(policy.allow_architecture("transformer").error().detail, HasSubstr("logistic"));
}

TEST(ConsentTest, HoursMayPassMidnight) {
  const auto at = [](int hour, int minute) {
    return Instant{1'700'006'400'000 + (hour * 60 + minute) * 60'000};  // a midnight in UTC, and on
  };
  ConsentPolicy policy;
  EXPECT_TRUE(policy.works_at(at(12, 0)));
  ASSERT_TRUE(policy.set_hours("22:00-06:30").ok());
  EXPECT_TRUE(policy.works_at(at(22, 0)));
  EXPECT_TRUE(policy.works_at(at(6, 29)));
  EXPECT_FALSE(policy.works_at(at(6, 30)));
  EXPECT_FALSE(policy.works_at(at(21, 59)));
  ASSERT_TRUE(policy.set_hours("08:00-17:00").ok());
  EXPECT_TRUE(policy.works_at(at(8, 0)));
  EXPECT_FALSE(policy.works_at(at(17, 0)));
  for (const char* wrong : {"", "8-17", "24:00-06:00", "22:60-06:00", "22:00-22:00", "ab:cd-ef:gh"})
    EXPECT_THAT(policy.set_hours(wrong).error().detail, HasSubstr("HH:MM-HH:MM")) << wrong;
}

TEST(RecordsTest, ASiloWhoseSumMightNotFitIsRefusedWithAdvice) {
  struct Case {
    std::uint64_t records;
    const char* refused;  // empty: it fits
    std::function<void(protocol::JobSpec&)> change;
  };
  const auto by_record = [](std::int64_t clip) {
    return [clip](protocol::JobSpec& spec) {
      spec.privacy.unit = protocol::PrivacyUnit::record;
      spec.privacy.clip_granules = clip;
    };
  };
  const auto query = [](std::uint32_t bits) {
    return [bits](protocol::JobSpec& spec) {
      spec.preprocessing.standardise = protocol::Standardise::private_query;
      spec.preprocessing.fraction_bits = bits;
    };
  };
  const std::vector<Case> cases{
      {100'000, "", [](auto&) {}},
      {100'001, "federation.max_records", [](auto&) {}},
      {32'767, "", by_record(1 << 16)},
      {32'768, "at most 32767", by_record(1 << 16)},
      {100'000, "", by_record(1 << 14)},
      {100'000, "", by_record(0)},
      {100'000, "", query(14)},
      {1024, "at most 1023", query(21)},
      {1, "preprocessing.fraction_bits", query(31)},
      {0xffffffffffffffff, "federation.max_records", by_record(1 << 16)},
  };
  for (const Case& c : cases) {
    protocol::JobSpec spec = clinics_job();
    c.change(spec);
    const auto checked = check_records(spec, c.records);
    EXPECT_EQ(checked.ok(), *c.refused == 0) << c.records << c.refused;
    const std::string detail = checked.ok() ? "" : checked.error().detail;
    EXPECT_THAT(detail, HasSubstr(c.refused));
  }
}

TEST(DeviceTest, OnlyATrainerWithCudaUsesTheGpu) {
  const std::vector<std::string> cpu{"cpu"};
  const std::vector<std::string> both{"cpu", "cuda"};
  EXPECT_FALSE(*uses_gpu("cpu", both));
  EXPECT_FALSE(*uses_gpu("auto", cpu));
  EXPECT_TRUE(*uses_gpu("auto", both));
  EXPECT_TRUE(*uses_gpu("cuda", both));
  EXPECT_FALSE(uses_gpu("cuda", {}).ok());
  const auto refused = uses_gpu("cuda", cpu);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().detail, HasSubstr("--device auto"));
}

class KnownNetworkTest : public testing::Test {
 protected:
  KnownNetworkTest() { std::filesystem::create_directories(folder_ / "home"); }
  std::filesystem::path write(const std::string& name) {
    auto genesis = ScriptedLedger().genesis();
    genesis.network_name = name;
    EXPECT_TRUE(ledger::store_genesis(folder_ / name, genesis).ok());
    return folder_ / name;
  }
  NetworkChoice choice(const std::filesystem::path& file = {}) const {
    return {folder_ / "home", file, std::nullopt};
  }
  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

TEST_F(KnownNetworkTest, ANamedOneIsRememberedForLaterStarts) {
  const auto none = known_network(choice());
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  const auto file = write("hospitals");
  ASSERT_TRUE(known_network(choice(file)).ok());
  const auto later = known_network(choice());
  ASSERT_TRUE(later.ok() && later->has_value());
  EXPECT_EQ((*later)->network_name, "hospitals");
  EXPECT_TRUE(known_network(choice(file)).ok()) << "naming it again is no contradiction";
}

TEST_F(KnownNetworkTest, AnotherOneInTheSameFolderIsRefusedWithAdvice) {
  ASSERT_TRUE(known_network(choice(write("hospitals"))).ok());
  const auto refused = known_network(choice(write("banks")));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().detail, HasSubstr("--home"));
  EXPECT_EQ((*known_network(choice()))->network_name, "hospitals");
}

TEST_F(KnownNetworkTest, APinnedChainIsHeldAgainstBoth) {
  auto pinned = choice(write("hospitals"));
  pinned.chain = ChainId{};
  EXPECT_THAT(known_network(pinned).error().detail, HasSubstr("--chain pins"));
  EXPECT_FALSE(*known_network(choice())) << "what is refused is not remembered";
  ASSERT_TRUE(known_network(choice(folder_ / "hospitals")).ok());
  pinned.file.clear();
  EXPECT_THAT(known_network(pinned).error().detail, HasSubstr("--chain pins"));
}

TEST(OutboxTest, SequenceNumbersRiseEvenIfTheClockFalls) {
  const auto key = test_key(1);
  Outbox outbox({}, key);
  std::vector<std::uint64_t> seqs;
  for (const std::int64_t ms : {5'000, 4'000, 9'000}) {
    outbox.add({ms}, ledger::RecordKind::commit, {}, {});
    seqs.push_back(outbox.last_seq());
  }
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{5'000, 5'001, 9'000}));
  for (int i = 0; i < 1000; ++i) outbox.add({9'000}, ledger::RecordKind::commit, {}, {});
  EXPECT_EQ(outbox.size(), Outbox::kWaitingMax);
}

}  // namespace
}  // namespace fedmesh::worker
