#include "tests/sim/simulation_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace fedmesh::sim {
namespace {

using testing::HasSubstr;

std::string set(std::string_view text, std::string_view setting) {
  const auto out = with_setting(text, setting);
  return out.ok() ? *out : out.error().to_string();
}

TEST(SimulationTextTest, FillsEveryPlaceholder) {
  EXPECT_EQ(filled("a:{seed}?b={seed}", "{seed}", 12), "a:12?b=12");
  EXPECT_EQ(filled("{worker}{seed}", "{worker}", 0), "0{seed}");
  EXPECT_EQ(filled("", "{seed}", 1), "");
}

TEST(SimulationTextTest, SetsAddsAndTakesOutKeys) {
  const std::string job = "name = \"x\"\n[a]\nk = 1  # one\nkk = 2\n[b]\nk = 3";
  EXPECT_EQ(set(job, "a.k=7"), "name = \"x\"\n[a]\nk = 7\nkk = 2\n[b]\nk = 3");
  EXPECT_EQ(set(job, "b.k=word"), "name = \"x\"\n[a]\nk = 1  # one\nkk = 2\n[b]\nk = \"word\"\n");
  EXPECT_EQ(set(job, "a.new = 0.5"),
            "name = \"x\"\n[a]\nk = 1  # one\nkk = 2\nnew = 0.5\n[b]\nk = 3");
  EXPECT_EQ(set(job, "b.new=1"), job + "\nnew = 1\n");
  EXPECT_EQ(set(job, "c.new=1"), job + "\n[c]\nnew = 1\n");
  EXPECT_EQ(set(job, "a.k="), "name = \"x\"\n[a]\nkk = 2\n[b]\nk = 3");
  EXPECT_EQ(set(job, "a.none="), job);
  EXPECT_EQ(set("", "a.k=1"), "\n[a]\nk = 1\n");
}

TEST(SimulationTextTest, RefusesWhatIsNoSetting) {
  for (const char* setting :
       {"", "=", "a=1", "a.b", "a.=1", ".b=1", "a.b.c=1", "data.columns[0].min=1", "A.b=1"})
    EXPECT_THAT(set("[a]\n", setting), HasSubstr("write SECTION.KEY=VALUE")) << setting;
}

TEST(SimulationTextTest, RandomTextNeverCrashes) {
  static constexpr std::string_view kAlphabet = "[]a.b=#\n \"1";
  SeededRandom random(5);
  for (int trial = 0; trial < 20000; ++trial) {
    std::string job, setting = "a.b=";
    for (std::uint64_t i = random.below(30); i > 0; --i)
      job += kAlphabet[random.below(kAlphabet.size())];
    for (std::uint64_t i = random.below(5); i > 0; --i)
      setting += kAlphabet[random.below(kAlphabet.size())];
    ASSERT_TRUE(with_setting(job, setting).ok()) << job;
  }
}

}  // namespace
}  // namespace fedmesh::sim
