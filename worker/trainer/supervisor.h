// Keeps a trainer process at hand: starts it, gives it one task after the other, and starts it anew
// when it crashes, hangs or talks nonsense. The task under way is then reported as failed, never
// repeated: the caller knows whether the round is still open. See task.h for the protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

struct SupervisorOptions {
  std::vector<std::string> command;  // the trainer's path and its arguments
  bool start_at_once = false;        // else with the first task: an idle trainer holds 150 MB
  Duration start_deadline{60'000};   // from start to Ready
  Duration idle_exit{0};             // ends an idle trainer after this long; 0: keeps it
  Duration backoff_first{500};       // after a crash without any answer; doubles with each
  Duration backoff_max{30'000};
  std::size_t queue_max = 64;                            // tasks waiting
  std::size_t queue_bytes_max = std::size_t{512} << 20;  // of their bodies
};

// What happened to the process, for the event log.
struct TrainerEvent {
  enum class Kind { started, ready, ended, log } kind = Kind::started;
  std::string detail;  // ready: engine and BLAS; ended: how and why; log: a line of its stderr
  Ready ready;         // for ready only
};

// All are called on the supervisor's own thread, one at a time, and must not block for long or call
// stop(); usually they post to the owner's queue. Members left empty are not called.
struct SupervisorCallbacks {
  std::function<void(Response)> on_response;  // exactly one per accepted task
  std::function<void(Progress)> on_progress;
  std::function<void(TrainerEvent)> on_event;
};

// Thread-safe. No call waits for the trainer, except stop(). SIGPIPE need not be ignored.
class Supervisor {
 public:
  // invalid_argument: no command.
  static Result<std::unique_ptr<Supervisor>> create(SupervisorOptions options,
                                                    SupervisorCallbacks callbacks);
  ~Supervisor();  // stop()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Queues a task. Without a response or progress for `deadline` once it runs, the trainer is
  // killed and the task fails. exhausted: the queue is full. invalid_argument: too long for a
  // frame. unavailable: after stop().
  Result<void> submit(Request request, Duration deadline);

  // Fails the task as cancelled; if it is running, by killing the trainer. An id that is not there
  // (any more) is ignored.
  void cancel(std::uint64_t id);

  // Fails all tasks, ends the trainer and waits until it is gone (an idle one is given two seconds
  // to end by itself, a busy one is killed). Idempotent.
  void stop();

  // 0 while none runs. For people and tests.
  int trainer_pid() const;

 private:
  class Loop;
  explicit Supervisor(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

// The program `name` in the folder of the running program; where a build or an installation puts
// the trainer beside the worker.
std::string program_beside_this(std::string_view name);

}  // namespace fedmesh::trainer
