#include "coordinator/compute_thread.h"

#include "base/crash_point.h"

namespace fedmesh::coordinator {
namespace {

constexpr auto kIdle = std::chrono::minutes(2);  // a sum's memory is given back

}  // namespace

ComputeThread::ComputeThread(net::BlobStore& blobs,
                             std::function<void(rounds::ComputeDone)> on_done)
    : blobs_(blobs), on_done_(std::move(on_done)), thread_([this] { run(); }) {}

ComputeThread::~ComputeThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ComputeThread::submit(rounds::ComputeTask task) { push(std::move(task)); }
void ComputeThread::forget(const JobId& job) { push(job); }

void ComputeThread::push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void ComputeThread::run() {
  for (;;) {
    std::optional<Task> next;
    {
      std::unique_lock lock(mutex_);
      const auto woken = [&] { return stop_ || !tasks_.empty(); };
      if (!changed_.wait_for(lock, kIdle, woken)) {
        running_.release();
        changed_.wait(lock, woken);
      }
      if (stop_) return;
      next = std::move(tasks_.front());
      tasks_.pop_front();
    }
    if (const auto* over = std::get_if<JobId>(&*next)) {
      running_.forget(*over);
      continue;
    }
    const auto& task = std::get<rounds::ComputeTask>(*next);
    const bool check = std::holds_alternative<rounds::CheckTask>(task);
    crash_point(check ? "coordinator.compute-check" : "coordinator.compute-aggregate");
    auto done = rounds::compute(task, blobs_, &running_);
    crash_point(check ? "coordinator.computed-check" : "coordinator.computed-aggregate");
    on_done_(std::move(done));
  }
}

}  // namespace fedmesh::coordinator
