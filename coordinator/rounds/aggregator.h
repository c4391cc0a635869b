// The aggregator's duty, as a step machine: accept with a fresh round key, fetch and check sealed
// updates, say which are available, compute the aggregate of the frozen set, attest to it, erase.
// PROTOCOL.md, "A round, phase by phase".
//
// Rules:
// 1. The private half of a round key is on disk before the acceptance leaves, so that a restarted
//    member still opens what was sealed to it; it is erased when the round is over or its aggregate
//    final. Rationale: with it gone, ciphertexts that somebody kept are of no use.
// 2. Plaintext is never on disk: updates are decrypted chunk by chunk, once to check, once to sum.
// 3. Everything is derived from the ledger's state and what the store holds, at every step anew: a
//    restart loses nothing but time.
// Not thread-safe: owned by the coordinator's loop thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/event_log.h"
#include "base/ids.h"
#include "base/random.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/rounds/compute.h"
#include "net/blob_store.h"

namespace fedmesh::rounds {

struct SubmitPayload {  // sign it with this node's key and hand it to the consensus
  ledger::RecordKind kind;
  JobId job;
  Bytes payload;
};
struct FetchUpdate {  // over the bulk plane; answered by arrived() or fetch_failed()
  Digest root;
  std::uint64_t bytes = 0;
  NodeId worker;
};
struct DropUpdate {  // ciphertext that nobody needs any more: stop fetching, remove
  Digest root;
};
struct Compute {  // answered by done()
  ComputeTask task;
};
// Flushed before any later effect is carried out; private.
struct PersistItem {
  std::string name;
  Bytes bytes;
};
struct EraseItem {
  std::string name;
};
struct ForgetSum {  // the job's round is over: what was summed while updates were checked is wiped
  JobId job;
};
struct Note {
  LogEvent event;
};
using AggregatorEffect = std::variant<SubmitPayload, FetchUpdate, DropUpdate, Compute, ForgetSum,
                                      PersistItem, EraseItem, Note>;
using AggregatorEffects = std::vector<AggregatorEffect>;

class Aggregator {
 public:
  // `restored`: items of an earlier process. `blobs` and `random` outlive it.
  Aggregator(const ChainId& chain, const NodeId& self, net::BlobStore& blobs, SecureRandom& random,
             std::map<std::string, Bytes> restored);
  ~Aggregator();

  // After every final block and on every tick: does what the state asks of this node.
  AggregatorEffects step(Instant now, const ledger::Chain& chain);
  AggregatorEffects arrived(Instant now, const ledger::Chain& chain, const Digest& root);
  AggregatorEffects fetch_failed(Instant now, const ledger::Chain& chain, const Digest& root,
                                 const Error& reason);
  AggregatorEffects done(Instant now, const ledger::Chain& chain, ComputeDone result);

  std::optional<Instant> next_wake() const { return wake_; }
  std::set<Digest> pins() const;  // ciphertexts of open rounds
  // "2 of 5 updates checked, fetching a1b2c3d4" for people; empty where nothing is under way.
  std::string status(const JobId& job) const;

 private:
  struct Update {
    enum class Stage { fetching, checking, checked, refused };
    Stage stage = Stage::fetching;
    protocol::Reveal reveal;
    std::optional<OpenedUpdate> opened;
    // The blob under its root was fetched as, or opened as, a sealed update. Whatever else somebody
    // names as his ciphertext (a model, say) is not this machine's to remove.
    bool ours = false;
  };
  struct Duty {
    protocol::Slot slot;
    std::optional<crypto::X25519Secret> key;
    crypto::X25519Public public_key;  // of `key`
    std::map<NodeId, Update> updates;
    std::shared_ptr<const RoundView> view;         // once the set of members is final
    std::optional<protocol::RoundPhase> answered;  // the last phase that was answered
    bool aggregating = false;                      // the task is out
    bool over = false;                             // erased
  };

  void serve(Instant now, const ledger::Chain& chain, const JobId& job);
  void accept(Instant now, const protocol::RoundState& round, const protocol::MemberSlot& self,
              Duty& duty);
  bool holds_base(const Digest& root);
  void collect(Instant now, const ledger::Chain& chain, const protocol::RoundState& round,
               Duty& duty);
  void fetch(Update& update, const NodeId& worker);
  bool is_wanted(const Digest& root) const;
  void checked(Instant now, Checked result);
  void aggregated(Instant now, Aggregated result);
  void avail(Instant now, const protocol::RoundState& round, Duty& duty);
  void aggregate(Instant now, const protocol::RoundState& round, Duty& duty);
  void finish(const ledger::Chain& chain, const JobId& job, Duty& duty);
  void drop(const ledger::Chain& chain, const JobId& job);
  void drop_updates(const ledger::Chain& chain, const JobId& job, const protocol::Slot& slot);
  void take_restored_keys(const ledger::Chain& chain);
  void note(Instant now, const char* kind, const protocol::RoundState& round, std::string detail);
  void wake_at(Instant at) { wake_ = wake_ ? std::min(*wake_, at) : at; }

  ChainId chain_;
  NodeId self_;
  net::BlobStore& blobs_;
  SecureRandom& random_;
  std::map<std::string, Bytes> restored_;
  std::map<JobId, Duty> duties_;  // only jobs whose open round has this node as a member
  std::optional<Instant> wake_;
  AggregatorEffects effects_;  // of the call under way
};

std::string round_key_item(const JobId& job, const protocol::Slot& slot);

}  // namespace fedmesh::rounds
