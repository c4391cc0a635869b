#include "worker/trainer/serve.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/worker/trainer/test_tasks.h"
#include "worker/trainer/frame.h"

namespace fedmesh::trainer {
namespace {

using ::testing::HasSubstr;

// One conversation through pipes that are large enough to hold it.
class ServeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe2(in_, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(out_, O_CLOEXEC), 0);
    ASSERT_GE(::fcntl(in_[1], F_SETPIPE_SZ, 1 << 20), 0);
  }
  void TearDown() override {
    ::close(in_[0]);
    ::close(out_[0]);
  }

  Result<void> serve_bytes(ByteView requests) {
    EXPECT_EQ(::write(in_[1], requests.data(), requests.size()),
              static_cast<ssize_t>(requests.size()));
    ::close(in_[1]);
    KernelExecutor executor;
    const auto served =
        serve(in_[0], out_[1], Ready{.engine = "test", .blas = {}, .devices = {}}, executor);
    ::close(out_[1]);
    FrameReader reader;
    Bytes piece(1 << 16);
    for (ssize_t count; (count = ::read(out_[0], piece.data(), piece.size())) > 0;)
      reader.feed(ByteView(piece).first(static_cast<std::size_t>(count)));
    while (auto frame = *reader.next()) frames_.push_back(*frame);
    return served;
  }

  int in_[2], out_[2];
  std::vector<Frame> frames_;
};

TEST_F(ServeTest, GreetsThenAnswersInOrderUntilTheEnd) {
  Bytes requests = *frame_of(describe_request(4));
  append(requests, *frame_of(Request{.id = 5, .kind = TaskKind::train, .body = {}}));
  append(requests, *frame_of(gradient_request(6)));
  ASSERT_TRUE(serve_bytes(Bytes(requests)).ok());
  std::vector<Response> responses;
  ASSERT_EQ(frames_.front().kind, MessageKind::ready);
  EXPECT_EQ(message_of<Ready>(frames_.front())->protocol, kProtocolVersion);
  for (const Frame& frame : frames_)
    if (frame.kind == MessageKind::response) responses.push_back(*message_of<Response>(frame));
  ASSERT_EQ(responses.size(), 3u);
  EXPECT_EQ(responses[0].id, 4u);
  EXPECT_TRUE(responses[0].ok);
  EXPECT_EQ(responses[1].id, 5u);
  EXPECT_FALSE(responses[1].ok);
  EXPECT_EQ(responses[2].id, 6u);
  EXPECT_TRUE(responses[2].ok);
}

TEST_F(ServeTest, NothingToDoIsNoError) {
  EXPECT_TRUE(serve_bytes({}).ok());
  EXPECT_EQ(frames_.size(), 1u);
}

TEST_F(ServeTest, GarbageEndsIt) {
  EXPECT_THAT(serve_bytes(Bytes(100, 0xee)).error().detail, HasSubstr("claims"));
}

TEST_F(ServeTest, AFrameThatIsNoRequestEndsIt) {
  EXPECT_FALSE(serve_bytes(*frame_of(Progress{})).ok());
}

TEST_F(ServeTest, ARequestThatIsCutOffEndsIt) {
  Bytes request = *frame_of(describe_request(1));
  request.pop_back();
  EXPECT_THAT(serve_bytes(request).error().detail, HasSubstr("inside a frame"));
}

}  // namespace
}  // namespace fedmesh::trainer
