#include "worker/trainer/serve.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/crash_point.h"
#include "worker/trainer/frame.h"

namespace fedmesh::trainer {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto kProgressInterval = std::chrono::milliseconds(200);

Error pipe_error(const char* what) {
  return unavailable(std::string(what) + ": " + std::strerror(errno));
}

Result<void> write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return pipe_error("cannot write to the worker");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

template <class Message>
Result<void> send(int out, const Message& message) {
  FM_TRY(const Bytes frame, frame_of(message));
  return write_all(out, frame);
}

Result<void> answer(int out, const Frame& frame, TaskExecutor& executor) {
  FM_TRY(const Request request, message_of<Request>(frame));
  const std::string task = to_string(request.kind);
  crash_point("trainer.received." + task);
  auto last = SteadyClock::now();
  const auto on_progress = [&](std::uint64_t done, std::uint64_t total) {
    const auto now = SteadyClock::now();
    if (now - last < kProgressInterval) return;
    last = now;
    // If the pipe is broken, sending the response will say so.
    (void)send(out, Progress{.id = request.id, .done = done, .total = total});
  };
  const Response response = executor.run(request, on_progress);
  crash_point("trainer.done." + task);
  if (const auto frame_bytes = frame_of(response); frame_bytes.ok())
    return write_all(out, *frame_bytes);
  else
    return send(out, failure(request.id, frame_bytes.error()));
}

}  // namespace

Result<void> serve(int in, int out, const Ready& ready, TaskExecutor& executor) {
  FM_TRY_VOID(send(out, ready));
  FrameReader reader;
  Bytes piece(256 * 1024);
  while (true) {
    FM_TRY(const auto frame, reader.next());
    if (frame.has_value()) {
      FM_TRY_VOID(answer(out, *frame, executor));
      continue;
    }
    const ssize_t count = ::read(in, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return pipe_error("cannot read from the worker");
    if (count == 0 && !reader.empty()) return corruption("the requests end inside a frame");
    if (count == 0) return {};
    reader.feed(ByteView(piece).first(static_cast<std::size_t>(count)));
  }
}

}  // namespace fedmesh::trainer
