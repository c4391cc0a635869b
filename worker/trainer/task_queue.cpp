#include "worker/trainer/task_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "worker/trainer/frame.h"

namespace fedmesh::trainer {

TaskQueue::TaskQueue(std::size_t tasks_max, std::size_t bytes_max)
    : tasks_max_(tasks_max),
      bytes_max_(bytes_max),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

TaskQueue::~TaskQueue() {
  if (wake_ >= 0) ::close(wake_);
}

Result<void> TaskQueue::push(PendingTask task) {
  constexpr std::size_t kEnvelope = 64;  // more than the frame and the request add to the body
  const std::size_t bytes = task.request.body.size();
  if (bytes + kEnvelope > kFrameBytesMax)
    return invalid_argument("a task of " + std::to_string(bytes) +
                            " bytes is too long for the trainer's pipe; name its data by path");
  std::lock_guard lock(mutex_);
  if (closed_) return unavailable("the trainer's supervisor has been stopped");
  if (tasks_.size() >= tasks_max_ || bytes_ + bytes > bytes_max_)
    return exhausted("the trainer has " + std::to_string(tasks_.size()) +
                     " tasks waiting; submit again when one is answered");
  bytes_ += bytes;
  tasks_.push_back(std::move(task));
  wake();
  return {};
}

void TaskQueue::cancel(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  if (std::find(cancelled_.begin(), cancelled_.end(), id) == cancelled_.end())
    cancelled_.push_back(id);
  wake();
}

void TaskQueue::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake();
}

void TaskQueue::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof(one));  // fails only if a wake-up is already pending
}

void TaskQueue::clear_wake() {
  std::uint64_t ignored = 0;
  (void)!::read(wake_, &ignored, sizeof(ignored));
}

bool TaskQueue::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

std::optional<PendingTask> TaskQueue::pop() {
  std::lock_guard lock(mutex_);
  if (tasks_.empty()) return std::nullopt;
  PendingTask task = std::move(tasks_.front());
  tasks_.pop_front();
  bytes_ -= task.request.body.size();
  return task;
}

bool TaskQueue::remove(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  const auto at = std::find_if(tasks_.begin(), tasks_.end(),
                               [&](const PendingTask& task) { return task.request.id == id; });
  if (at == tasks_.end()) return false;
  bytes_ -= at->request.body.size();
  tasks_.erase(at);
  return true;
}

std::vector<std::uint64_t> TaskQueue::take_cancelled() {
  std::lock_guard lock(mutex_);
  return std::exchange(cancelled_, {});
}

}  // namespace fedmesh::trainer
