// The ZeroMQ sockets under ZmqTransport, with the options and the workarounds that libzmq 4.3.4
// needs. Internal to zmq_transport.cpp; nothing else includes ZeroMQ.
// Not thread-safe: owned by the loop thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace fedmesh::net {

enum class SendOutcome { sent, full, gone };

// What a socket's monitor told. Within one I/O thread its order against the socket's messages is
// such that an event is visible before any message that was received after it.
struct SocketEvent {
  enum class Kind { accepted, connected, disconnected, failed } kind;
  int fd = -1;
};

class Monitor {
 public:
  Monitor(zmq::context_t& context, zmq::socket_t& watched, int events);
  std::optional<SocketEvent> next();
  void* handle() { return socket_.handle(); }

 private:
  zmq::socket_t socket_;
};

// "127.0.0.1:80" or "[::1]:80", with tcp:// before it or not. invalid_argument otherwise.
Result<std::string> normal_endpoint(const std::string& endpoint);

// A ROUTER that listens. Peers are named by the routing ids that ZeroMQ draws for each connection.
class ListenSocket {
 public:
  struct Incoming {
    std::string route;
    zmq::message_t body;
    int fd = -1;  // of the connection when this message was read from it
  };

  static Result<std::unique_ptr<ListenSocket>> bind(zmq::context_t& context,
                                                    const std::string& endpoint,
                                                    int frames_buffered);
  const std::string& endpoint() const { return endpoint_; }  // with the real port

  std::optional<SocketEvent> next_event() { return monitor_->next(); }
  std::optional<Incoming> receive();  // skips what is not one identity and one body
  SendOutcome send(const std::string& route, const std::shared_ptr<const Bytes>& frame);

  // Ends an accepted connection; a `disconnected` event follows. ZeroMQ has no call for this, so
  // the descriptor is shut down (never closed) under it. False, and nothing happens, unless it is
  // a connection to this listener's port.
  bool drop(int fd);
  static std::string address_of(int fd);  // without the port; "unknown" if it is gone

  void* handle() { return socket_.handle(); }
  void* monitor_handle() { return monitor_->handle(); }

 private:
  ListenSocket() = default;
  zmq::socket_t socket_;
  std::unique_ptr<Monitor> monitor_;
  std::string endpoint_;
  int port_ = 0;
};

// A DEALER with one connection that it never repeats by itself.
class DialSocket {
 public:
  static Result<std::unique_ptr<DialSocket>> connect(zmq::context_t& context,
                                                     const std::string& endpoint,
                                                     Duration connect_timeout, int frames_buffered);
  ~DialSocket();

  std::optional<SocketEvent> next_event() { return monitor_->next(); }
  std::optional<zmq::message_t> receive();
  // `full` too while there is no connection.
  SendOutcome send(const std::shared_ptr<const Bytes>& frame);
  void linger(Duration time);  // after destruction, for what send() has taken

  void* handle() { return socket_.handle(); }
  void* monitor_handle() { return monitor_->handle(); }

 private:
  DialSocket() = default;
  zmq::socket_t socket_;
  std::unique_ptr<Monitor> monitor_;
};

// How many bytes of a TCP connection were read from the kernel; 0 if it is gone.
std::uint64_t bytes_taken(int fd);
// What a ZMTP 3 peer sends for a message of this size, and before its first one at most.
std::uint64_t bytes_on_the_wire(std::size_t body);
inline constexpr std::uint64_t kGreetingBytes = 256;

// Raises the soft limit of open files towards `wanted`; returns what is allowed now.
std::size_t raise_open_files_limit(std::size_t wanted);

}  // namespace fedmesh::net
