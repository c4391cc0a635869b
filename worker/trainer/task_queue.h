// The supervisor's inbox: tasks and cancellations, bounded, with a descriptor to wait on.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

struct PendingTask {
  Request request;
  Duration deadline{0};  // for each sign of life
};

// Thread-safe.
class TaskQueue {
 public:
  TaskQueue(std::size_t tasks_max, std::size_t bytes_max);
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // exhausted: full. invalid_argument: too long for a frame. unavailable: closed.
  Result<void> push(PendingTask task);
  void cancel(std::uint64_t id);
  void close();

  // For the one consumer. The descriptor is readable after any of the calls above until
  // clear_wake(); -1 if the system gave none.
  int wake_descriptor() const { return wake_; }
  void clear_wake();
  bool closed() const;
  std::optional<PendingTask> pop();
  bool remove(std::uint64_t id);                // false: not in the queue
  std::vector<std::uint64_t> take_cancelled();  // in order, each once

 private:
  void wake();

  const std::size_t tasks_max_, bytes_max_;
  const int wake_;

  // guarded by mutex_
  mutable std::mutex mutex_;
  std::deque<PendingTask> tasks_;
  std::size_t bytes_ = 0;
  std::vector<std::uint64_t> cancelled_;
  bool closed_ = false;
};

}  // namespace fedmesh::trainer
