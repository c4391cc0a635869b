// Workers decide for themselves, and submitters see what was decided.
#include <gmock/gmock.h>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Consent, ADeclinedJobSaysSoAndTooFewWorkersWaitOrEndIt) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"open", "strict", "picky"}));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  net.start_worker("open");
  Process& strict = net.start_worker("strict", {"--require-privacy"});
  Process& picky = net.start_worker("picky", {"--allow-submitter", std::string(64, '5')});
  for (const char* name : {"open", "strict", "picky"})
    ASSERT_TRUE(net.worker(name).says("connected to coordinator")) << name;

  JobText alone{.name = "alone"};
  alone.federation = "rounds = 1\nmin_updates = 1\nenrol_deadline = \"60s\"\n";
  ASSERT_FALSE(net.submit(alone).empty());
  const Ran watched = net.online({"job", "watch", "alone"});
  EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
  EXPECT_TRUE(strict.says("alone: declined: the job releases sums without noise"));
  EXPECT_TRUE(picky.says("alone: declined: "));
  const Ran shown = net.online({"job", "show", "alone"});
  EXPECT_THAT(shown.out, ::testing::ContainsRegex("declined  [0-9a-f]+  strict"));
  EXPECT_THAT(shown.out, ::testing::ContainsRegex("declined  [0-9a-f]+  picky"));
  EXPECT_THAT(shown.out, ::testing::ContainsRegex("enrolled  [0-9a-f]+  open"));

  JobText waits{.name = "waits"};
  waits.federation = "rounds = 1\nmin_updates = 2\nenrol_deadline = \"60s\"\n";
  ASSERT_FALSE(net.submit(waits).empty());
  ASSERT_TRUE(eventually([&] {
    return net.online({"job", "show", "waits"}).out.find("2 declined") != std::string::npos;
  }));
  EXPECT_THAT(net.online({"job", "show", "waits"}).out,
              HasSubstr("waiting for workers: 1 of at least 2 workers enrolled, 2 declined"));

  JobText ends{.name = "ends"};
  ends.federation = "rounds = 1\nmin_updates = 2\nenrol_deadline = \"1s\"\non_too_few = \"end\"\n";
  const Ran ended = net.online({"job", "submit", net.write_job(ends), "--watch"});
  EXPECT_EQ(ended.code, 1) << ended.out;
  EXPECT_THAT(ended.out,
              HasSubstr("failed: too few workers: 1 of at least 2 workers enrolled, 2 declined"));
}

std::string table_with(const std::string& columns, const std::string& row) {
  std::string text = columns + "\n";
  for (int i = 0; i < 40; ++i) text += row + "\n";
  return text;
}

// One lacks a column that the job names, one has a class that it does not know.
TEST(Consent, AWorkerWhoseDataHasOtherColumnsOrClassesIsLeftOutAndTheJobGoesOn) {
  Federation net;
  const std::vector<std::string> all = {"fits", "fits_too", "columns", "classes"};
  ASSERT_NO_FATAL_FAILURE(net.init(all));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  net.write("columns.csv", table_with("patient,age,dosage_of_secretol,ill", "p,50,100,1"));
  net.write("classes.csv", table_with("patient,age,dose,dose_again,ill", "p,50,100,100,2"));
  for (const auto& name : all) net.start_worker(name);
  for (const auto& name : all)
    ASSERT_TRUE(net.worker(name).says("connected to coordinator")) << name;

  JobText job;
  job.federation = "rounds = 2\nmax_participants = 4\nmin_updates = 2\nenrol_deadline = \"60s\"\n";
  ASSERT_FALSE(net.submit(job).empty());
  const Ran watched = net.online({"job", "watch", "small"});
  EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("round 2 of 2: 2 of 2 workers"));
  for (const std::string name : {"columns", "classes"}) {
    EXPECT_TRUE(net.worker(name).says("small: declined: this worker's data does not fit")) << name;
    EXPECT_TRUE(net.worker(name).running()) << name;
    EXPECT_THAT(net.online({"job", "show", "small"}).out,
                ::testing::ContainsRegex("declined  [0-9a-f]+  " + name));
  }
  // Why is said here and nowhere else.
  EXPECT_TRUE(net.worker("columns").says("dose"));
  ASSERT_EQ(net.online({"ledger", "export", net.path("all.export")}).code, 0);
  EXPECT_THAT(read_text(net.path("all.export")), Not(HasSubstr("does not fit")));
  EXPECT_THAT(read_text(net.path("all.export")), Not(HasSubstr("secretol")));
}

TEST(Consent, AnAbsentGpuIsSaidAtTheStart) {
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a GPU";
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"plain", "gpu"}));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  net.start_worker("plain", {"--device", "auto"});
  Process& gpu = net.start_worker("gpu", {"--device", "cuda"});
  ASSERT_TRUE(net.worker("plain").says("connected to coordinator"));
  EXPECT_EQ(gpu.wait(), 2);
  EXPECT_THAT(gpu.errors(), HasSubstr("cuda"));
}

}  // namespace
}  // namespace fedmesh::e2e
