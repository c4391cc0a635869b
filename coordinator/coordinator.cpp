#include "coordinator/coordinator.h"

#include <algorithm>

#include "base/crash_point.h"
#include "coordinator/queries.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::coordinator {
namespace {

constexpr std::size_t kBlockBytes = 512 * 1024;  // a block fits into one message
constexpr std::size_t kWaitingMax = 16384;
constexpr int kGreetingsMax = 2;
constexpr int kRejectionsLogged = 100;  // a minute
constexpr int kRunsMax = 64;            // blocks that follow from one another in one tick
constexpr Duration kClockBehind{1000};  // more than blocks in quick succession are ahead

std::string software() { return "fedmesh 0.1.0"; }

}  // namespace

Result<std::unique_ptr<Coordinator>> Coordinator::create(ledger::Genesis genesis,
                                                         crypto::SigningKey key,
                                                         const CoordinatorParts& parts) {
  std::unique_ptr<Coordinator> self(new Coordinator(std::move(key), parts));
  FM_TRY(self->chain_, ledger::Chain::open(std::move(genesis), self->machine_, parts.store));
  consensus::SoloOptions options;
  options.block.bytes = kBlockBytes;
  options.blocks_per_step = 1;  // own duties follow every block
  FM_TRY(self->consensus_, consensus::Solo::create(*self->chain_, self->key_.clone(), options));
  FM_TRY(auto restored, parts.items.load());
  self->aggregator_.emplace(self->chain_->id(), self->key_.node_id(), self->blobs_, parts.random,
                            std::move(restored));
  self->settled_ = self->published_ = self->chain_->height();
  return self;
}

// The ledger's time never falls. Where this clock is behind the newest block, because it was set
// back or was ahead before, the ledger's time goes on from that block at this clock's pace: or no
// deadline would be due until the clock has caught up.
Instant Coordinator::ledger_time(Instant now) {
  const Duration behind = chain_->timestamp() - now;
  if (behind - clock_lead_ > kClockBehind) clock_lead_ = behind;
  return now + clock_lead_;
}

Effects Coordinator::step(Instant clock, Event event) {
  const Instant now = ledger_time(clock);
  effects_.clear();
  if (const auto* up = std::get_if<LinkUp>(&event)) {
    peers_[up->peer] = Peer{};
  } else if (const auto* down = std::get_if<LinkDown>(&event)) {
    peers_.erase(down->peer);
    forget_offers(down->peer);
  } else if (const auto* received = std::get_if<Received>(&event)) {
    receive(now, received->peer, received->message);
  } else if (const auto* arrived = std::get_if<BlobArrived>(&event)) {
    blob_arrived(now, arrived->root);
  } else if (const auto* failed = std::get_if<BlobFailed>(&event)) {
    // Workers would lose their round, and jobs their attempts, to this node's own disk.
    if (failed->own_disk) halt(failed->reason);
    blob_failed(now, failed->root, failed->reason);
  } else if (auto* done = std::get_if<ComputeDone>(&event)) {
    take(now, aggregator_->done(now, *chain_, std::move(done->result)));
  } else {
    run(now);
  }
  settle();
  return std::move(effects_);
}

std::optional<Instant> Coordinator::next_wake() const {
  std::optional<Instant> at = consensus_wake_;
  const auto earlier = [&](std::optional<Instant> other) {
    if (other && (!at || *other < *at)) at = other;
  };
  earlier(chain_->next_deadline());
  earlier(aggregator_->next_wake());
  if (!waiting_.empty()) earlier(gathered_at_);
  if (at) at = *at + -clock_lead_;
  return at;
}

void Coordinator::receive(Instant now, const NodeId& peer, const Bytes& bytes) {
  const auto at = peers_.find(peer);
  if (at == peers_.end()) return;  // its link ended while the message was on its way
  at->second.bytes_in += bytes.size();
  const auto message = protocol::decode_message(bytes);
  if (!message.ok()) {
    effects_.push_back(Disconnect{peer, message.error().to_string()});
    return;
  }
  if (at->second.greetings == 0 && !std::holds_alternative<protocol::Hello>(*message)) {
    effects_.push_back(Disconnect{peer, "the first message is a hello"});
    return;
  }
  std::visit([&](const auto& body) { handle(now, peer, body); }, *message);
}

void Coordinator::handle(Instant, const NodeId& peer, const protocol::Hello& hello) {
  if (!hello.chain.is_zero() && hello.chain != chain_->id()) {
    effects_.push_back(Disconnect{peer, "another network: this is " + chain_->id().short_hex()});
    return;
  }
  Peer& known = peers_[peer];
  // A newcomer greets twice: once to learn the genesis, once to subscribe.
  if (++known.greetings > kGreetingsMax) {
    effects_.push_back(Disconnect{peer, "greeted more than twice"});
    return;
  }
  known.subscribed = hello.subscribe;
  if (hello.head) check_head(*hello.head);
  send(peer,
       protocol::Welcome{ledger::encode_genesis(chain_->genesis()), chain_->height(), bulk_port_});
  if (!hello.subscribe || chain_->head_header() == nullptr) return;
  for (auto& update : state_updates(*chain_, publisher_.all(chain_->state())))
    send(peer, std::move(update));
}

// Somebody holds a certificate of a block that this ledger does not have: this is an old copy, or
// another one runs under the same key. Going on would fork the chain.
void Coordinator::check_head(const protocol::ProvenHead& head) {
  const auto& header = head.header;
  if (header.chain != chain_->id() ||
      !ledger::verify_certificate(head.certificate, header, chain_->genesis().committee).ok())
    return;  // proves nothing
  const auto stop = [&](const std::string& what) {
    halt(corruption(what +
                    ". Find the newest copy of the ledger (or the other coordinator that runs with "
                    "this key) and go on with that one; this one must not make blocks"));
  };
  if (header.height > chain_->height())
    return stop("a node has a certificate of block " + std::to_string(header.height.value) +
                ", this ledger ends at block " + std::to_string(chain_->height().value));
  const auto own = chain_->get(header.height);
  if (own.ok() && ledger::header_hash(own->block.header) != ledger::header_hash(header))
    stop("a node has a certificate of another block " + std::to_string(header.height.value) +
         " than this ledger");
}

void Coordinator::handle(Instant now, const NodeId& peer, const protocol::SubmitRecord& submit) {
  auto record = ledger::decode_record(submit.record);
  if (!record.ok()) {
    effects_.push_back(Disconnect{peer, record.error().to_string()});
    return;
  }
  const Digest hash = ledger::record_hash(*record);
  if (const auto* final_at = chain_->find(hash)) {
    send(peer, protocol::RecordResult{hash, final_at->height, ""});
    return;
  }
  const NodeId author = record->author_id();
  const auto node = rounds::node_state(chain_->state(), author);
  if ((!node || node->roles == 0) && !chain_->state().contains(rounds::operator_key(author))) {
    send(peer, protocol::RecordResult{hash, std::nullopt,
                                      "unauthenticated: node " + author.short_hex() +
                                          " is not admitted; ask an operator: fedmesh node admit"});
    return;
  }
  if (waiting_.size() >= kWaitingMax) {
    send(peer, protocol::RecordResult{hash, std::nullopt, "too many records wait; try again"});
    return;
  }
  collect_evidence(now, *record);
  submitters_[hash].insert(peer);
  if (waiting_.empty()) gathered_at_ = gathered_at(now);
  waiting_.push_back(std::move(record).value());
}

void Coordinator::collect_evidence(Instant now, const ledger::Record& record) {
  const auto evidence = evidence_.observe(*chain_, record);
  if (!evidence) return;
  log(now, "evidence.found", "two commitments of node " + record.author_id().short_hex());
  submit_own(ledger::RecordKind::evidence, record.job, codec::encode(*evidence));
}

// Proofs are dear: whoever asks for too many has to wait.
void Coordinator::handle(Instant now, const NodeId& peer, const protocol::StateQuery& query) {
  Peer& known = peers_[peer];
  if (known.proofs.left(now) <= 0) {
    effects_.push_back(Disconnect{peer, "asked for too much state; try again in a few seconds"});
    return;
  }
  auto page = answer(*chain_, query);
  known.proofs.spend(page.page.entries.size() + 1);
  send(peer, std::move(page));
}

// So are blocks, which are read from the disk.
void Coordinator::handle(Instant now, const NodeId& peer, const protocol::BlockQuery& query) {
  Peer& known = peers_[peer];
  if (known.block_bytes.left(now) <= 0) {
    effects_.push_back(Disconnect{
        peer, "asked for too many blocks; go on in a few seconds, with at most " +
                  std::to_string(protocol::kBlockBytesPerSecond >> 20) + " MiB of them a second"});
    return;
  }
  const std::uint64_t sent_before = known.bytes_out;
  send(peer, answer(*chain_, query));
  known.block_bytes.spend(known.bytes_out - sent_before);
}

void Coordinator::handle(Instant, const NodeId& peer, const protocol::StatusQuery& query) {
  protocol::StatusAnswer out{query.id, software(), {}};
  for (const auto& [id, known] : peers_) out.peers.push_back({id, known.bytes_in, known.bytes_out});
  send(peer, std::move(out));
}

template <class Other>
void Coordinator::handle(Instant, const NodeId& peer, const Other&) {
  effects_.push_back(Disconnect{peer, "a message that a coordinator does not take"});
}

// Blocks follow from one another (a record closes a phase, this node's duty answers), so the loop
// runs until nothing more happens; the bound only spreads very long chains over several ticks.
void Coordinator::run(Instant now) {
  consensus_wake_.reset();
  int runs = 0;
  while (runs < kRunsMax && !halted_ && run_once(now)) ++runs;
  if (runs == kRunsMax) consensus_wake_ = now;
}

// Blocks that follow from one another are flushed together. Before they are durable nothing leaves
// this node, and nothing is erased because of them.
void Coordinator::settle() {
  if (chain_->height() != settled_) {
    const auto kept = chain_->flush();
    if (!kept.ok()) {
      effects_.clear();
      return halt(kept.error());
    }
    settled_ = chain_->height();
    pin_blobs();
  }
  for (const Digest& root : std::exchange(dropped_, {})) drop_update(root);
  for (const std::string& name : std::exchange(erased_, {})) {
    if (const auto gone = items_.erase(name); !gone.ok()) halt(gone.error());
    crash_point("coordinator.erased-item");
  }
}

void Coordinator::drop_update(const Digest& root) {
  if (!is_needed(root)) blobs_.remove(root);
  crash_point("coordinator.dropped-update");
}

// What came before a deadline enters a block before it.
Instant Coordinator::gathered_at(Instant now) const {
  const Instant at = now + gathering_;
  const auto deadline = chain_->next_deadline();
  return deadline ? std::min(at, *deadline + Duration(-1)) : at;
}

bool Coordinator::run_once(Instant now) {
  const Height before = chain_->height();
  // Duties follow from the state: most ticks find it as it was.
  const auto wake = aggregator_->next_wake();
  if (served_at_ != before || (wake && *wake <= now)) {
    served_at_ = before;
    pin_blobs();  // before anything is put into the store
    provide_initial_models();
    provide_beacons();
    miss_evaluation_sets(now);
    take(now, aggregator_->step(now, *chain_));
    pin_blobs();  // with what the aggregator has begun to fetch
  }
  if (halted_) return false;
  // A clock that was set back must not make them wait.
  const bool gathers = gathered_at_ && *gathered_at_ > now && *gathered_at_ - now <= gathering_;
  const bool had_records = !waiting_.empty() && !gathers;
  if (had_records) {
    take(now, consensus_->step(now, consensus::Submit{std::exchange(waiting_, {})}));
  } else {
    take(now, consensus_->step(now, consensus::Tick{}));
  }
  publish(now);
  return had_records || chain_->height() != before;
}

void Coordinator::take(Instant now, consensus::Effects effects) {
  const auto tell = [&](const Digest& record, std::optional<Height> height, std::string reason) {
    const auto at = submitters_.find(record);
    if (at == submitters_.end()) return;
    for (const NodeId& peer : at->second)
      send(peer, protocol::RecordResult{record, height, reason});
    submitters_.erase(at);
  };
  for (auto& effect : effects) {
    if (const auto* accepted = std::get_if<consensus::Accepted>(&effect)) {
      tell(accepted->record, accepted->height, "");
    } else if (const auto* rejected = std::get_if<consensus::Rejected>(&effect)) {
      log_rejection(now, *rejected);
      tell(rejected->record, std::nullopt, rejected->reason.to_string());
    } else if (const auto* wake = std::get_if<consensus::WakeAt>(&effect)) {
      consensus_wake_ = wake->at;
    } else if (auto* halted = std::get_if<consensus::Halted>(&effect)) {
      halt(halted->reason);
    }
  }
}

// A flood of bad records must not become a flood of log lines.
void Coordinator::log_rejection(Instant now, const consensus::Rejected& rejected) {
  if (now - rejections_since_ >= std::chrono::minutes(1)) {
    rejections_since_ = now;
    rejections_ = 0;
  }
  if (++rejections_ > kRejectionsLogged) return;
  log(now, "record.rejected", rejected.record.short_hex() + ": " + rejected.reason.to_string());
}

void Coordinator::take(Instant, rounds::AggregatorEffects effects) {
  for (auto& effect : effects) {
    if (auto* submit = std::get_if<rounds::SubmitPayload>(&effect)) {
      submit_own(submit->kind, submit->job, std::move(submit->payload));
    } else if (const auto* fetch = std::get_if<rounds::FetchUpdate>(&effect)) {
      effects_.push_back(FetchBlob{fetch->root, fetch->bytes, fetch->worker, net::Flush::no});
    } else if (const auto* drop = std::get_if<rounds::DropUpdate>(&effect)) {
      effects_.push_back(ForgetBlob{drop->root});
      dropped_.push_back(drop->root);
    } else if (auto* task = std::get_if<rounds::Compute>(&effect)) {
      effects_.push_back(Compute{std::move(task->task)});
    } else if (const auto* over = std::get_if<rounds::ForgetSum>(&effect)) {
      effects_.push_back(ForgetSum{over->job});
    } else if (auto* item = std::get_if<rounds::PersistItem>(&effect)) {
      std::erase(erased_, item->name);  // one of this name that an earlier process left
      const auto written = items_.write(item->name, item->bytes);
      crypto::wipe(item->bytes);
      if (!written.ok()) return halt(written.error());  // what relies on it is not said
      crash_point("coordinator.persisted-item");
    } else if (auto* erased = std::get_if<rounds::EraseItem>(&effect)) {
      erased_.push_back(erased->name);
    } else {
      effects_.push_back(Log{std::move(std::get<rounds::Note>(effect).event)});
    }
  }
}

std::set<std::string> Coordinator::phases() const {
  std::set<std::string> out;
  for (const JobId& id : rounds::live_jobs(chain_->state())) {
    const auto job = rounds::require<protocol::JobState>(chain_->state(), protocol::job_key(id));
    if (job.phase != protocol::JobPhase::running) {
      out.insert(protocol::to_string(job.phase));
      continue;
    }
    const auto round =
        rounds::require<protocol::RoundState>(chain_->state(), protocol::round_key(id, job.next));
    out.insert(protocol::to_string(round.phase));
  }
  return out;
}

void Coordinator::provide_beacons() {
  for (const JobId& id : rounds::live_jobs(chain_->state())) {
    const auto job = rounds::require<protocol::JobState>(chain_->state(), protocol::job_key(id));
    if (job.phase != protocol::JobPhase::drawing) {
      beacons_.erase(id);
      continue;
    }
    const auto [at, fresh] = beacons_.try_emplace(id, job.next);
    if (!fresh && at->second == job.next) continue;
    at->second = job.next;
    submit_own(ledger::RecordKind::beacon, id,
               codec::encode(protocol::Beacon{job.next, random_.array<32>()}));
  }
}

void Coordinator::submit_own(ledger::RecordKind kind, const JobId& job, Bytes payload) {
  std::uint64_t& last = own_seq_[job];
  last = std::max(last + 1, chain_->next_author_seq(key_.node_id(), job));
  gathered_at_.reset();
  waiting_.push_back(ledger::sign_record(key_, kind, chain_->id(), job, last, std::move(payload)));
  chain_->trust(waiting_.back());
}

// What the newest block changed. Subscribers hear of every block, also of one that was flushed
// together with the next: they see every phase.
void Coordinator::publish(Instant now) {
  if (chain_->height() == published_) return;
  published_ = chain_->height();
  const auto keys = publisher_.changed(chain_->state());
  for (const auto& update : state_updates(*chain_, keys)) {
    const Bytes encoded = protocol::encode_message(update);
    for (auto& [peer, known] : peers_) {
      if (!known.subscribed) continue;
      known.bytes_out += encoded.size();
      effects_.push_back(Send{peer, encoded});
    }
  }
  for (auto& event : round_log_.step(chain_->state(), keys, published_, chain_->timestamp()))
    effects_.push_back(Log{std::move(event)});
  for (const auto& key : keys) {
    const std::string_view prefix = protocol::kJobPrefix;
    if (!key.starts_with(prefix)) continue;
    const auto job = rounds::require<protocol::JobState>(chain_->state(), key);
    log(now, "job." + std::string(protocol::to_string(job.phase)),
        job.id.short_hex() + " " + job.name + ": " + job.reason);
  }
}

// No block is made from here on, whatever the host does with the effect.
void Coordinator::halt(const Error& reason) {
  halted_ = true;
  effects_.push_back(Halt{reason});
}

void Coordinator::send(const NodeId& peer, const protocol::Message& message) {
  Bytes bytes = protocol::encode_message(message);
  if (const auto at = peers_.find(peer); at != peers_.end()) at->second.bytes_out += bytes.size();
  effects_.push_back(Send{peer, std::move(bytes)});
}

void Coordinator::log(Instant now, std::string kind, std::string detail) {
  effects_.push_back(Log{{now,
                          std::move(kind),
                          {{"height", static_cast<std::int64_t>(chain_->height().value)},
                           {"detail", std::move(detail)}}}});
}

}  // namespace fedmesh::coordinator
