#include "worker/worker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/options.h"

namespace fedmesh::worker {
namespace {

// Without a sign of life for this long a task is taken for hung.
constexpr Duration kTaskDeadline{120'000};

}  // namespace

Worker::Worker(WorkerConfig config, crypto::SigningKey key, SecureRandom& random)
    : config_(std::move(config)),
      key_(std::move(key)),
      random_(random),
      id_(key_.node_id()),
      chain_(ledger::chain_id(config_.genesis)),
      client_(config_.genesis),
      outbox_(chain_, key_) {}

Worker::~Worker() {
  for (auto& [name, bytes] : restored_) crypto::wipe(bytes);
}

Result<std::unique_ptr<Worker>> Worker::create(WorkerConfig config, crypto::SigningKey key,
                                               SecureRandom& random, PersistedItems restored) {
  std::unique_ptr<Worker> worker(new Worker(std::move(config), std::move(key), random));
  FM_TRY_VOID(worker->restore(std::move(restored)));
  return worker;
}

// The dispatcher: every event ends with the same reconciliation.
Effects Worker::step(Instant now, const Event& event) {
  now_ = now;
  effects_.clear();
  ensure_data_secret();
  if (const auto* up = std::get_if<LinkUp>(&event)) {
    link_up(*up);
  } else if (const auto* down = std::get_if<LinkDown>(&event)) {
    link_down(*down);
  } else if (const auto* received = std::get_if<Received>(&event)) {
    receive(*received);
  } else if (const auto* done = std::get_if<TaskDone>(&event)) {
    task_done(done->response);
  } else if (const auto* arrived = std::get_if<BlobArrived>(&event)) {
    blob_arrived(*arrived);
  } else if (const auto* failed = std::get_if<BlobFailed>(&event)) {
    blob_failed(*failed);
  } else if (peer_ && !welcomed_ && now_ - linked_at_ >= kWelcomeWithin) {
    give_up_link("no welcome within 10 s");
    linked_at_ = now_;
  }
  reconcile();
  return std::exchange(effects_, {});
}

std::optional<Instant> Worker::next_wake() const { return wake_; }

void Worker::link_up(const LinkUp& up) {
  if (peer_ == up.peer) return;
  if (peer_ || (config_.coordinator && *config_.coordinator != up.peer)) {
    effects_.push_back(Disconnect{up.peer, peer_ ? "this worker talks to one coordinator at a time"
                                                 : "another coordinator is expected"});
    return;
  }
  peer_ = up.peer;
  welcomed_ = false;
  linked_at_ = now_;
  std::optional<protocol::ProvenHead> head;
  if (const auto* newest = client_.newest())
    head = protocol::ProvenHead{*newest, *client_.newest_certificate()};
  send(protocol::Hello{chain_, std::string("fedmesh-worker ") + version(), true, std::move(head)});
  note("link.up", nullptr, "connected to coordinator " + up.peer.short_hex());
}

void Worker::link_down(const LinkDown& down) {
  if (peer_ != down.peer) return;
  peer_.reset();
  welcomed_ = false;
  outbox_.link_lost();
  for (auto& [key, ask_at] : receipts_wanted_) ask_at = {};
  for (auto& [key, query] : receipts_hoped_for_) query = 0;
  note("link.down", nullptr,
       "disconnected from coordinator " + down.peer.short_hex() +
           (down.reason.empty() ? "" : ": " + down.reason));
}

void Worker::receive(const Received& received) {
  if (peer_ != received.peer) return;  // its link ended while the message was on its way
  const auto message = protocol::decode_message(received.message);
  if (!message.ok()) return give_up_link(message.error().to_string());
  const bool welcome = std::holds_alternative<protocol::Welcome>(*message);
  if (!welcomed_ && !welcome) return give_up_link("the coordinator speaks before its welcome");
  std::visit(
      [&](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (requires { handle(body); }) {
          handle(body);
        } else {
          static_assert(!std::is_same_v<Body, protocol::StateUpdate>);
          give_up_link("a message that a worker does not take");
        }
      },
      *message);
}

void Worker::handle(const protocol::Welcome& welcome) {
  const auto genesis = ledger::decode_genesis(welcome.genesis);
  if (!genesis.ok()) return give_up_link("its genesis: " + genesis.error().to_string());
  const ChainId chain = ledger::chain_id(*genesis);
  if (chain != chain_)
    return give_up_link("it serves network " + chain.short_hex() + ", this worker is pinned to " +
                        chain_.short_hex());
  welcomed_ = true;
  if (welcome.bulk_port > 0 && welcome.bulk_port < 65536)
    effects_.push_back(DialBulk{*peer_, welcome.bulk_port});
  // Jobs that ended while the link was down are announced no more.
  std::set<JobId> known;
  for (const auto& [id, job] : jobs_) known.insert(id);
  for (const auto& [id, granted] : granted_) known.insert(id);
  for (const JobId& id : restored_jobs()) known.insert(id);
  for (const JobId& id : known) send(protocol::StateQuery{0, protocol::job_key(id), "", 1});
  ask_for_hoped();
}

void Worker::handle(const protocol::RecordResult& result) {
  const auto entry = outbox_.answered(result.record_hash);
  if (!entry || result.height) return;
  const auto found = jobs_.find(entry->job);
  JobView* job = found == jobs_.end() ? nullptr : &found->second;
  // Refusals that the state contradicts (a repeated record) do no harm: the state decides.
  note("record.refused", job,
       std::string("the ledger refused the ") + ledger::to_string(entry->kind) +
           " record: " + result.reason);
  if (job == nullptr) return;
  switch (entry->kind) {
    case ledger::RecordKind::enrol:
    case ledger::RecordKind::decline:
      job->enrolment.refused = true;  // it takes no part: the job may go if room is needed
      break;
    case ledger::RecordKind::commit:
    case ledger::RecordKind::reveal:
      abandon_training(
          *job, std::string("its ") + ledger::to_string(entry->kind) + " record was refused");
      break;
    case ledger::RecordKind::score_commit:
    case ledger::RecordKind::score_reveal:
      abandon_scoring(*job,
                      std::string("its ") + ledger::to_string(entry->kind) + " record was refused");
      break;
    default:
      break;
  }
}

void Worker::handle(const protocol::StateUpdate& update) {
  if (!proven(update)) return;
  const std::int64_t lead = (Instant{update.header.timestamp_ms} - now_).count();
  clock_lead_ms_ = std::max(clock_lead_ms_.value_or(lead), lead);
  take_entries(update);
  if (!orphans_at_) orphans_at_ = now_ + Duration(60'000);
}

void Worker::handle(const protocol::StateAnswer& answer) {
  if (answer.id != 0 && answer.page.entries.empty())
    std::erase_if(receipts_hoped_for_, [&](const auto& one) { return one.second == answer.id; });
  if (answer.page.entries.empty() || !proven(answer.page)) return;
  take_entries(answer.page);
}

void Worker::task_done(const trainer::Response& response) {
  for (auto& [id, job] : jobs_) {
    if (job.enrolment.stage == Enrolment::Stage::describing && job.enrolment.task == response.id)
      return described(job, response);
    if (job.training && job.training->stage == TrainingDuty::Stage::computing &&
        job.training->task == response.id)
      return computed(job, response);
    if (job.scoring && job.scoring->stage == ScoringDuty::Stage::computing &&
        job.scoring->task == response.id)
      return scored(job, response);
  }
}

void Worker::reconcile() {
  for (auto& [id, job] : jobs_) {
    if (!job.state || !job.spec) continue;
    advance_enrolment(job);
    advance_training(job);
    advance_scoring(job);
  }
  erase_orphans();
  keep_blobs();
  remember_head();
  flush();
}

// Constants and evaluation sets serve all rounds of a job, models and sealed updates the round
// under way.
void Worker::keep_blobs() {
  std::set<Digest> wanted;
  for (const auto& [id, job] : jobs_) {
    if (!job.state) continue;
    wanted.insert(job.state->standardisation_root);
    if (job.round && !protocol::is_over(job.round->phase)) wanted.insert(job.round->base_root);
    if (job.scoring && job.spec) wanted.insert(job.spec->evaluation.blob_root);
    if (job.round && job.round->aggregate) wanted.insert(job.round->aggregate->model_root);
    if (job.training) wanted.insert(job.training->ciphertext_root);
  }
  for (const auto& [name, root] : restored_roots_) wanted.insert(root);
  wanted.erase(Digest{});
  blobs_.keep_only(wanted);
  if (kept_ == wanted) return;
  kept_ = wanted;
  effects_.push_back(KeepBlobs{std::move(wanted)});
}

void Worker::blob_arrived(const BlobArrived& arrived) {
  const auto bytes_max = blobs_.bytes_max(arrived.root);
  if (!bytes_max) return;
  if (arrived.bytes.size() > *bytes_max)
    return blob_failed({arrived.root, "it has " + std::to_string(arrived.bytes.size()) +
                                          " bytes, at most " + std::to_string(*bytes_max) +
                                          " make sense"});
  blobs_.put(arrived.root, arrived.bytes);
}

void Worker::blob_failed(const BlobFailed& failed) {
  if (!blobs_.bytes_max(failed.root)) return;
  blobs_.failed(failed.root);
  note("blob.failed", nullptr,
       "blob " + failed.root.short_hex() + " cannot be used: " + failed.reason + "; trying again");
  blobs_at_ = now_ + kBlobRetry;
}

std::set<std::string> Worker::phases() const {
  std::set<std::string> out;
  for (const auto& [id, job] : jobs_) {
    if (!job.state) continue;
    const bool open = job.round && !protocol::is_over(job.round->phase);
    out.insert(open ? protocol::to_string(job.round->phase)
                    : protocol::to_string(job.state->phase));
  }
  return out;
}

// Whatever is due on the link, and when the next thing is.
void Worker::flush() {
  wake_.reset();
  if (orphans_at_ && !restored_.empty()) wake_at(*orphans_at_);
  for (const auto& [id, job] : jobs_) {
    const bool open = job.round && !protocol::is_over(job.round->phase);
    if (open && (job.training || job.scoring) && !past_deadline(job))
      wake_at(now_ + (Instant{job.round->deadline_ms} - ledger_now()));
  }
  if (blobs_at_ && now_ >= *blobs_at_) {
    blobs_at_.reset();
    blobs_.ask_again();
  }
  if (blobs_at_) wake_at(*blobs_at_);
  for (const auto& fetch : blobs_.take_new())
    effects_.push_back(FetchBlob{fetch.root, fetch.bytes_max});
  if (peer_ && !welcomed_) wake_at(linked_at_ + kWelcomeWithin);
  if (!peer_ || !welcomed_) return;
  for (auto& record : outbox_.due(now_)) send(std::move(record));
  for (auto& [key, ask_at] : receipts_wanted_) {
    if (now_ >= ask_at) {
      send(protocol::StateQuery{0, key, "", 1});
      ask_at = now_ + kReceiptRetry;
    }
    wake_at(ask_at);
  }
  if (const auto at = outbox_.next_wake()) wake_at(*at);
}

void Worker::give_up_link(const std::string& reason) {
  note("link.refused", nullptr, "coordinator " + peer_->short_hex() + " is not trusted: " + reason);
  effects_.push_back(Disconnect{*peer_, reason});
  welcomed_ = false;  // until the link is down nothing more of it is believed
  outbox_.link_lost();
}

void Worker::send(const protocol::Message& message) {
  effects_.push_back(Send{*peer_, protocol::encode_message(message)});
}

void Worker::submit(ledger::RecordKind kind, const JobId& job, Bytes payload) {
  outbox_.add(now_, kind, job, std::move(payload));
}

std::uint64_t Worker::run_task(trainer::TaskKind kind, Bytes body) {
  const std::uint64_t id = next_task_++;
  effects_.push_back(RunTask{{id, kind, std::move(body)}, kTaskDeadline});
  return id;
}

void Worker::persist(const std::string& name, Bytes bytes) {
  effects_.push_back(Persist{name, std::move(bytes)});
}

void Worker::erase(const std::string& name) {
  if (const auto at = restored_.find(name); at != restored_.end()) {
    crypto::wipe(at->second);
    restored_.erase(at);
  }
  restored_roots_.erase(name);
  effects_.push_back(Erase{name});
}

void Worker::note(const std::string& kind, const JobView* job, const std::string& detail,
                  bool show) {
  LogEvent event{now_, kind, {}};
  std::string line = detail;
  if (job != nullptr) {
    event.fields.emplace_back("job", job->id.hex());
    std::string place =
        job->state && !job->state->name.empty() ? job->state->name : "job " + job->id.short_hex();
    if (job->round && (job->training || job->scoring)) {
      event.fields.emplace_back("round", static_cast<std::int64_t>(job->round->slot.round.value));
      event.fields.emplace_back("attempt",
                                static_cast<std::int64_t>(job->round->slot.attempt.value));
      place += " round " + std::to_string(job->round->slot.round.value);
    }
    line = place + ": " + detail;
  }
  event.fields.emplace_back("detail", detail);
  effects_.push_back(Log{std::move(event), show ? line : ""});
}

void Worker::wake_at(Instant at) { wake_ = wake_ ? std::min(*wake_, at) : at; }

// Deadlines are block timestamps. The ledger's clock is at least as far ahead of ours as any block
// that reached us was, so a wrong clock here does not make the worker give up too early.
Instant Worker::ledger_now() const { return now_ + Duration(clock_lead_ms_.value_or(0)); }

bool Worker::past_deadline(const JobView& job) const {
  return job.round && job.round->deadline_ms != 0 && ledger_now().ms >= job.round->deadline_ms;
}

}  // namespace fedmesh::worker
