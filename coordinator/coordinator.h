// A coordinator as one step machine: consensus, aggregator duty and the service of connected nodes,
// without sockets or clocks; the ledger's store and the blob store are handed in. The process
// (host.h) and the simulator (tests/sim) run this same code. Protocol:
// coordinator/rounds/PROTOCOL.md. Not thread-safe: owned by the loop thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/allowance.h"
#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/event_log.h"
#include "base/private_folder.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/consensus/solo.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/publisher.h"
#include "coordinator/round_log.h"
#include "coordinator/rounds/aggregator.h"
#include "coordinator/rounds/evidence.h"
#include "coordinator/rounds/rounds_machine.h"
#include "net/blob_store.h"

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
struct BlobArrived {  // the blob store holds it
  Digest root;
};
struct BlobFailed {  // of a FetchBlob: it cannot be stored
  Digest root;
  Error reason;
  bool own_disk = false;  // the disk is full or fails: nobody else is to blame
};
struct ComputeDone {
  rounds::ComputeDone result;
};
using Event = std::variant<LinkUp, LinkDown, Received, Tick, BlobArrived, BlobFailed, ComputeDone>;

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
struct FetchBlob {  // over the bulk plane, from this peer
  Digest root;
  std::uint64_t bytes_max = 0;
  NodeId holder;
  // An update can be fetched again until its round is over; what is acknowledged to a submitter,
  // who goes away then, cannot.
  net::Flush flush = net::Flush::yes;
};
struct ForgetBlob {  // stop fetching it
  Digest root;
};
struct Compute {  // on another thread; answered by ComputeDone
  rounds::ComputeTask task;
};
struct ForgetSum {  // of checked updates: the job's round is over
  JobId job;
};
using Effect = std::variant<Send, Disconnect, Log, Halt, FetchBlob, ForgetBlob, Compute, ForgetSum>;
using Effects = std::vector<Effect>;  // carried out in order

// Where the coordinator keeps what must outlive it. Written while it steps, because a block that
// relies on an item must not become final before the item is on disk.
struct CoordinatorParts {
  ledger::Store& store;
  net::BlobStore& blobs;
  PrivateFolder& items;  // round keys
  SecureRandom& random;
};

class Coordinator {
 public:
  static constexpr std::size_t kOffersMax = 8;

  // The genesis' committee is exactly `key`. The parts outlive it. Goes on where an earlier process
  // with the same parts ended.
  static Result<std::unique_ptr<Coordinator>> create(ledger::Genesis genesis,
                                                     crypto::SigningKey key,
                                                     const CoordinatorParts& parts);

  void set_bulk_port(std::uint32_t port) { bulk_port_ = port; }  // told to every node
  // How long others' records wait for more of their kind before a block is made of them: commits of
  // a cohort come within milliseconds, and every block costs flushes, a signature and a message to
  // every node. Own records wait for nothing.
  void set_gathering(Duration time) { gathering_ = time; }

  Effects step(Instant now, Event event);
  std::optional<Instant> next_wake() const;
  const ledger::Chain& chain() const { return *chain_; }
  // Of every live job: its phase, while a round is open the round's. Names as in to_string().
  std::set<std::string> phases() const;

 private:
  struct Peer {
    int greetings = 0;
    Allowance proofs{5000, 1000};  // of state entries
    Allowance block_bytes{protocol::kBlockBytesBurst, protocol::kBlockBytesPerSecond};
    bool subscribed = false;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
  };

  Coordinator(crypto::SigningKey key, const CoordinatorParts& parts)
      : key_(std::move(key)), random_(parts.random), blobs_(parts.blobs), items_(parts.items) {}

  Instant ledger_time(Instant now);
  void receive(Instant now, const NodeId& peer, const Bytes& message);
  void handle(Instant now, const NodeId& peer, const protocol::Hello& hello);
  void handle(Instant now, const NodeId& peer, const protocol::SubmitRecord& submit);
  void handle(Instant now, const NodeId& peer, const protocol::BlobOffer& offer);
  void handle(Instant now, const NodeId& peer, const protocol::StateQuery& query);
  void handle(Instant now, const NodeId& peer, const protocol::BlockQuery& query);
  void handle(Instant now, const NodeId& peer, const protocol::StatusQuery& query);
  template <class Other>
  void handle(Instant now, const NodeId& peer, const Other& unexpected);

  void run(Instant now);
  bool run_once(Instant now);
  void settle();
  void drop_update(const Digest& root);
  Instant gathered_at(Instant now) const;
  void take(Instant now, consensus::Effects effects);
  void take(Instant now, rounds::AggregatorEffects effects);
  void pin_blobs();
  bool is_needed(const Digest& root) const;
  std::set<Digest> job_blobs() const;
  void provide_initial_models();
  void provide_beacons();
  void miss_evaluation_sets(Instant now);
  void submit_own(ledger::RecordKind kind, const JobId& job, Bytes payload);
  void check_head(const protocol::ProvenHead& head);
  void blob_arrived(Instant now, const Digest& root);
  void blob_failed(Instant now, const Digest& root, const Error& reason);
  void forget_offers(const NodeId& peer);
  void answer_offer(const Digest& root, const std::string& error);
  void collect_evidence(Instant now, const ledger::Record& record);
  void publish(Instant now);
  void halt(const Error& reason);
  void send(const NodeId& peer, const protocol::Message& message);
  void log(Instant now, std::string kind, std::string detail);
  void log_rejection(Instant now, const consensus::Rejected& rejected);

  crypto::SigningKey key_;
  SecureRandom& random_;
  rounds::RoundsMachine machine_;
  std::unique_ptr<ledger::Chain> chain_;
  std::unique_ptr<consensus::Solo> consensus_;
  net::BlobStore& blobs_;
  PrivateFolder& items_;
  rounds::EvidenceCollector evidence_;
  std::optional<rounds::Aggregator> aggregator_;
  Publisher publisher_;
  std::set<Digest> pinned_;
  std::vector<Digest> dropped_;      // updates that nothing is computed from any more
  std::vector<std::string> erased_;  // names of items
  RoundLog round_log_;
  std::map<NodeId, Peer> peers_;
  std::vector<ledger::Record> waiting_;  // for the next Tick
  Duration gathering_{0};
  std::optional<Instant> gathered_at_;             // when all that waits may enter a block
  std::map<Digest, std::set<NodeId>> submitters_;  // record -> who wants to hear
  std::map<JobId, std::uint64_t> own_seq_;         // last used by this node
  std::map<JobId, protocol::Slot> beacons_;        // provided
  std::set<JobId> provided_;                       // jobs whose first model is in the store
  std::set<JobId> missed_;                         // jobs whose evaluation set is said to be gone
  std::map<Digest, std::set<NodeId>> offers_;      // blobs on their way from submitters
  std::uint32_t bulk_port_ = 0;
  Duration clock_lead_{0};  // of the ledger's time before this node's clock
  std::optional<Instant> consensus_wake_;
  Height settled_;    // up to here blocks are durable
  Height published_;  // and told to subscribers
  std::optional<Height> served_at_;
  Instant rejections_since_;
  int rejections_ = 0;
  bool halted_ = false;
  Effects effects_;
};

}  // namespace fedmesh::coordinator
