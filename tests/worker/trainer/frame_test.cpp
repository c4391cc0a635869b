#include "worker/trainer/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "worker/trainer/line_tail.h"

namespace fedmesh::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FrameTest, AssemblesFramesFromSinglePieces) {
  Bytes stream = *frame_of(Progress{.id = 1, .done = 2, .total = 3});
  append(stream, *frame_of(success(7, Bytes(1000, 9))));
  FrameReader reader;
  std::vector<Frame> frames;
  for (const std::uint8_t byte : stream) {
    reader.feed(ByteView(&byte, 1));
    if (auto frame = *reader.next()) frames.push_back(*frame);
  }
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(message_of<Progress>(frames[0])->done, 2u);
  EXPECT_EQ(message_of<Response>(frames[1])->body, Bytes(1000, 9));
  EXPECT_TRUE(reader.empty());
}

TEST(FrameTest, KeepsPartOfAFrameAndNothingOfFormerOnes) {
  FrameReader reader;
  const Bytes frame = *frame_of(Progress{});
  for (int i = 0; i < 1000; ++i) {
    reader.feed(frame);
    reader.feed(ByteView(frame).first(3));
    EXPECT_TRUE(reader.next()->has_value());
    EXPECT_FALSE(reader.next()->has_value());
    EXPECT_FALSE(reader.empty());
    reader.feed(ByteView(frame).subspan(3));
    EXPECT_TRUE(reader.next()->has_value());
    EXPECT_TRUE(reader.empty());
  }
}

TEST(FrameTest, RefusesImpossibleLengthsAndKindsAtOnce) {
  const auto error = [](Bytes bytes) {
    FrameReader reader;
    reader.feed(bytes);
    EXPECT_FALSE(reader.next().ok());
    return reader.next().error().detail;  // the second call says the same
  };
  EXPECT_THAT(error({0, 0, 0, 0}), HasSubstr("0 bytes"));
  EXPECT_THAT(error({1, 0, 0, 0x10}), HasSubstr("claims 268435457 bytes"));
  EXPECT_THAT(error({0xff, 0xff, 0xff, 0xff}), HasSubstr("allowed are 1 to"));
  EXPECT_THAT(error({9, 0, 0, 0, 77}), HasSubstr("unknown kind 77"));
  EXPECT_THAT(error({9, 0, 0, 0, 0}), HasSubstr("unknown kind 0"));
}

TEST(FrameTest, RefusesAMessageThatIsTooLong) {
  EXPECT_THAT(encode_frame(MessageKind::request, Bytes(kFrameBytesMax)).error().detail,
              HasSubstr("too long for a frame"));
}

TEST(FrameTest, AFrameOfAnotherKindIsRefused) {
  EXPECT_FALSE(message_of<Response>(Frame{MessageKind::progress, codec::encode(Response{})}).ok());
}

TEST(FrameTest, RandomBytesNeverCrashTheReader) {
  SeededRandom random(2);
  for (int trial = 0; trial < 2000; ++trial) {
    Bytes stream = *frame_of(Request{.id = 1, .kind = TaskKind::train, .body = Bytes(20, 1)});
    for (int flips = 0; flips < 3; ++flips)
      stream[random.below(stream.size())] = static_cast<std::uint8_t>(random.below(256));
    FrameReader reader;
    reader.feed(stream);
    const auto frame = reader.next();
    if (frame.ok() && frame->has_value()) (void)message_of<Request>(**frame);
  }
}

TEST(TaskTest, VectorsSurviveTheirBytes) {
  EXPECT_THAT(*floats_of(to_le_bytes(std::vector<float>{1.5f, -0.0f, 3e38f})),
              ElementsAre(1.5f, -0.0f, 3e38f));
  EXPECT_EQ(to_le_bytes(std::vector<std::int32_t>{-2}), (Bytes{0xfe, 0xff, 0xff, 0xff}));
  EXPECT_THAT(*int32s_of(to_le_bytes(std::vector<std::int32_t>{INT32_MIN, 0, INT32_MAX})),
              ElementsAre(INT32_MIN, 0, INT32_MAX));
  EXPECT_FALSE(int32s_of(Bytes(5)).ok());
}

TEST(TaskTest, LossesSaturate) {
  EXPECT_EQ(to_loss_micro(0.25), 250'000);
  EXPECT_EQ(to_loss_micro(-1), 0);
  for (const double bad : {1e300, std::numeric_limits<double>::infinity(), std::nan("")})
    EXPECT_EQ(to_loss_micro(bad), kLossMicroMax);
}

TEST(LineTailTest, KeepsTheLastLinesPrintable) {
  LineTail tail;
  EXPECT_THAT(tail.feed("one\ntw"), ElementsAre("one"));
  EXPECT_THAT(tail.feed("o\n\nthr\x1b"
                        "ee\nopen"),
              ElementsAre("two", "thr?ee"));
  EXPECT_EQ(tail.last(2), "two | thr?ee | open");
  for (int i = 0; i < 100; ++i) tail.feed(std::string(2000, 'a') + "\n");
  EXPECT_LT(tail.last(100).size(), 9u * 520);
}

}  // namespace
}  // namespace fedmesh::trainer
