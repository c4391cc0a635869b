#include "base/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/base/temporary_folder.h"

namespace fedmesh {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class EventLogTest : public testing::Test {
 protected:
  static std::string text(const std::filesystem::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  static LogEvent event(std::int64_t at) { return {Instant{at}, "test.event", {{"text", "x"}}}; }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "events.jsonl";
};

TEST_F(EventLogTest, ALineIsJsonWhateverTheTextHolds) {
  const LogEvent odd{
      Instant{7}, "odd", {{"number", -3}, {"text", "a\"\\\n\x7f\xff\xc3\xa9\xed\xa0\x80"}}};
  EXPECT_EQ(to_json_line(odd),
            "{\"at_ms\":7,\"event\":\"odd\",\"number\":-3,"
            "\"text\":\"a\\\"\\\\\\u000a\\u007f\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\"}");
}

TEST_F(EventLogTest, AFullFileMakesWayAndOneOldFileIsKept) {
  const std::string line = to_json_line(event(1)) + "\n";
  auto log = FileEventLog::open(path_, 2 * line.size());
  ASSERT_TRUE(log.ok());
  for (int i = 1; i <= 5; ++i) (*log)->write(event(i));
  EXPECT_EQ(text(rotated_log(path_)),
            to_json_line(event(3)) + "\n" + to_json_line(event(4)) + "\n");
  EXPECT_EQ(text(path_), to_json_line(event(5)) + "\n");
  // A log that is opened again counts what is there.
  log = FileEventLog::open(path_, 2 * line.size());
  for (int i = 6; i <= 7; ++i) (*log)->write(event(i));
  EXPECT_EQ(text(path_), to_json_line(event(7)) + "\n");
}

TEST_F(EventLogTest, ALineLongerThanTheBoundIsStillWritten) {
  auto log = FileEventLog::open(path_, 4);
  ASSERT_TRUE(log.ok());
  (*log)->write(event(1));
  (*log)->write(event(2));
  EXPECT_EQ(text(path_), to_json_line(event(2)) + "\n");
}

TEST_F(EventLogTest, ATornLineIsEndedBeforeTheNextOne) {
  std::ofstream(path_) << "{\"at_ms\":1,\"ev";
  auto log = FileEventLog::open(path_);
  ASSERT_TRUE(log.ok());
  (*log)->write(event(2));
  EXPECT_EQ(text(path_), "{\"at_ms\":1,\"ev\n" + to_json_line(event(2)) + "\n");
}

TEST_F(EventLogTest, AFullDiskIsNamedOnceAndStopsNobody) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  auto log = FileEventLog::open("/dev/full");
  ASSERT_TRUE(log.ok()) << log.error().detail;
  testing::internal::CaptureStderr();
  (*log)->write(event(1));
  (*log)->write(event(2));
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("event log /dev/full: the disk is full"));
  EXPECT_EQ(said.find("disk is full"), said.rfind("disk is full"));
  EXPECT_THAT(said, EndsWith("to go on logging\n"));
}

}  // namespace
}  // namespace fedmesh
