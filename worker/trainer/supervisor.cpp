#include "worker/trainer/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "worker/trainer/child_process.h"
#include "worker/trainer/frame.h"
#include "worker/trainer/line_tail.h"
#include "worker/trainer/task_queue.h"

namespace fedmesh::trainer {
namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

constexpr Duration kExitPatience{2000};
constexpr Duration kDeadlineMin{1};
constexpr Duration kDeadlineMax{30LL * 24 * 3600 * 1000};

}  // namespace

// The thread and what it owns. Three states: no child; a child that is starting (not ready_); a
// child that is ready, with or without a task (current_) given to it (given_).
class Supervisor::Loop {
 public:
  Loop(SupervisorOptions options, SupervisorCallbacks callbacks)
      : options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        start_at_once_(options_.start_at_once),
        queue_(options_.queue_max, options_.queue_bytes_max) {}

  bool usable() const { return queue_.wake_descriptor() >= 0; }
  TaskQueue& queue() { return queue_; }

  void start() {
    // The thread, and with it the kernel's bookkeeping, must not run signal handlers, and a write
    // to a dead child must fail with EPIPE: all signals stay blocked in it.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void stop();
  int pid() const { return pid_; }

 private:
  void run();
  bool take_orders();  // false: stop
  void cancel_now(std::uint64_t id);
  void start_child();
  void give_task();
  void wait_for_events();
  std::optional<TimePoint> next_timer() const;
  void check_timers();
  void read_output();
  void read_errors();
  void write_input();
  void handle(const Frame& frame);
  void handle_ready(const Ready& ready);
  void lose_child(const std::string& why, Duration patience);
  void retire_child();
  void fail_task(const std::string& detail);
  void finish(Response response);
  void back_off();
  void report(TrainerEvent::Kind kind, std::string detail);

  const SupervisorOptions options_;
  const SupervisorCallbacks callbacks_;
  bool start_at_once_;  // the thread's
  TaskQueue queue_;
  std::mutex join_mutex_;
  std::thread thread_;  // joined under join_mutex_
  std::atomic<int> pid_{0};

  // owned by the thread
  std::unique_ptr<ChildProcess> child_;
  FrameReader reader_;
  LineTail errors_;
  bool ready_ = false;     // the child has said Ready
  bool answered_ = false;  // the child has answered a task
  std::optional<PendingTask> current_;
  bool given_ = false;  // current_ was handed to the child
  Bytes outgoing_;
  std::size_t sent_ = 0;
  TimePoint deadline_;    // of the start, or of the task's next sign of life
  TimePoint idle_since_;  // meaningful while ready and without a task
  TimePoint not_before_;  // the next start
  unsigned failures_ = 0;
};

void Supervisor::Loop::stop() {
  queue_.close();
  std::lock_guard joining(join_mutex_);
  FM_CHECK(std::this_thread::get_id() != thread_.get_id(), "stop() was called from a callback");
  if (thread_.joinable()) thread_.join();
}

void Supervisor::Loop::run() {
  while (take_orders()) {
    const bool had_task = current_.has_value();
    const bool wanted = had_task || std::exchange(start_at_once_, false);
    if (!child_ && wanted && SteadyClock::now() >= not_before_) start_child();
    if (child_ && ready_ && current_ && !given_) give_task();
    // A task that failed at once leaves room for the next, whose wake-up may be past already.
    if (had_task && !current_) continue;
    wait_for_events();
    check_timers();
  }
  const bool busy = current_.has_value() || !ready_;
  fail_task("the trainer was stopped");
  while (const auto task = queue_.pop())
    finish(failure(task->request.id, unavailable("the trainer was stopped")));
  if (!child_) return;
  if (busy) child_->kill();
  retire_child();
}

bool Supervisor::Loop::take_orders() {
  if (queue_.closed()) return false;
  for (const std::uint64_t id : queue_.take_cancelled()) cancel_now(id);
  if (!current_) {
    current_ = queue_.pop();
    given_ = false;
  }
  return true;
}

void Supervisor::Loop::cancel_now(std::uint64_t id) {
  if (current_ && current_->request.id == id) {
    if (!given_) return fail_task("cancelled");
    child_->kill();
    answered_ = true;  // the trainer is not to blame: no back-off
    return lose_child("its task was cancelled", kExitPatience);
  }
  if (queue_.remove(id)) finish(failure(id, unavailable("cancelled")));
}

void Supervisor::Loop::start_child() {
  reader_ = {};
  errors_ = {};
  ready_ = answered_ = given_ = false;
  outgoing_.clear();
  sent_ = 0;
  auto child = ChildProcess::start(options_.command, trainer_environment());
  if (!child.ok()) {
    back_off();
    report(TrainerEvent::Kind::ended, child.error().detail);
    return fail_task("the trainer cannot be started: " + child.error().detail);
  }
  child_ = std::move(child).value();
  pid_ = child_->pid();
  deadline_ = SteadyClock::now() + options_.start_deadline;
  report(TrainerEvent::Kind::started, "process " + std::to_string(child_->pid()));
}

void Supervisor::Loop::give_task() {
  auto frame = frame_of(current_->request);
  if (!frame.ok()) return fail_task(frame.error().detail);
  current_->request.body = {};
  outgoing_ = std::move(frame).value();
  sent_ = 0;
  given_ = true;
  deadline_ = SteadyClock::now() + current_->deadline;
  write_input();
}

void Supervisor::Loop::wait_for_events() {
  std::array<pollfd, 4> fds;
  std::size_t count = 0;
  fds[count++] = {queue_.wake_descriptor(), POLLIN, 0};
  if (child_) {
    fds[count++] = {child_->output(), POLLIN, 0};
    if (child_->errors() >= 0) fds[count++] = {child_->errors(), POLLIN, 0};
    if (sent_ < outgoing_.size()) fds[count++] = {child_->input(), POLLOUT, 0};
  }
  int timeout = -1;
  if (const auto timer = next_timer()) {
    // Rounded up, so that the timer has passed when poll returns.
    const auto left = std::chrono::ceil<Duration>(*timer - SteadyClock::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
  }
  if (::poll(fds.data(), count, timeout) <= 0) return;
  for (std::size_t i = 0; i < count && (i == 0 || child_); ++i) {
    if (fds[i].revents == 0) continue;
    if (i == 0) {
      queue_.clear_wake();
    } else if (fds[i].fd == child_->errors()) {
      read_errors();
    } else if (fds[i].fd == child_->output()) {
      read_output();
    } else {
      write_input();
    }
  }
}

std::optional<TimePoint> Supervisor::Loop::next_timer() const {
  if (!child_) return current_ ? std::optional(not_before_) : std::nullopt;
  if (!ready_ || given_) return deadline_;
  if (options_.idle_exit.count() > 0) return idle_since_ + options_.idle_exit;
  return std::nullopt;
}

void Supervisor::Loop::check_timers() {
  const auto timer = next_timer();
  if (!child_ || !timer || SteadyClock::now() < *timer) return;
  if (ready_ && !given_) {
    // A task that has just arrived is worth more than the memory.
    if (!current_) retire_child();
    return;
  }
  child_->kill();
  lose_child(
      ready_ ? "it gave no sign of life within the task's deadline of " +
                   std::to_string(current_->deadline.count()) + " ms"
             : "it was not ready within " + std::to_string(options_.start_deadline.count()) + " ms",
      kExitPatience);
}

void Supervisor::Loop::read_output() {
  static constexpr std::size_t kPiece = 1 << 20;
  Bytes piece(kPiece);
  const ssize_t count = ::read(child_->output(), piece.data(), piece.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return lose_child("", kExitPatience);
  reader_.feed(ByteView(piece).first(static_cast<std::size_t>(count)));
  while (child_) {
    const auto frame = reader_.next();
    if (!frame.ok()) {
      child_->kill();
      return lose_child("it sent garbage: " + frame.error().detail, kExitPatience);
    }
    if (!frame->has_value()) return;
    handle(**frame);
  }
}

void Supervisor::Loop::read_errors() {
  std::array<char, 4096> piece;
  const ssize_t count = ::read(child_->errors(), piece.data(), piece.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return child_->close_errors();
  for (std::string& line :
       errors_.feed(std::string_view(piece.data(), static_cast<std::size_t>(count))))
    report(TrainerEvent::Kind::log, std::move(line));
}

void Supervisor::Loop::write_input() {
  const ByteView left = ByteView(outgoing_).subspan(sent_);
  const ssize_t count = ::write(child_->input(), left.data(), left.size());
  // A broken pipe needs no answer here: the end of the child's output follows.
  if (count > 0) sent_ += static_cast<std::size_t>(count);
  if (sent_ == outgoing_.size() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
    outgoing_ = {};
    sent_ = 0;
  }
}

void Supervisor::Loop::handle(const Frame& frame) {
  const auto nonsense = [&](const std::string& what) {
    child_->kill();
    lose_child("it broke the protocol: " + what, kExitPatience);
  };
  if (!ready_) {
    const auto ready = message_of<Ready>(frame);
    if (!ready.ok()) return nonsense("its first message is not a greeting");
    if (ready->protocol != kProtocolVersion)
      return nonsense("it speaks version " + std::to_string(ready->protocol) +
                      " of the protocol, this program version " + std::to_string(kProtocolVersion) +
                      "; install both from one build");
    return handle_ready(*ready);
  }
  if (frame.kind == MessageKind::progress) {
    const auto progress = message_of<Progress>(frame);
    if (!progress.ok() || !given_ || progress->id != current_->request.id)
      return nonsense("progress of a task that it was not given");
    deadline_ = SteadyClock::now() + current_->deadline;
    if (callbacks_.on_progress) callbacks_.on_progress(*progress);
    return;
  }
  auto response = message_of<Response>(frame);
  if (!response.ok() || !given_ || response->id != current_->request.id)
    return nonsense("an answer to a task that it was not given");
  answered_ = true;
  failures_ = 0;
  current_.reset();
  given_ = false;
  idle_since_ = SteadyClock::now();
  finish(std::move(response).value());
}

void Supervisor::Loop::handle_ready(const Ready& ready) {
  ready_ = true;
  idle_since_ = SteadyClock::now();
  if (!callbacks_.on_event) return;
  callbacks_.on_event(
      {.kind = TrainerEvent::Kind::ready,
       .detail = ready.engine + ", " + (ready.blas.empty() ? "no OpenBLAS" : ready.blas),
       .ready = ready});
}

// The child is gone or must go; `why` is empty where it went by itself.
void Supervisor::Loop::lose_child(const std::string& why, Duration patience) {
  const std::string end = child_->wait(patience);
  while (child_->errors() >= 0) {  // what it said last; the pipe is non-blocking
    std::array<char, 4096> piece;
    const ssize_t count = ::read(child_->errors(), piece.data(), piece.size());
    if (count <= 0) break;
    for (std::string& line :
         errors_.feed(std::string_view(piece.data(), static_cast<std::size_t>(count))))
      report(TrainerEvent::Kind::log, std::move(line));
  }
  child_.reset();
  pid_ = 0;
  if (answered_) {
    failures_ = 0;
  } else {
    back_off();
  }
  std::string detail = "the trainer " + end;
  if (!why.empty()) detail += " because " + why;
  const std::string said = errors_.last(5);
  if (!said.empty()) detail += "; it said last: " + said;
  report(TrainerEvent::Kind::ended, detail);
  fail_task(detail);
  outgoing_ = {};
  sent_ = 0;
}

// Ends a child that nobody is waiting for.
void Supervisor::Loop::retire_child() {
  child_->close_input();
  const std::string end = child_->wait(kExitPatience);
  child_.reset();
  pid_ = 0;
  report(TrainerEvent::Kind::ended, "the idle trainer " + end);
}

void Supervisor::Loop::fail_task(const std::string& detail) {
  if (!current_) return;
  const std::uint64_t id = current_->request.id;
  current_.reset();
  given_ = false;
  finish(failure(id, unavailable(detail)));
}

void Supervisor::Loop::finish(Response response) {
  if (callbacks_.on_response) callbacks_.on_response(std::move(response));
}

void Supervisor::Loop::back_off() {
  Duration delay = options_.backoff_first;
  for (unsigned i = 0; i < failures_ && delay < options_.backoff_max; ++i) delay *= 2;
  ++failures_;
  not_before_ = SteadyClock::now() + std::min(delay, options_.backoff_max);
}

void Supervisor::Loop::report(TrainerEvent::Kind kind, std::string detail) {
  if (callbacks_.on_event)
    callbacks_.on_event({.kind = kind, .detail = std::move(detail), .ready = {}});
}

Result<std::unique_ptr<Supervisor>> Supervisor::create(SupervisorOptions options,
                                                       SupervisorCallbacks callbacks) {
  if (options.command.empty())
    return invalid_argument("a trainer needs a command: the path of fedmesh-trainer");
  auto loop = std::make_unique<Loop>(std::move(options), std::move(callbacks));
  if (!loop->usable()) return unavailable("cannot create an event descriptor");
  loop->start();
  return std::unique_ptr<Supervisor>(new Supervisor(std::move(loop)));
}

Supervisor::Supervisor(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Supervisor::~Supervisor() { stop(); }
Result<void> Supervisor::submit(Request request, Duration deadline) {
  return loop_->queue().push(
      {std::move(request), std::clamp(deadline, kDeadlineMin, kDeadlineMax)});
}
void Supervisor::cancel(std::uint64_t id) { loop_->queue().cancel(id); }
void Supervisor::stop() { loop_->stop(); }
int Supervisor::trainer_pid() const { return loop_->pid(); }

std::string program_beside_this(std::string_view name) {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return (self.parent_path() / name).string();
}

}  // namespace fedmesh::trainer
