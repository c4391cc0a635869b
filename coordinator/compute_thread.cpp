#include "coordinator/compute_thread.h"

#include "base/crash_point.h"

namespace fedmesh::coordinator {

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

void ComputeThread::submit(rounds::ComputeTask task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void ComputeThread::run() {
  for (;;) {
    std::optional<rounds::ComputeTask> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || !tasks_.empty(); });
      if (stop_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    const bool check = std::holds_alternative<rounds::CheckTask>(*task);
    crash_point(check ? "coordinator.compute-check" : "coordinator.compute-aggregate");
    auto done = rounds::compute(*task, blobs_);
    crash_point(check ? "coordinator.computed-check" : "coordinator.computed-aggregate");
    on_done_(std::move(done));
  }
}

}  // namespace fedmesh::coordinator
