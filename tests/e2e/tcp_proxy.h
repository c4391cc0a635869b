// Stands between workers and a coordinator and keeps every byte that passes.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

namespace fedmesh::e2e {

// Thread-safe. Forwards until it is destroyed.
class TcpProxy {
 public:
  explicit TcpProxy(const std::string& target);  // host:port with a numeric host
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  std::string captured() const;  // stream by stream, each direction for itself

 private:
  void run();

  std::string endpoint_;
  int target_port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::string captured_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace fedmesh::e2e
