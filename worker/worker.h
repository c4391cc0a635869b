// A worker as a pure step machine: events in, effects out; no clock, socket, file or process. It
// follows the ledger as a light client, consents to jobs, trains, commits, reveals and scores.
//
// Rules that hold whatever the coordinator does:
// 1. Nothing is believed that is not proven under a certified header of the pinned genesis.
// 2. At most one commitment per (job, round, attempt): its opening is on disk before the record
//    leaves; a worker that lost it sits the round out. Rationale: two signed commitments are
//    evidence of cheating, and the second would be noise-free information about the first.
// 3. Un-noised values leave only sealed to the members of the round's committee, their keys only
//    after the commitment is final, and both are erased when the round is over.
// 4. The blobs, records and jobs kept in memory are bounded by constants, not by what peers send.
// After every event all live jobs are reconciled: what the proven state asks for and is not under
// way yet is begun. Losing the link loses nothing but time.
//
// Not thread-safe: owned by the loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/light_client.h"
#include "coordinator/protocol/messages.h"
#include "models/data/dataset.h"
#include "worker/blob_wants.h"
#include "worker/consent.h"
#include "worker/events.h"
#include "worker/job_view.h"
#include "worker/outbox.h"

namespace fedmesh::worker {

struct WorkerConfig {
  ledger::Genesis genesis;
  std::string data_uri;  // models/data/source.h
  ConsentPolicy consent;
  Capabilities capabilities;
  std::string device = "cpu";         // cpu, cuda or auto: for the trainer
  std::optional<NodeId> coordinator;  // nobody else is talked to
};

// name -> bytes of every Persist that was not erased, by an earlier process
using PersistedItems = std::map<std::string, Bytes>;

class Worker {
 public:
  static constexpr std::size_t kJobsMax = 64;
  static constexpr std::size_t kReceiptsWantedMax = 64;
  static constexpr Duration kReceiptRetry{5000};
  static constexpr Duration kWelcomeWithin{10'000};  // or the link is given up
  static constexpr Duration kBlobRetry{5000};
  static constexpr Duration kUndecidedFor{60'000};  // then a job that is half known may go

  // corruption: a persisted item is damaged; the detail names the file. `random` outlives it.
  static Result<std::unique_ptr<Worker>> create(WorkerConfig config, crypto::SigningKey key,
                                                SecureRandom& random, PersistedItems restored);
  ~Worker();

  Effects step(Instant now, const Event& event);
  // When a Tick is due; may be past.
  std::optional<Instant> next_wake() const;
  // One line for people: what it does and what it waits for. "clinics round 3: training (12 s
  // left)".
  std::string status(Instant now) const;

  const NodeId& id() const { return id_; }
  const ChainId& chain() const { return chain_; }
  std::size_t live_jobs() const { return jobs_.size(); }
  // Of every live job: its phase, while a round is open the round's. Names as in to_string().
  std::set<std::string> phases() const;

 private:
  Worker(WorkerConfig config, crypto::SigningKey key, SecureRandom& random);

  // worker.cpp
  void link_up(const LinkUp& up);
  void link_down(const LinkDown& down);
  void receive(const Received& received);
  void handle(const protocol::Welcome& welcome);
  void handle(const protocol::RecordResult& result);
  void handle(const protocol::StateUpdate& update);
  void handle(const protocol::StateAnswer& answer);
  void task_done(const trainer::Response& response);
  void blob_arrived(const BlobArrived& arrived);
  void blob_failed(const BlobFailed& failed);
  void keep_blobs();
  void reconcile();
  void flush();
  void give_up_link(const std::string& reason);
  void send(const protocol::Message& message);
  void submit(ledger::RecordKind kind, const JobId& job, Bytes payload);
  std::uint64_t run_task(trainer::TaskKind kind, Bytes body);
  void persist(const std::string& name, Bytes bytes);
  void erase(const std::string& name);
  void note(const std::string& kind, const JobView* job, const std::string& detail,
            bool show = true);
  void wake_at(Instant at);
  Instant ledger_now() const;
  bool past_deadline(const JobView& job) const;

  // ledger_view.cpp: proven state becomes JobViews
  void take_entries(const protocol::StateUpdate& update);
  void take_entry(const protocol::StateUpdate& update, const ledger::StateEntry& entry);
  void take_job(const protocol::StateUpdate& update, const JobId& id, const Bytes& value);
  void take_spec(const JobId& id, const Bytes& value);
  void take_round(const protocol::StateUpdate& update, const JobId& id, const Bytes& value);
  void take_contribution(const protocol::StateUpdate& update, const ledger::StateEntry& entry);
  bool proven(const protocol::StateUpdate& update);
  JobView* room_for(const JobId& id);
  std::optional<int> claim_of(const JobView& job) const;
  void ask_for_turned_away();
  void end_round(JobView& job);
  void end_job(JobView& job);

  // stored_items.cpp
  Result<void> restore(PersistedItems items);
  void ensure_data_secret();
  std::int64_t spent_nano() const;
  void persist_grants();
  void remember_head();
  void erase_orphans();
  void erase_restored(const JobId& job, const std::function<bool(const protocol::Slot&)>& is_over);
  void give_up_restored(const std::string& name);
  void hope_for_receipt(const JobId& job, const RoundNumber& round);
  void ask_for_hoped();
  void promise_receipt(const JobView& job);
  void want_receipt(const JobView& job);
  void forget_receipt(const std::string& key);
  std::set<JobId> restored_jobs() const;

  // enrolment.cpp
  void advance_enrolment(JobView& job);
  void described(JobView& job, const trainer::Response& response);
  void decline(JobView& job, const std::string& reason);
  Result<const models::Dataset*> data_for(const models::Schema& schema);
  Result<void> compute_data_root(JobView& job);
  void grant(const JobView& job);
  void settle_grant(const JobView& job);
  Result<void> charge_opening(const JobView& job);
  void release_opening(const JobView& job);

  // training_duty.cpp
  const protocol::CohortSlot* my_slot(const JobView& job) const;
  void advance_training(JobView& job);
  void begin_training(JobView& job, const protocol::CohortSlot& slot);
  void fetch_and_compute(JobView& job, const protocol::CohortSlot& slot);
  Result<std::optional<Bytes>> standardisation_of(const JobView& job);
  const Bytes* base_model(JobView& job);
  void computed(JobView& job, const trainer::Response& response);
  Result<Bytes> update_values(const JobView& job, const trainer::Response& response,
                              std::uint64_t& examples) const;
  void commit(JobView& job, Bytes values, std::uint64_t examples);
  void reveal(JobView& job, const protocol::CohortSlot& slot);
  Result<protocol::Reveal> sealed_reveal(const JobView& job) const;
  void abandon_training(JobView& job, const std::string& reason);

  // scoring_duty.cpp
  const protocol::ValidatorSlot* my_validator_slot(const JobView& job) const;
  void advance_scoring(JobView& job);
  void fetch_and_score(JobView& job);
  void scored(JobView& job, const trainer::Response& response);
  void commit_score(JobView& job);
  void abandon_scoring(JobView& job, const std::string& reason);

  // status.cpp
  std::string status_of(const JobView& job, int& urgency) const;

  WorkerConfig config_;
  crypto::SigningKey key_;
  SecureRandom& random_;
  NodeId id_;
  ChainId chain_;
  ledger::LightClient client_;
  Outbox outbox_;
  BlobWants blobs_;
  crypto::Secret<32> data_secret_;  // blinds the data roots of all jobs
  bool data_secret_stored_ = false;

  std::optional<NodeId> peer_;  // the coordinator, while linked
  bool welcomed_ = false;       // on this link
  Instant linked_at_;
  std::optional<Instant> blobs_at_;               // when failed fetches are tried again
  std::optional<std::set<Digest>> kept_;          // what the host was told to keep
  std::map<std::string, Digest> restored_roots_;  // sealed updates of restored openings
  std::map<JobId, JobView> jobs_;
  bool jobs_full_noted_ = false;
  std::set<JobId> turned_away_;  // at most kJobsMax, there was no room: asked for when a job ends
  std::map<std::string, Bytes> restored_;  // openings and scores of jobs not heard of yet
  std::optional<Instant> orphans_at_;      // then those belong to jobs that are gone
  std::uint64_t next_task_ = 1;
  // State keys of own contributions whose receipts are not stored yet, and when to ask for them.
  std::map<std::string, Instant> receipts_wanted_;
  std::map<std::string, std::uint64_t> receipts_hoped_for_;  // the query, 0: not asked on this link
  std::uint64_t last_query_ = 0;

  // The data set in use; jobs with one schema share it.
  std::optional<Digest> data_schema_;
  models::Dataset data_;

  // Epsilon that this worker has consented to: of live jobs as granted, of ended ones as spent.
  std::map<JobId, std::int64_t> granted_;
  // Rounds of live jobs for which an opening was handed over, with their epsilon: this worker's own
  // count, whatever the ledger says.
  std::map<JobId, std::vector<OpenedRound>> opened_;
  std::int64_t ended_epsilon_nano_ = 0;

  std::optional<std::int64_t> clock_lead_ms_;  // of the ledger's clock over ours, a lower bound
  Height head_stored_;
  std::optional<Instant> head_stored_at_;
  std::string last_drop_reason_;

  // Of the step under way.
  Instant now_;
  Effects effects_;
  std::optional<Instant> wake_;
};

std::string opening_item(const JobId& job, const protocol::Slot& slot);
std::string receipt_wanted_item(const JobId& job, const RoundNumber& round);
std::string score_item(const JobId& job, const protocol::Slot& slot);

}  // namespace fedmesh::worker
