// A coordinator as one step machine: consensus, aggregator duty and the service of connected nodes,
// without sockets, clocks or files. The process (host.h) and the simulator (tests/sim) run this
// same code. Protocol: coordinator/rounds/PROTOCOL.md. Not thread-safe: owned by the loop thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/event_log.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/blob_uploads.h"
#include "coordinator/consensus/solo.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/publisher.h"
#include "coordinator/round_log.h"
#include "coordinator/rounds/aggregator.h"
#include "coordinator/rounds/blob_cache.h"
#include "coordinator/rounds/rounds_machine.h"

namespace fedmesh::coordinator {

struct LinkUp {
  NodeId peer;
};
struct LinkDown {
  NodeId peer;
};
struct Received {
  NodeId peer;
  Bytes message;
};
// After every batch of events and whenever next_wake() is due: blocks are made here, so that
// records that arrived together share one.
struct Tick {};
using Event = std::variant<LinkUp, LinkDown, Received, Tick>;

struct Send {
  NodeId peer;
  Bytes message;
};
struct Disconnect {
  NodeId peer;
  std::string reason;
};
struct Log {
  LogEvent event;
};
struct Halt {  // nothing can be finalised any more: stop the process
  Error reason;
};
using Effect = std::variant<Send, Disconnect, Log, Halt>;
using Effects = std::vector<Effect>;

class Coordinator {
 public:
  // The genesis' committee is exactly `key`. `store` and `random` outlive it.
  static Result<std::unique_ptr<Coordinator>> create(ledger::Genesis genesis,
                                                     crypto::SigningKey key, ledger::Store& store,
                                                     SecureRandom& random);

  Effects step(Instant now, const Event& event);
  std::optional<Instant> next_wake() const;
  const ledger::Chain& chain() const { return *chain_; }

 private:
  struct Peer {
    int greetings = 0;
    std::int64_t proofs = 0;  // that it may still ask for
    Instant proofs_at;
    bool subscribed = false;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
  };

  Coordinator(crypto::SigningKey key, SecureRandom& random)
      : key_(std::move(key)), random_(random) {}

  void receive(Instant now, const NodeId& peer, const Bytes& message);
  void handle(Instant now, const NodeId& peer, const protocol::Hello& hello);
  void handle(Instant now, const NodeId& peer, const protocol::SubmitRecord& submit);
  void handle(Instant now, const NodeId& peer, const protocol::BlobRequest& request);
  void handle(Instant now, const NodeId& peer, const protocol::OpeningFrame& frame);
  void handle(Instant now, const NodeId& peer, const protocol::BlobPut& frame);
  void handle(Instant now, const NodeId& peer, const protocol::StateQuery& query);
  void handle(Instant now, const NodeId& peer, const protocol::BlockQuery& query);
  void handle(Instant now, const NodeId& peer, const protocol::StatusQuery& query);
  template <class Other>
  void handle(Instant now, const NodeId& peer, const Other& unexpected);

  void run(Instant now);
  bool run_once(Instant now);
  void take(Instant now, consensus::Effects effects);
  void take(Instant now, rounds::AggregatorEffects effects);
  void pin_blobs();
  void provide_initial_models();
  void provide_beacons();
  void submit_own(ledger::RecordKind kind, const JobId& job, Bytes payload);
  void publish(Instant now);
  void send(const NodeId& peer, const protocol::Message& message);
  void log(Instant now, std::string kind, std::string detail);
  void log_rejection(Instant now, const consensus::Rejected& rejected);

  crypto::SigningKey key_;
  SecureRandom& random_;
  rounds::RoundsMachine machine_;
  std::unique_ptr<ledger::Chain> chain_;
  std::unique_ptr<consensus::Solo> consensus_;
  rounds::BlobCache blobs_;
  BlobUploads uploads_{blobs_};
  std::optional<rounds::Aggregator> aggregator_;
  Publisher publisher_;
  RoundLog round_log_;
  std::map<NodeId, Peer> peers_;
  std::vector<ledger::Record> waiting_;            // for the next Tick
  std::map<Digest, std::set<NodeId>> submitters_;  // record -> who wants to hear
  std::map<JobId, std::uint64_t> own_seq_;         // last used by this node
  std::map<JobId, protocol::Slot> beacons_;        // provided
  std::set<JobId> provided_;                       // jobs whose first model is in the cache
  std::optional<Instant> consensus_wake_;
  Height published_;
  std::optional<Height> pinned_at_;
  Instant rejections_since_;
  int rejections_ = 0;
  Effects effects_;
};

}  // namespace fedmesh::coordinator
