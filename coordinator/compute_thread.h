// The one thread on which the coordinator checks and sums updates.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "coordinator/rounds/compute.h"

namespace fedmesh::coordinator {

// Thread-safe.
class ComputeThread {
 public:
  // `on_done` is called on the thread, and must be short. `blobs` outlives it.
  ComputeThread(net::BlobStore& blobs, std::function<void(rounds::ComputeDone)> on_done);
  ~ComputeThread();  // finishes the task under way, drops the others
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  void submit(rounds::ComputeTask task);
  void forget(const JobId& job);  // after what was submitted before

 private:
  using Task = std::variant<rounds::ComputeTask, JobId>;
  void push(Task task);
  void run();

  net::BlobStore& blobs_;
  std::function<void(rounds::ComputeDone)> on_done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;      // guarded by mutex_
  bool stop_ = false;           // guarded by mutex_
  rounds::RunningSum running_;  // of the thread
  std::thread thread_;
};

}  // namespace fedmesh::coordinator
