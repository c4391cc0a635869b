#include "tests/e2e/tcp_proxy.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <vector>

namespace fedmesh::e2e {
namespace {

constexpr int kHost = 2;

}  // namespace

TcpProxy::TcpProxy(const std::string& target) : target_port_(port_of(target)) {
  endpoint_ = "127.0.0.2:" + std::to_string(target_port_);
  if (!listener_.bind(target_port_, kHost) || ::listen(listener_.fd(), 64) != 0)
    ADD_FAILURE() << "cannot listen on " << endpoint_;
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
}

std::string TcpProxy::captured() const {
  const std::lock_guard lock(mutex_);
  std::string all;
  for (const auto& connection : connections_) all += connection.up.bytes + connection.down.bytes;
  return all;
}

void TcpProxy::cut(bool hang_up) { state_ = hang_up ? State::hung_up : State::silent; }
void TcpProxy::heal() { state_ = State::open; }

void TcpProxy::forward(Stream& stream) {
  char buffer[65536];
  const auto n = ::recv(stream.from, buffer, sizeof(buffer), 0);
  const std::string part(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  stream.bytes += part;
  if (n > 0 && Socket(::dup(stream.to)).send_all(part)) return;
  ::shutdown(stream.to, SHUT_WR);
  stream.open = false;
}

void TcpProxy::hang_up() {
  for (auto& connection : connections_) {
    for (Stream* stream : {&connection.up, &connection.down}) stream->open = false;
    connection.client = Socket(-1);
    connection.server = Socket(-1);
  }
}

void TcpProxy::accept() {
  Socket client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  Socket server;
  if (state_ == State::hung_up || client.fd() < 0 || !server.connect(target_port_)) return;
  auto& added = connections_.emplace_back(
      Connection{std::move(client), std::move(server), Stream{}, Stream{}});
  added.up = {added.client.fd(), added.server.fd(), true, ""};
  added.down = {added.server.fd(), added.client.fd(), true, ""};
}

void TcpProxy::run() {
  constexpr int kPatienceMs = 20;  // orders are seen this soon
  while (!stop_) {
    if (state_ == State::silent) {
      ::poll(nullptr, 0, kPatienceMs);
      continue;
    }
    std::vector<pollfd> waiting = {{listener_.fd(), POLLIN, 0}};
    std::vector<Stream*> streams;
    {
      const std::lock_guard lock(mutex_);
      if (state_ == State::hung_up) hang_up();
      for (auto& connection : connections_)
        for (Stream* stream : {&connection.up, &connection.down})
          if (stream->open) {
            waiting.push_back({stream->from, POLLIN, 0});
            streams.push_back(stream);
          }
    }
    if (::poll(waiting.data(), waiting.size(), kPatienceMs) <= 0) continue;
    const std::lock_guard lock(mutex_);
    if (state_ == State::silent) continue;
    for (std::size_t i = 0; i < streams.size(); ++i)
      if (waiting[i + 1].revents != 0) forward(*streams[i]);
    if (waiting[0].revents != 0) accept();
  }
}

}  // namespace fedmesh::e2e
