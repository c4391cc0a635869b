// Which state entries subscribers have not seen yet. After every final block it collects what
// changed of live jobs and their rounds; to a new subscriber it gives all of that at once. Not
// thread-safe: owned by the coordinator.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ledger/chain.h"
#include "coordinator/protocol/messages.h"

namespace fedmesh::coordinator {

inline constexpr std::size_t kUpdateBytes = 512 * 1024;  // of entries in one message

// The entries with proofs under the chain's head, split into messages. The chain has a head.
std::vector<protocol::StateUpdate> state_updates(const ledger::Chain& chain,
                                                 const std::vector<std::string>& keys);

class Publisher {
 public:
  // Keys that changed since the last call; ended jobs appear once more and are forgotten.
  std::vector<std::string> changed(const ledger::State& state);
  // Keys of everything live.
  std::vector<std::string> all(const ledger::State& state) const;

 private:
  struct Published {
    protocol::Slot slot;                   // of the round published last
    std::map<std::string, Digest> values;  // key -> hash of the value
  };
  std::map<JobId, Published> jobs_;
};

}  // namespace fedmesh::coordinator
