#include "coordinator/cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/crypto/keys.h"
#include "tests/base/temporary_folder.h"

namespace fedmesh::cli {
namespace {

using ::testing::HasSubstr;

class DoctorTest : public testing::Test {
 protected:
  DoctorTest() { crypto::initialise(); }
  static const Finding& find(const Findings& findings, const std::string& check) {
    for (const auto& finding : findings)
      if (finding.check == check) return finding;
    ADD_FAILURE() << "no finding " << check;
    static const Finding none;
    return none;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path home_ = folder_.path();
  SystemRandom random_;
};

TEST_F(DoctorTest, AHealthyFolderIsFine) {
  ASSERT_TRUE(crypto::load_or_create_key(home_ / "node.key", random_).ok());
  for (const auto& finding : check_keys(home_)) EXPECT_EQ(finding.health, Health::ok);
  EXPECT_EQ(check_keys(home_).size(), 1u);
  EXPECT_EQ(find(check_home(home_), "home").health, Health::ok);
  EXPECT_THAT(find(check_disk(home_), "disk").detail, HasSubstr("a flush took"));
  EXPECT_EQ(find(check_clock(), "clock").health, Health::ok);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(home_), {}), 1) << "left something";
}

TEST_F(DoctorTest, AKeyThatOthersReadOrThatIsDamagedFails) {
  ASSERT_TRUE(crypto::load_or_create_key(home_ / "node.key", random_).ok());
  ::chmod((home_ / "node.key").c_str(), 0644);
  std::ofstream(home_ / "owner.key") << "nothing";
  ::chmod((home_ / "owner.key").c_str(), 0600);
  const auto findings = check_keys(home_);
  EXPECT_EQ(find(findings, "key node.key").health, Health::fail);
  EXPECT_THAT(find(findings, "key node.key").advice, HasSubstr("chmod 600"));
  EXPECT_EQ(find(findings, "key owner.key").health, Health::fail);
  EXPECT_THAT(find(findings, "key owner.key").advice, HasSubstr("backup"));
}

TEST_F(DoctorTest, AFolderThatOthersWriteAndADamagedGenesisFail) {
  ::chmod(home_.c_str(), 0777);
  std::ofstream(home_ / "genesis.fm") << "fedmesh genesis v1 nothing\n";
  const auto findings = check_home(home_);
  EXPECT_EQ(find(findings, "home").health, Health::fail);
  EXPECT_EQ(find(findings, "network").health, Health::fail);
}

TEST_F(DoctorTest, AFolderThatIsNotThereYetIsNoFault) {
  const auto absent = home_ / "a" / "b";
  EXPECT_EQ(find(check_disk(absent), "disk").health, Health::ok);
  EXPECT_THAT(find(check_disk(absent), "disk").detail, HasSubstr("does not exist yet"));
  EXPECT_TRUE(check_home(absent).empty());
  EXPECT_TRUE(check_keys(absent).empty());
  EXPECT_FALSE(std::filesystem::exists(absent));
}

TEST_F(DoctorTest, AFolderThatCannotBeWrittenFails) {
  if (::geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  ::chmod(home_.c_str(), 0500);
  EXPECT_EQ(find(check_disk(home_), "disk").health, Health::fail);
  ::chmod(home_.c_str(), 0700);
}

TEST_F(DoctorTest, ABlockFromTheFutureMeansAWrongClock) {
  EXPECT_EQ(check_clock_against(10'000, 8'500).health, Health::ok);
  EXPECT_EQ(check_clock_against(10'000, 1'000'000).health, Health::ok) << "an idle network";
  EXPECT_EQ(check_clock_against(100'000, 10'000).health, Health::fail);
}

TEST_F(DoctorTest, TheTrainersWordIsJudged) {
  const auto judge = [](std::string blas, std::vector<std::string> devices, bool driver) {
    return judge_trainer({1, "LibTorch 1.13.1", std::move(blas), std::move(devices)}, driver);
  };
  for (const auto& finding : judge("OpenBLAS 0.3.21", {"cpu"}, false))
    EXPECT_EQ(finding.health, Health::ok) << finding.detail;
  EXPECT_EQ(find(judge("", {"cpu"}, false), "BLAS").health, Health::warn);
  EXPECT_EQ(find(judge("x", {"cpu"}, true), "GPU").health, Health::warn);
  EXPECT_EQ(find(judge("x", {"cpu", "cuda"}, true), "GPU").health, Health::ok);
  EXPECT_EQ(find(judge_trainer({1, "kernels", "x", {"cpu"}}, false), "trainer").health,
            Health::warn);
}

TEST_F(DoctorTest, ATrainerThatIsNotThereOrNoTrainerIsNamed) {
  EXPECT_EQ(check_trainer((home_ / "none").string())[0].health, Health::warn);
  const auto wrong = check_trainer("/bin/true");
  EXPECT_EQ(wrong[0].health, Health::fail) << wrong[0].detail;
}

TEST_F(DoctorTest, AnAddressThatIsTakenOrNotOursCannotBeListenedOn) {
  EXPECT_EQ(check_listen("127.0.0.1:0").health, Health::ok);
  EXPECT_EQ(check_listen("192.0.2.1:7700").health, Health::fail);
  EXPECT_EQ(check_listen("nonsense").health, Health::fail);
}

TEST_F(DoctorTest, NobodyThereIsSaidAtOnce) {
  const auto refused = check_coordinator("127.0.0.1:1", std::nullopt);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_THAT(refused[0].detail, HasSubstr("refused"));
  EXPECT_EQ(check_coordinator("nonsense", std::nullopt)[0].health, Health::fail);
}

TEST_F(DoctorTest, TheAnswerIsATableOrJson) {
  const Findings findings = {{"disk", Health::ok, "fine", ""},
                             {"clock", Health::warn, "odd \x1b[31m", "set it"}};
  EXPECT_EQ(findings_table(findings),
            "ok    disk   fine\n"
            "warn  clock  odd ?[31m\n"
            "             -> set it\n");
  const auto json = nlohmann::json::parse(findings_json(findings));
  EXPECT_EQ(json["health"], "warn");
  EXPECT_EQ(json["findings"][1]["advice"], "set it");
}

}  // namespace
}  // namespace fedmesh::cli
