#include "net/zmq_sockets.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "net/session.h"

namespace fedmesh::net {
namespace {

constexpr int kHandshakeMs = 3000;
constexpr int kBacklog = 512;
constexpr std::string_view kScheme = "tcp://";

void set_common_options(zmq::socket_t& socket, const std::string& endpoint, int frames_buffered) {
  socket.set(zmq::sockopt::linger, 0);
  // ZeroMQ counts messages, not bytes.
  socket.set(zmq::sockopt::sndhwm, frames_buffered);
  socket.set(zmq::sockopt::rcvhwm, frames_buffered);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kWireBytesMax));
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  // With IPv6 on, libzmq looks a name up as IPv6 first and tries one address only, so that
  // "localhost" would miss an IPv4 listener. Only literal IPv6 addresses turn it on.
  socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos ? 1 : 0);
}

Error zmq_error(const std::string& what, const zmq::error_t& error) {
  return unavailable(what + ": " + error.what());
}

int port_of(const std::string& endpoint) {
  int port = 0;
  const std::size_t colon = endpoint.rfind(':');
  std::from_chars(endpoint.data() + colon + 1, endpoint.data() + endpoint.size(), port);
  return port;
}

int local_port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return -1;
  if (storage.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return -1;
}

constexpr std::size_t kShared = 4096;  // what is shorter is copied

struct Held {
  std::shared_ptr<const Bytes> frame;
  // libzmq's queues order the threads, but they are its own: the thread sanitizer sees this.
  std::atomic<bool> given{false};
};

void let_go(void*, void* hint) {
  const auto* held = static_cast<const Held*>(hint);
  (void)held->given.load(std::memory_order_acquire);
  delete held;
}

// The I/O thread lets go of the frame when the system has taken its bytes; it does not write to it.
zmq::message_t message_of(const std::shared_ptr<const Bytes>& frame) {
  if (frame->size() < kShared) return {frame->data(), frame->size()};
  auto held = std::make_unique<Held>();
  held->frame = frame;
  void* bytes = const_cast<std::uint8_t*>(frame->data());
  zmq::message_t out(bytes, frame->size(), let_go, held.get());
  held.release()->given.store(true, std::memory_order_release);
  return out;
}

}  // namespace

Monitor::Monitor(zmq::context_t& context, zmq::socket_t& watched, int events)
    : socket_(context, ZMQ_PAIR) {
  static std::atomic<std::uint64_t> next{0};
  const std::string name = "inproc://fedmesh-monitor-" + std::to_string(next++);
  if (zmq_socket_monitor(watched.handle(), name.c_str(), events) != 0) throw zmq::error_t();
  // The I/O thread would block on a full monitor, and everything with it.
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.set(zmq::sockopt::linger, 0);
  socket_.connect(name);
}

std::optional<SocketEvent> Monitor::next() {
  try {
    for (;;) {
      zmq::message_t head;
      if (!socket_.recv(head, zmq::recv_flags::dontwait)) return std::nullopt;
      zmq::message_t address;
      if (head.more()) (void)socket_.recv(address, zmq::recv_flags::dontwait);
      if (head.size() < 6) continue;
      std::uint16_t what = 0;
      std::int32_t value = 0;
      std::memcpy(&what, head.data<char>(), sizeof(what));
      std::memcpy(&value, head.data<char>() + sizeof(what), sizeof(value));
      if (what == ZMQ_EVENT_ACCEPTED) return SocketEvent{SocketEvent::Kind::accepted, value};
      if (what == ZMQ_EVENT_CONNECTED) return SocketEvent{SocketEvent::Kind::connected, value};
      if (what == ZMQ_EVENT_DISCONNECTED)
        return SocketEvent{SocketEvent::Kind::disconnected, value};
      if (what == ZMQ_EVENT_CLOSED) return SocketEvent{SocketEvent::Kind::failed, value};
    }
  } catch (const zmq::error_t&) {
    return std::nullopt;  // interrupted by a signal: the next step comes here again
  }
}

Result<std::string> normal_endpoint(const std::string& endpoint) {
  std::string rest = endpoint;
  if (rest.starts_with(kScheme)) rest = rest.substr(kScheme.size());
  const std::size_t colon = rest.rfind(':');
  const Error wrong = invalid_argument("\"" + endpoint + "\" is not of the form host:port");
  if (colon == std::string::npos || colon == 0) return wrong;
  const std::string host = rest.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  // Semicolons and the like mean something to ZeroMQ (a source address, an interface).
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
  };
  const auto literal6 = [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
  };
  const bool host_ok =
      bracketed ? std::all_of(host.begin() + 1, host.end() - 1, literal6) && host.size() > 2
                : std::all_of(host.begin(), host.end(), plain);
  std::uint32_t port = 0;
  const char* end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data() + colon + 1, end, port);
  if (!host_ok || host.size() > 253 || parsed.ec != std::errc{} || parsed.ptr != end ||
      port > 65535)
    return wrong;
  return host + ":" + std::to_string(port);
}

Result<std::unique_ptr<ListenSocket>> ListenSocket::bind(zmq::context_t& context,
                                                         const std::string& endpoint,
                                                         int frames_buffered) {
  std::unique_ptr<ListenSocket> out(new ListenSocket());
  try {
    out->socket_ = zmq::socket_t(context, ZMQ_ROUTER);
    set_common_options(out->socket_, endpoint, frames_buffered);
    out->socket_.set(zmq::sockopt::router_mandatory, 1);
    out->socket_.set(zmq::sockopt::backlog, kBacklog);
    out->monitor_ = std::make_unique<Monitor>(context, out->socket_,
                                              ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);
    out->socket_.bind(std::string(kScheme) + endpoint);
    out->endpoint_ = out->socket_.get(zmq::sockopt::last_endpoint).substr(kScheme.size());
  } catch (const zmq::error_t& error) {
    return zmq_error("listen on " + endpoint, error);
  }
  out->port_ = port_of(out->endpoint_);
  return out;
}

std::optional<ListenSocket::Incoming> ListenSocket::receive() {
  try {
    for (;;) {
      zmq::message_t route;
      if (!socket_.recv(route, zmq::recv_flags::dontwait)) return std::nullopt;
      if (!route.more()) continue;
      Incoming in;
      in.route = route.to_string();
      if (!socket_.recv(in.body, zmq::recv_flags::dontwait)) return std::nullopt;
      // Metadata is read from the body: libzmq 4.3.4 loses that of the identity frame after a poll.
      in.fd = zmq_msg_get(in.body.handle(), ZMQ_SRCFD);
      bool more = in.body.more();
      // FM1 has one frame a message. The empty body makes the session refuse it.
      if (more) in.body.rebuild();
      while (more) {
        zmq::message_t rest;
        more = socket_.recv(rest, zmq::recv_flags::dontwait) && rest.more();
      }
      return in;
    }
  } catch (const zmq::error_t&) {
    return std::nullopt;  // interrupted by a signal: the next poll comes here again
  }
}

SendOutcome ListenSocket::send(const std::string& route,
                               const std::shared_ptr<const Bytes>& frame) {
  try {
    zmq::message_t to(route.data(), route.size());
    const auto flags = zmq::send_flags::dontwait;
    if (!socket_.send(to, flags | zmq::send_flags::sndmore)) return SendOutcome::full;
    zmq::message_t body = message_of(frame);
    return socket_.send(body, flags) ? SendOutcome::sent : SendOutcome::full;
  } catch (const zmq::error_t& error) {
    return error.num() == EINTR ? SendOutcome::full : SendOutcome::gone;
  }
}

bool ListenSocket::drop(int fd) {
  // The descriptor may have been closed by the I/O thread and reused since; the port tells.
  return fd >= 0 && local_port_of(fd) == port_ && ::shutdown(fd, SHUT_RDWR) == 0;
}

std::string ListenSocket::address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (fd >= 0 && ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0) {
    const void* address = nullptr;
    if (storage.ss_family == AF_INET)
      address = &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr;
    if (storage.ss_family == AF_INET6)
      address = &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
    if (address != nullptr &&
        ::inet_ntop(storage.ss_family, address, text.data(), text.size()) != nullptr)
      return text.data();
  }
  return "unknown";
}

Result<std::unique_ptr<DialSocket>> DialSocket::connect(zmq::context_t& context,
                                                        const std::string& endpoint,
                                                        Duration connect_timeout,
                                                        int frames_buffered) {
  std::unique_ptr<DialSocket> out(new DialSocket());
  try {
    out->socket_ = zmq::socket_t(context, ZMQ_DEALER);
    set_common_options(out->socket_, endpoint, frames_buffered);
    out->socket_.set(zmq::sockopt::immediate, 1);
    out->socket_.set(zmq::sockopt::reconnect_ivl, -1);
    out->socket_.set(zmq::sockopt::connect_timeout, static_cast<int>(connect_timeout.count()));
    out->socket_.set(zmq::sockopt::tcp_maxrt, 30000);
    out->monitor_ = std::make_unique<Monitor>(
        context, out->socket_, ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED);
    out->socket_.connect(std::string(kScheme) + endpoint);
  } catch (const zmq::error_t& error) {
    return zmq_error("dial " + endpoint, error);
  }
  return out;
}

DialSocket::~DialSocket() {
  // The monitor's own socket lives until the watched one is told to stop.
  if (socket_.handle() != nullptr) zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

std::optional<zmq::message_t> DialSocket::receive() {
  try {
    zmq::message_t body;
    if (!socket_.recv(body, zmq::recv_flags::dontwait)) return std::nullopt;
    bool more = body.more();
    if (more) body.rebuild();
    while (more) {
      zmq::message_t rest;
      more = socket_.recv(rest, zmq::recv_flags::dontwait) && rest.more();
    }
    return body;
  } catch (const zmq::error_t&) {
    return std::nullopt;
  }
}

SendOutcome DialSocket::send(const std::shared_ptr<const Bytes>& frame) {
  try {
    zmq::message_t body = message_of(frame);
    return socket_.send(body, zmq::send_flags::dontwait) ? SendOutcome::sent : SendOutcome::full;
  } catch (const zmq::error_t& error) {
    return error.num() == EINTR ? SendOutcome::full : SendOutcome::gone;
  }
}

void DialSocket::linger(Duration time) {
  socket_.set(zmq::sockopt::linger, static_cast<int>(time.count()));
}

std::uint64_t bytes_taken(int fd) {
  // In this order: what arrives in between only makes the answer smaller.
  tcp_info info{};
  int unread = 0;
  socklen_t size = sizeof(info);
  if (fd < 0 || ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received) ||
      ::ioctl(fd, FIONREAD, &unread) != 0)
    return 0;
  const std::uint64_t received = info.tcpi_bytes_received;
  return received - std::min(received, static_cast<std::uint64_t>(std::max(unread, 0)));
}

std::uint64_t bytes_on_the_wire(std::size_t body) { return body + (body > 255 ? 9 : 2); }

std::size_t raise_open_files_limit(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace fedmesh::net
