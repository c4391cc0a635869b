// A supervisor whose callbacks are collected, and waiting for them.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "worker/trainer/supervisor.h"

namespace fedmesh::trainer {

inline constexpr Duration kLong{120'000};  // a deadline that no test reaches

class Supervised {
 public:
  explicit Supervised(SupervisorOptions options)
      : supervisor(Supervisor::create(std::move(options), callbacks()).value()) {}
  explicit Supervised(std::vector<std::string> command)
      : Supervised(SupervisorOptions{.command = std::move(command)}) {}
  ~Supervised() { supervisor->stop(); }

  void submit(Request request, Duration deadline = kLong) {
    const auto submitted = supervisor->submit(std::move(request), deadline);
    EXPECT_TRUE(submitted.ok()) << submitted.error().detail;
  }
  Response response(std::uint64_t id) {
    return wait_for(responses_, [&](const Response& r) { return r.id == id; });
  }
  Progress progress(std::uint64_t id) {
    return wait_for(progress_, [&](const Progress& p) { return p.id == id; });
  }
  TrainerEvent event(TrainerEvent::Kind kind) {
    return wait_for(events_, [&](const TrainerEvent& e) { return e.kind == kind; });
  }
  std::size_t responses() {
    std::lock_guard lock(mutex_);
    return responses_.size();
  }

 private:
  SupervisorCallbacks callbacks() {
    return {.on_response = [this](Response r) { add(responses_, std::move(r)); },
            .on_progress = [this](Progress p) { add(progress_, p); },
            .on_event = [this](TrainerEvent e) { add(events_, std::move(e)); }};
  }
  template <class T>
  void add(std::vector<T>& to, T value) {
    std::lock_guard lock(mutex_);
    to.push_back(std::move(value));
    changed_.notify_all();
  }
  template <class T, class Predicate>
  T wait_for(std::vector<T>& in, Predicate wanted) {
    std::unique_lock lock(mutex_);
    for (std::size_t seen = 0;; ++seen) {
      if (!changed_.wait_for(lock, kLong, [&] { return in.size() > seen; })) {
        ADD_FAILURE() << "nothing arrived";
        return {};
      }
      if (wanted(in[seen])) return in[seen];
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Response> responses_;
  std::vector<Progress> progress_;
  std::vector<TrainerEvent> events_;

 public:
  std::unique_ptr<Supervisor> supervisor;  // last: its thread uses what stands above
};

}  // namespace fedmesh::trainer
