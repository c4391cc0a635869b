// A network of step machines under virtual time: one thread, one seed, no sockets. Links are
// ordered and lossless like TCP (a lost packet only delays), and break when a node crashes or the
// network is cut.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"

namespace fedmesh::sim {

struct LinkModel {
  Duration latency_min{1};
  Duration latency_max{5};
  std::uint64_t loss_percent = 0;  // of messages: each loss delays by one retransmission
  Duration retransmission{200};
  Duration redial_min{200};   // a broken link is made again after this ...
  Duration redial_max{1000};  // ... to this
};

class World;

// Control messages and blobs travel on connections of their own.
enum class Channel { control, bulk };

// One process: the adapter between a step machine and the world. Destroyed by a crash.
class Process {
 public:
  virtual ~Process() = default;
  virtual void link_up(const NodeId& peer) = 0;
  virtual void link_down(const NodeId& peer) = 0;
  virtual void receive(const NodeId& peer, const Bytes& message, Channel channel) = 0;
  virtual void tick() = 0;
  virtual std::optional<Instant> next_wake() const = 0;
};

// Everything that crossed a link, for tests that look at what an observer of all traffic would see
// in clear.
using Tap = std::function<void(const NodeId& from, const NodeId& to, const Bytes& message,
                               Channel channel)>;

class World {
 public:
  World(std::uint64_t seed, const LinkModel& model);

  Instant now() const { return now_; }
  SeededRandom& random() { return random_; }

  // A node that dials `hub`, or the hub itself. The factory starts its process, now and after every
  // crash.
  using Factory = std::function<std::unique_ptr<Process>()>;
  void add_hub(const NodeId& id, Factory factory);
  void add_spoke(const NodeId& id, Factory factory);

  // What processes do.
  void send(const NodeId& from, const NodeId& to, Bytes message,
            Channel channel = Channel::control);
  void disconnect(const NodeId& from, const NodeId& to);
  void after(Duration delay, std::function<void()> action);

  // Nemeses.
  void crash(const NodeId& id);
  void restart(const NodeId& id);
  void cut(const NodeId& spoke);  // its link breaks and stays down
  void heal(const NodeId& spoke);
  bool alive(const NodeId& id) const;

  void set_tap(Tap tap) { tap_ = std::move(tap); }
  // Called after every event: invariants.
  void set_check(std::function<void()> check) { check_ = std::move(check); }

  // Runs until `done` or `limit` of virtual time from now; whether it was done.
  bool run_until(const std::function<bool()>& done, Duration limit);
  std::uint64_t events() const { return events_; }

 private:
  struct Node {
    Factory factory;
    std::unique_ptr<Process> process;
    bool cut = false;
    bool linked = false;      // spokes: with the hub
    std::uint64_t epoch = 0;  // of its link or process; what was under way before is void
    Instant last_to_hub[2], last_from_hub[2];  // every channel is ordered
  };
  struct Event {
    Instant at;
    std::uint64_t order;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return at.ms != other.at.ms ? at > other.at : order > other.order;
    }
  };

  void schedule(Instant at, std::function<void()> action);
  void dial_later(const NodeId& spoke);
  void establish(const NodeId& spoke);
  void break_link(const NodeId& spoke);
  void tick_due();
  Duration between(Duration low, Duration high);

  LinkModel model_;
  SeededRandom random_;
  Instant now_{1'700'000'000'000};
  std::uint64_t order_ = 0;
  std::uint64_t events_ = 0;
  std::priority_queue<Event> queue_;
  std::map<NodeId, Node> nodes_;
  NodeId hub_;
  Tap tap_;
  std::function<void()> check_;
};

}  // namespace fedmesh::sim
