// When to dial whom: for each endpoint that is to be kept, jittered exponential back-off, for ever.
// Knows no socket. Not thread-safe: owned by the loop thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"

namespace fedmesh::net {

class Dialler {
 public:
  struct Attempt {
    std::string endpoint;
    std::optional<NodeId> expected;
  };

  // `random` outlives the dialler.
  Dialler(Duration min, Duration max, SecureRandom& random);

  bool add(const std::string& endpoint, std::optional<NodeId> expected, Instant now);
  void remove(const std::string& endpoint);
  bool keeps(const std::string& endpoint) const { return targets_.contains(endpoint); }

  // What to dial now. An endpoint whose node is connected already, by any link, is set aside until
  // peer_gone().
  std::vector<Attempt> due(Instant now, const std::function<bool(const NodeId&)>& connected);
  void established(const std::string& endpoint, const NodeId& peer);
  // The attempt or its link is over. `lasting`: it was good for a while, back-off starts anew.
  // Returns when the next attempt comes; none if the endpoint is not kept.
  std::optional<Duration> ended(const std::string& endpoint, bool lasting, Instant now);
  void give_up(const std::string& endpoint);  // until remove() and add()
  void peer_gone(const NodeId& peer, Instant now);

  std::optional<Instant> next_deadline() const;

 private:
  struct Target {
    std::optional<NodeId> expected;
    std::optional<NodeId> peer;   // who answered there last
    std::optional<Instant> next;  // none: in progress, set aside or given up
    bool set_aside = false;
    Duration back_off{0};
  };
  Duration jittered(Duration full);

  Duration min_;
  Duration max_;
  SecureRandom* random_;
  std::map<std::string, Target> targets_;
};

}  // namespace fedmesh::net
