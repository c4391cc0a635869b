// What must hold at every moment of every federation, whatever crashes, is cut or lies: checked
// against the ledger state after every block and against every message that crosses a link. Written
// from PROTOCOL.md with its own arithmetic; shares no code with the aggregation.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/ledger/state.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/state.h"
#include "tests/sim/federation.h"

namespace fedmesh::sim {

// Violations are collected, each once, in the order in which they were seen.
//
// 1. Heights never fall.
// 2. Of a job's epsilon, what is spent never falls, covers every frozen reveal set, and with the
//    reservations never exceeds the total.
// 3. A frozen reveal set never changes.
// 4. A commitment never changes, is one per slot, and belongs to one worker.
// 5. No key to an update travels before its commitment is final, and none but sealed: content keys,
//    salts, seed shares and values cross no link in clear.
// 6. An ended job stays ended.
// 7. An aggregate is the plain mean of the frozen set's updates plus the noise that follows from S.
class Invariants {
 public:
  explicit Invariants(const ChainId& chain) : chain_(chain) {}

  using Sealed = std::function<const std::vector<SealedPlain>&()>;
  // What workers have sealed so far, as only they know it.
  void know(Sealed sealed) { sealed_ = std::move(sealed); }

  // A message as it is sent; `state` is the newest final one.
  void message(const NodeId& from, ByteView bytes, Channel channel, const ledger::State& state);
  void observe(Height height, const ledger::State& state);

  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct RoundKey {
    JobId job;
    protocol::Slot slot;
    friend auto operator<=>(const RoundKey&, const RoundKey&) = default;
  };
  struct Job {
    bool ended = false;
    protocol::JobPhase phase = protocol::JobPhase::enrolling;
    std::int64_t spent = 0;
    std::vector<float> iterate;
    std::vector<double> iterates_sum;
    std::uint64_t iterates = 0;
  };
  struct Round {
    std::optional<Digest> reveal_set_root;
    std::set<NodeId> set;
    std::map<NodeId, Digest> commitments;
    bool aggregated = false;
  };

  void fail(const std::string& what);
  void take_record(ByteView bytes, const ledger::State& state);
  void take_commit(const ledger::Record& record);
  void take_reveal(const ledger::Record& record, const ledger::State& state);
  void look_for_secrets(const NodeId& from, ByteView bytes);
  void check_job(const protocol::JobState& job, const protocol::JobSpec& spec,
                 const std::vector<protocol::RoundState>& rounds);
  void check_budget(Job& known, const protocol::JobState& job,
                    const std::vector<protocol::RoundState>& rounds);
  void check_round(const protocol::RoundState& round, const protocol::JobSpec& spec);
  void check_aggregate(const protocol::RoundState& round, const protocol::JobSpec& spec);
  std::optional<std::vector<const SealedPlain*>> updates_of(const protocol::RoundState& round);

  ChainId chain_;
  Height height_;
  std::map<JobId, Job> jobs_;
  std::map<RoundKey, Round> rounds_;
  Sealed sealed_;
  std::map<RoundKey, std::map<NodeId, Digest>> sent_commitments_;
  std::vector<std::string> violations_;
};

// The typed entries of a ledger state.
std::vector<protocol::JobState> jobs_in(const ledger::State& state);
std::vector<protocol::RoundState> rounds_in(const ledger::State& state, const JobId& job);

// Watches all links and every block of the federation, which must outlive `invariants`' use. `more`
// sees every message too.
void watch(Federation& federation, Invariants& invariants, Tap more = {},
           std::function<void()> after_event = {});

}  // namespace fedmesh::sim
