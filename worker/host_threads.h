// What the worker's process consists of beside the worker itself: signals, what threads hand over,
// what is said of connections. Internal to host.cpp.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "net/bulk_plane.h"
#include "net/transport.h"
#include "worker/trainer/supervisor.h"

namespace fedmesh::worker {

// To whoever started the process.
inline void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Turns SIGINT and SIGTERM into a flag and a wake-up of the transport. They are blocked in every
// thread from before the first one is started, and taken by this one alone.
class StopSignal {
 public:
  explicit StopSignal(net::Transport& transport) {
    thread_ = std::thread([this, &transport] {
      int signal = 0;
      const sigset_t set = signals();
      while (::sigwait(&set, &signal) != 0) {
      }
      requested_ = true;
      transport.wake();
    });
  }
  ~StopSignal() {
    if (!requested_) ::pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  static void block() {
    const sigset_t set = signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  bool requested() const { return requested_; }

 private:
  static sigset_t signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
  }
  std::atomic<bool> requested_{false};
  std::thread thread_;
};

// Says why nobody answers, but not the same thing over and over.
class DialReport {
 public:
  explicit DialReport(std::string whom) : whom_(std::move(whom)) {}
  void failed(const std::string& endpoint, const std::string& reason, bool again = true) {
    if (reason == last_) return;
    last_ = reason;
    say("waiting for " + whom_ + " at " + endpoint + ": " + reason +
        (again ? "; trying again" : ""));
  }
  void failed(const net::DialFailed& event) {
    failed(event.endpoint, event.reason, event.retry_in.has_value());
  }
  void connected() { last_.clear(); }

 private:
  std::string whom_;
  std::string last_;
};

// What the threads of trainer and bulk plane hand to the loop's.
class TaskQueue {
 public:
  void push(net::BulkEvent event) {
    const std::lock_guard lock(mutex_);
    bulk_.push_back(std::move(event));
  }
  std::deque<net::BulkEvent> take_bulk() {
    const std::lock_guard lock(mutex_);
    return std::exchange(bulk_, {});
  }
  void push(trainer::Response response) {
    const std::lock_guard lock(mutex_);
    responses_.push_back(std::move(response));
  }
  void push(trainer::TrainerEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::deque<trainer::Response> take_responses() {
    const std::lock_guard lock(mutex_);
    return std::exchange(responses_, {});
  }
  std::deque<trainer::TrainerEvent> take_events() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  // guarded by mutex_
  std::mutex mutex_;
  std::deque<trainer::Response> responses_;
  std::deque<trainer::TrainerEvent> events_;
  std::deque<net::BulkEvent> bulk_;
};

}  // namespace fedmesh::worker
