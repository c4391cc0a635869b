// The inside of ZmqTransport: which connection carries which link, and what ends it. Internal to
// zmq_core.cpp and zmq_transport.cpp.
//
// A connection is watched from the moment it is accepted or dialled: its monitor tells of its
// beginning and end by file descriptor, its messages name both the descriptor and the routing id.
// A link whose connection ended is read to the end before it is given up, because what the peer
// sent last may still be on its way to us.
// Not thread-safe except wake(): owned by the loop thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/dialler.h"
#include "net/zmq_sockets.h"
#include "net/zmq_transport.h"

namespace fedmesh::net {

class ZmqTransport::Core {
 public:
  Core(crypto::SigningKey identity, const ZmqConfig& config, const Clock& clock,
       SecureRandom& random);
  ~Core();

  NodeId self() const { return keys_.identity.node_id(); }
  Result<void> listen(const std::string& endpoint);
  std::optional<std::string> bound_endpoint() const;
  Result<void> dial(const std::string& endpoint, std::optional<NodeId> expected);
  void forget(const std::string& endpoint);
  Result<void> send(const NodeId& peer, const Bytes& message);
  void disconnect(const NodeId& peer, const std::string& reason);
  std::vector<PeerEvent> poll(Duration timeout);
  void wake();
  TransportStats stats() const;
  std::optional<PeerStats> stats_of(const NodeId& peer) const;

 private:
  // How much a connection has brought, to notice what libzmq hoards: parts of a message that never
  // ends count against no limit of its own.
  struct Inflow {
    int fd = -1;
    std::uint64_t delivered = kGreetingBytes;
    std::uint64_t taken = 0;  // by libzmq from the kernel, when measured last
  };
  // A connection that the listener accepted, link or not.
  struct Accepted {
    std::string address;
    std::string route;  // empty until its first message
    Instant deadline;   // to prove a key, or to be gone
    bool proven = false;
    bool doomed = false;  // not listened to any more
    Inflow inflow;
  };
  struct Entry {
    Entry(Link its_link, std::string its_address)
        : link(std::move(its_link)), address(std::move(its_address)) {}

    Link link;
    std::string address;  // for people
    // Of an accepted connection:
    std::string route;
    int fd = -1;
    // Of a dialled one:
    std::unique_ptr<DialSocket> socket;
    std::string endpoint;
    Inflow inflow;

    std::optional<Instant> ended_at;  // the connection is gone; its last messages may not be
    bool drained = false;             // nothing more to read at the moment
    bool over = false;                // events are told, input is ignored
    Instant drop_at;                  // when over
    std::optional<Instant> retry_at;  // the socket was full
    std::optional<Instant> full_since;
  };
  enum class Goodbye { none, told };

  // One round of everything that can be done without waiting.
  void step(Instant now);
  void wait(Instant until);
  Instant next_deadline(Instant until) const;
  bool take_wake();

  void read_listener(Instant now);
  void read_listener_events(Instant now);
  void accept(int fd, Instant now);
  void erase_accepted(std::map<int, Accepted>::iterator which);
  void read_stranger(const ListenSocket::Incoming& in, Instant now);
  void read_dialled(Entry& entry, Instant now);
  void read_dialled_event(Entry& entry, const SocketEvent& event, Instant now);
  void on_message(Entry& entry, ByteView bytes, Instant now);
  void on_established(Entry& entry, Instant now);
  bool keeps_new(const Entry& entry, const Entry& existing, Instant now) const;

  void start_dials(Instant now);
  void tick(Instant now);
  void measure_inflow(Instant now);
  void judge_inflow(Instant now);
  static bool hoards(const Inflow& inflow, bool proven, bool drained);
  void check_accepted(Instant now);
  void flush(Entry& entry, Instant now);
  void end(Entry& entry, const std::string& reason, Goodbye goodbye, Instant now);
  void tell_end(Entry& entry, const std::string& reason, Instant now);
  void forget_stranger(Entry& entry);
  void sweep(Instant now);
  void refuse(const std::string& address, const std::string& reason);
  Entry* entry_of(const NodeId& peer);
  const Entry* entry_of(const NodeId& peer) const;

  ZmqConfig config_;
  const Clock* clock_;
  SecureRandom* random_;
  LocalKeys keys_;
  CookieGate gate_;
  zmq::context_t context_;
  int wake_fd_;
  std::unique_ptr<ListenSocket> listener_;
  bool listener_drained_ = true;
  Dialler dialler_;
  LinkId next_link_{1};
  std::map<LinkId, Entry> entries_;
  std::unordered_map<std::string, LinkId> by_route_;
  std::map<NodeId, LinkId> by_peer_;  // the live links
  std::map<int, Accepted> accepted_;
  std::map<std::string, std::size_t> accepted_from_;  // by address
  std::size_t half_open_ = 0;
  Instant next_inflow_check_;
  std::vector<PeerEvent> events_;
  Traffic ended_traffic_;
  std::uint64_t refused_ = 0;
  std::uint64_t dial_failures_ = 0;
};

}  // namespace fedmesh::net
