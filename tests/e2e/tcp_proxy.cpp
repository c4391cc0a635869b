#include "tests/e2e/tcp_proxy.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <list>
#include <vector>

#include "tests/e2e/sockets.h"

namespace fedmesh::e2e {
namespace {

// One direction of one connection.
struct Stream {
  int from = -1;
  int to = -1;
  std::string bytes;
  bool open = true;
};

struct Connection {
  Socket client;
  Socket server;
  Stream up;
  Stream down;
};

void forward(Stream& stream) {
  char buffer[65536];
  const auto n = ::recv(stream.from, buffer, sizeof(buffer), 0);
  const std::string part(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  stream.bytes += part;
  if (n > 0 && Socket(::dup(stream.to)).send_all(part)) return;
  ::shutdown(stream.to, SHUT_WR);
  stream.open = false;
}

}  // namespace

TcpProxy::TcpProxy(const std::string& target) : target_port_(port_of(target)) {
  Socket listener;
  if (!listener.bind(0) || ::listen(listener.fd(), 64) != 0) ADD_FAILURE() << "the proxy's port";
  endpoint_ = "127.0.0.1:" + std::to_string(listener.bound_port());
  listener_ = ::dup(listener.fd());
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
  ::close(listener_);
}

std::string TcpProxy::captured() const {
  const std::lock_guard lock(mutex_);
  return captured_;
}

void TcpProxy::run() {
  std::list<Connection> connections;
  while (!stop_) {
    std::vector<pollfd> waiting = {{listener_, POLLIN, 0}};
    std::vector<Stream*> streams;
    for (auto& connection : connections)
      for (Stream* stream : {&connection.up, &connection.down})
        if (stream->open) {
          waiting.push_back({stream->from, POLLIN, 0});
          streams.push_back(stream);
        }
    if (::poll(waiting.data(), waiting.size(), 50) <= 0) continue;
    for (std::size_t i = 0; i < streams.size(); ++i)
      if (waiting[i + 1].revents != 0) forward(*streams[i]);
    if (waiting[0].revents != 0) {
      Socket client(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
      Socket server;
      if (client.fd() >= 0 && server.connect(target_port_)) {
        auto& added = connections.emplace_back(
            Connection{std::move(client), std::move(server), Stream{}, Stream{}});
        added.up = {added.client.fd(), added.server.fd(), "", true};
        added.down = {added.server.fd(), added.client.fd(), "", true};
      }
    }
    std::string all;
    for (const auto& connection : connections) all += connection.up.bytes + connection.down.bytes;
    const std::lock_guard lock(mutex_);
    captured_ = std::move(all);
  }
}

}  // namespace fedmesh::e2e
