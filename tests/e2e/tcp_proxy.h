// Stands between workers and a coordinator, keeps every byte that passes, and cuts when told to.
//
// It listens on 127.0.0.2 at the port of its target on 127.0.0.1. So a worker that joins through
// one finds the bulk plane, whose port it is told by the coordinator, through another.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "tests/e2e/sockets.h"

namespace fedmesh::e2e {

// Thread-safe. Forwards until it is destroyed.
class TcpProxy {
 public:
  explicit TcpProxy(const std::string& target);  // 127.0.0.1:port
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  std::string captured() const;  // stream by stream, each direction for itself
  // Nothing passes any more and nobody is told: what is sent meanwhile waits, new connections wait
  // for an answer. With `hang_up` they end, and new ones end as soon as they are made.
  void cut(bool hang_up);
  void heal();

 private:
  struct Stream {  // one direction of one connection
    int from = -1;
    int to = -1;
    bool open = true;
    std::string bytes;
  };
  struct Connection {
    Socket client;
    Socket server;
    Stream up;
    Stream down;
  };
  enum class State { open, silent, hung_up };

  void run();
  void accept();
  void hang_up();
  static void forward(Stream& stream);

  std::string endpoint_;
  int target_port_ = 0;
  Socket listener_;
  std::atomic<bool> stop_{false};
  std::atomic<State> state_{State::open};
  mutable std::mutex mutex_;
  std::list<Connection> connections_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace fedmesh::e2e
