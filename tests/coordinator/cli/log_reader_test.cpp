#include "coordinator/cli/log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/base/temporary_folder.h"

namespace fedmesh::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogReaderTest : public testing::Test {
 protected:
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  LogScan scan() {
    kinds_.clear();
    const auto done =
        scan_rotated_log(path_, [&](const LoggedEvent& event) { kinds_.push_back(event.kind); });
    EXPECT_TRUE(done.ok()) << done.error().detail;
    return done.ok() ? *done : LogScan{};
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "events.jsonl";
  std::vector<std::string> kinds_;
};

TEST_F(LogReaderTest, ReadsWhatTheLogWrites) {
  const LogEvent event{Instant{7}, "round.void", {{"round", 3}, {"reason", "a \"b\"\n\xff"}}};
  const auto parsed = parse_log_line(to_json_line(event));
  ASSERT_TRUE(parsed.ok()) << parsed.error().detail;
  EXPECT_EQ(parsed->at_ms, 7);
  EXPECT_EQ(parsed->kind, "round.void");
  EXPECT_EQ(parsed->number("round"), 3);
  EXPECT_EQ(parsed->text("reason"), "a \"b\"\n\xef\xbf\xbd");
  EXPECT_EQ(parsed->number("reason"), -1);
  EXPECT_EQ(parsed->text("absent"), "");
}

TEST_F(LogReaderTest, GarbageIsSkippedAndCounted) {
  write(
      "{\"at_ms\":1,\"event\":\"a\"}\n"
      "not json\n"
      "[1,2]\n"
      "\n"
      "{\"at_ms\":\"1\",\"event\":\"text for a time\"}\n"
      "{\"at_ms\":2}\n"
      "{\"at_ms\":1e300,\"event\":\"x\"}\n" +
      std::string(3, '\0') + "\xff\xfe\n" + std::string(100'000, '[') +
      "\n"
      "{\"at_ms\":3,\"event\":\"b\",\"nested\":{\"x\":[1]},\"real\":1.5}\n"
      "{\"at_ms\":4,\"ev");
  const LogScan done = scan();
  EXPECT_THAT(kinds_, ElementsAre("a", "b"));
  EXPECT_EQ(done.lines, 11u);
  EXPECT_EQ(done.skipped, 9u);
}

TEST_F(LogReaderTest, ALineWithoutEndTakesNoMemory) {
  std::string text;
  text.append(kLogLineBytes * 5, 'x').append("\n{\"at_ms\":1,\"event\":\"a\"}\n");
  text.append(kLogLineBytes * 2, 'y');
  write(text);
  const LogScan done = scan();
  EXPECT_THAT(kinds_, ElementsAre("a"));
  EXPECT_EQ(done.skipped, 2u);
}

TEST_F(LogReaderTest, APipeIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const auto done = scan_log(path_, [](const LoggedEvent&) {});
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().detail, HasSubstr("not a regular file"));
}

TEST_F(LogReaderTest, TheRotatedFileIsReadFirst) {
  auto log = FileEventLog::open(path_, 100);
  ASSERT_TRUE(log.ok());
  for (const char* kind : {"one", "two", "three", "four"}) (*log)->write({Instant{1}, kind, {}});
  scan();
  EXPECT_THAT(kinds_, ElementsAre("one", "two", "three", "four"));
  std::filesystem::remove(path_);
  scan();
  EXPECT_THAT(kinds_, ElementsAre("one", "two", "three"));
}

TEST_F(LogReaderTest, AMissingFileOrAFolderIsNamed) {
  const auto absent = scan_rotated_log(path_, [](const LoggedEvent&) {});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  EXPECT_THAT(absent.error().detail, HasSubstr(path_.string()));
  const auto folder = scan_log(folder_.path(), [](const LoggedEvent&) {});
  ASSERT_FALSE(folder.ok());
  EXPECT_THAT(folder.error().detail, HasSubstr("is a folder"));
  write("");
  EXPECT_EQ(scan().lines, 0u);
  EXPECT_THAT(kinds_, IsEmpty());
}

}  // namespace
}  // namespace fedmesh::cli
