#include "coordinator/cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "coordinator/cli/report_text.h"
#include "tests/base/temporary_folder.h"

namespace fedmesh::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHostile = "<script>alert('x')</script> & \"q\" \x1b[31m \xff\xfe";

JobReport sample() {
  JobReport out;
  out.name = "clinics";
  out.job_id = std::string(64, 'a');
  out.chain_id = std::string(64, 'b');
  out.outcome = "finished";
  out.reason = "all rounds are done";
  out.model_path = "clinics.safetensors";
  out.model_sha256 = std::string(64, 'c');
  out.epsilon_total_nano = 1'000'000'000;
  out.epsilon_spent_nano = 280'000'000;
  out.delta_pico = 0;
  out.protection = "One patient's record is hidden from everybody but the aggregator.";
  RoundRow query;
  query.kind = "standardisation";
  query.workers = query.cohort = 5;
  query.epsilon_spent_nano = 100'000'000;
  query.aggregator = "coord-0";
  query.ledger_height = 9;
  out.rounds.push_back(query);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    RoundRow row = query;
    row.kind = "training";
    row.round = i;
    row.loss_micro = 693'147 - static_cast<std::int64_t>(i) * 50'000;
    row.accuracy_micro = 700'000 + static_cast<std::int64_t>(i) * 10'000;
    row.epsilon_spent_nano += static_cast<std::int64_t>(i) * 90'000'000;
    row.bytes_up = 1500;
    row.bytes_down = 12'345'678;
    row.duration_ms = 1234;
    row.ledger_height += i * 8;
    out.rounds.push_back(row);
  }
  out.rounds.back().attempt = 1;
  out.rounds.back().note = "attempt 0 was void: too few updates";
  out.audit = {{Evidence::attested, 3, 4, "the aggregate of round 2"},
               {Evidence::proved, 0, 0, "every block is certified"},
               {Evidence::claimed, 0, 0, "the beacon"}};
  return out;
}

TEST(ReportTest, JsonHasStableKeys) {
  const auto json = nlohmann::ordered_json::parse(to_json(sample()));
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              ::testing::ElementsAre("report_version", "name", "job_id", "chain_id", "outcome",
                                     "reason", "model", "privacy", "rounds", "audit"));
  EXPECT_DOUBLE_EQ(json["privacy"]["epsilon_spent"], 0.28);
  EXPECT_TRUE(json["rounds"][0]["accuracy"].is_null());
  EXPECT_DOUBLE_EQ(json["rounds"][2]["accuracy"], 0.72);
  EXPECT_EQ(json["rounds"][2]["note"], "attempt 0 was void: too few updates");
  EXPECT_TRUE(json["rounds"][0]["bytes_up"].is_null());
  EXPECT_EQ(json["rounds"][2]["bytes_up"], 1500);
  EXPECT_EQ(json["audit"][0]["evidence"], "attested");
  EXPECT_EQ(json["audit"][0]["signers"], 3);
}

TEST(ReportTest, JsonSurvivesAnyText) {
  JobReport report = sample();
  report.name = kHostile;
  const auto json = nlohmann::json::parse(to_json(report), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_THAT(std::string(json["name"]), HasSubstr("<script>"));
}

TEST(ReportTest, TableIsAligned) {
  EXPECT_EQ(to_table(sample()),
            "              round  workers  validation loss  accuracy  ε spent     bytes up/down  "
            "seconds  aggregator  ledger height\n"
            "0 (standardisation)      5/5                -         -      0.1                 -    "
            " 0.00     coord-0              9\n"
            "                  1      5/5           0.6431   71.00 %     0.19  1.5 KB / 12.3 MB    "
            " 1.23     coord-0             17\n"
            "                2.1      5/5           0.5931   72.00 %     0.28  1.5 KB / 12.3 MB    "
            " 1.23     coord-0             25\n"
            "round 2.1: attempt 0 was void: too few updates\n");
}

TEST(ReportTest, TableNeverWritesToTheTerminal) {
  JobReport report = sample();
  report.rounds[1].aggregator = kHostile;
  report.rounds[1].note = "a\r\nb\x9b\xe2\x80\xae";
  const std::string table = to_table(report);
  for (const char c : table) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_THAT(table, HasSubstr("?[31m ??"));
  EXPECT_THAT(table, HasSubstr("a??b??\n"));
}

TEST(ReportTest, PageShowsEverything) {
  const std::string page = to_html(sample());
  for (const char* part :
       {"<title>clinics: fedmesh job report</title>", "prefers-color-scheme:dark",
        "Validation loss", "Accuracy", "Privacy spent", "attested 3 of 4", "proved", "claimed",
        "clinics.safetensors", "0.28 of 1", "hidden from everybody", "71.00 %", "too few updates",
        "<polyline class=\"curve\""})
    EXPECT_THAT(page, HasSubstr(part));
  for (const char* part : {"<script", "http://", "https://", " src=", " href="}) {
    std::string without = page;
    for (const char* name : {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"})
      for (std::size_t at; (at = without.find(name)) != std::string::npos;)
        without.erase(at, std::string(name).size());
    EXPECT_THAT(without, Not(HasSubstr(part)));
  }
}

JobReport hostile() {
  JobReport report = sample();
  for (std::string* text :
       {&report.name, &report.job_id, &report.chain_id, &report.outcome, &report.reason,
        &report.model_path, &report.model_sha256, &report.protection, &report.rounds[1].kind,
        &report.rounds[1].aggregator, &report.rounds[1].note, &report.audit[0].text})
    *text = kHostile;
  return report;
}

TEST(ReportTest, PageEscapesAllText) {
  const std::string page = to_html(hostile());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert('")));
  EXPECT_THAT(page,
              HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;"));
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\xff")));
}

JobReport extreme(std::size_t rounds, std::int64_t value) {
  JobReport report = sample();
  report.rounds.assign(rounds, report.rounds[1]);
  for (std::size_t i = 0; i < rounds; ++i) {
    report.rounds[i].round = i * 7;
    report.rounds[i].loss_micro = i % 2 == 0 ? value : 0;
    report.rounds[i].accuracy_micro = value;
    report.rounds[i].epsilon_spent_nano = value;
  }
  return report;
}

std::vector<JobReport> page_cases() {
  std::vector<JobReport> out{sample(), hostile(), JobReport{}, extreme(1, 0), extreme(500, 1)};
  out.push_back(extreme(3, std::numeric_limits<std::int64_t>::max()));
  out.push_back(extreme(3, std::numeric_limits<std::int64_t>::min()));
  return out;
}

TEST(ReportTest, CurvesHaveOnlyFiniteNumbersInsideTheFrame) {
  for (const JobReport& report : page_cases()) {
    const std::string page = to_html(report);
    EXPECT_THAT(page, Not(HasSubstr("nan")));
    EXPECT_THAT(page, Not(HasSubstr("inf\"")));
    for (std::size_t at = 0; (at = page.find("points=\"", at)) != std::string::npos; ++at) {
      std::istringstream points(page.substr(at + 8, page.find('"', at + 8) - at - 8));
      double x = 0;
      double y = 0;
      char comma = 0;
      while (points >> x >> comma >> y) {
        EXPECT_GE(x, 57.9);
        EXPECT_LE(x, 348.1);
        EXPECT_GE(y, 11.9);
        EXPECT_LE(y, 178.1);
      }
    }
  }
}

TEST(ReportTest, PageIsWellFormedXml) {
  if (!std::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "there is no /usr/bin/python3";
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "report.html";
  for (const JobReport& report : page_cases()) {
    std::ofstream(path, std::ios::binary) << to_html(report);
    const std::string command =
        "/usr/bin/python3 -c 'import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); "
        "sys.exit(len(d.getElementsByTagName(\"h1\")) != 1)' " +
        path.string();
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
}

TEST(ReportTextTest, NumbersForPeople) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.0 KB");
  EXPECT_EQ(bytes_text(123'456), "123 KB");
  EXPECT_EQ(bytes_text(999'999), "1.0 MB");
  EXPECT_EQ(bytes_text(std::numeric_limits<std::uint64_t>::max()), "18.4 EB");
  EXPECT_EQ(percent_text(812'500), "81.25 %");
  EXPECT_EQ(micro_text(693'147), "0.6931");
}

TEST(ReportTextTest, Utf8IsKeptAndRepaired) {
  EXPECT_EQ(repaired_utf8("ε 😀"), "ε 😀");
  EXPECT_EQ(repaired_utf8("\xc0\x80|\xed\xa0\x80|\xf5\x80\x80\x80|\xe2\x82"),
            "\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD");
  EXPECT_EQ(terminal_width("ε spent"), 7u);
}

}  // namespace
}  // namespace fedmesh::cli
