// A scripted coordinator around one worker: a trainer that answers what the test says, a disk and a
// blob store that are maps. Time moves only when the test says so.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "coordinator/protocol/sealing.h"
#include "models/data/safetensors.h"
#include "tests/worker/scripted_ledger.h"
#include "worker/worker.h"

namespace fedmesh::worker {

// An update as whoever has its key reads it.
struct ReadUpdate {
  protocol::UpdateHeader header;
  std::vector<std::int32_t> values;
  Digest digest;  // update_digest()
};

inline ReadUpdate read_update(const Bytes& sealed, const protocol::ContentKey& key) {
  ReadUpdate out;
  const MemorySource source(sealed);
  auto update = protocol::SealedUpdate::open(source, key);
  EXPECT_TRUE(update.ok());
  if (!update.ok()) return out;
  out.header = update->header();
  for (std::uint64_t i = 0; i < update->chunks(); ++i) {
    const auto chunk = update->chunk(i);
    EXPECT_TRUE(chunk.ok());
    out.values.insert(out.values.end(), chunk->begin(), chunk->end());
  }
  out.digest = protocol::update_digest(crypto::blob_root(sealed), sealed.size(), key);
  return out;
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() { start(); }

  // A new process with what is on disk.
  void start() {
    worker_.reset();
    tasks_.clear();
    fetches_.clear();
    linked_ = false;
    die_after_.reset();
    WorkerConfig config{.genesis = ledger_.genesis(),
                        .data_uri = "clinics:silo=0,silos=40,seed=1",
                        .consent = policy_,
                        .capabilities = {.memory_mb = 4096, .gpu = false},
                        .device = "cpu",
                        .coordinator = std::nullopt};
    auto worker = Worker::create(std::move(config), test_key(1), random_, disk_);
    ASSERT_TRUE(worker.ok()) << worker.error().to_string();
    worker_ = std::move(worker).value();
  }
  // A new process that is told everything again.
  void restart() {
    start();
    link();
    republish();
  }

  // The host dies after `die_after_` effects of an event, where that is set.
  void step(const Event& event) {
    auto effects = worker_->step(now_, event);
    if (die_after_ && *die_after_ < effects.size()) effects.resize(*die_after_);
    for (auto& effect : effects) {
      all_.push_back(effect);
      take(effect);
    }
  }
  void take(Effect& effect) {
    if (auto* send = std::get_if<Send>(&effect)) {
      EXPECT_EQ(send->to, kCoordinator);
      EXPECT_TRUE(linked_) << "sent without a link";
      auto message = protocol::decode_message(send->message);
      ASSERT_TRUE(message.ok()) << message.error().to_string();
      sent_.push_back(std::move(message).value());
    } else if (auto* task = std::get_if<RunTask>(&effect)) {
      tasks_.push_back(std::move(task->request));
    } else if (auto* cancel = std::get_if<CancelTask>(&effect)) {
      cancelled_.push_back(cancel->id);
    } else if (auto* persist = std::get_if<Persist>(&effect)) {
      disk_[persist->name] = persist->bytes;
    } else if (auto* erase = std::get_if<Erase>(&effect)) {
      disk_.erase(erase->name);
    } else if (auto* blob = std::get_if<StoreBlob>(&effect)) {
      EXPECT_EQ(crypto::blob_root(blob->bytes), blob->root);
      EXPECT_TRUE(kept_.contains(blob->root)) << "stored before it is kept";
      blobs_[blob->root] = blob->bytes;
    } else if (auto* fetch = std::get_if<FetchBlob>(&effect)) {
      fetches_.push_back(*fetch);
    } else if (auto* keep = std::get_if<KeepBlobs>(&effect)) {
      kept_ = keep->roots;
      std::erase_if(blobs_, [&](const auto& entry) { return !kept_.contains(entry.first); });
    } else if (auto* dial = std::get_if<DialBulk>(&effect)) {
      bulk_ports_.push_back(dial->port);
    } else if (auto* disconnect = std::get_if<Disconnect>(&effect)) {
      disconnects_.push_back(disconnect->reason);
    } else {
      log_.push_back(std::get<Log>(effect));
    }
  }

  void pass(Duration time) {
    now_ = now_ + time;
    step(Tick{});
  }
  void receive(const protocol::Message& message) {
    step(Received{kCoordinator, protocol::encode_message(message)});
  }
  void link(std::uint32_t bulk_port = 7701) {
    linked_ = true;
    step(LinkUp{kCoordinator});
    receive(protocol::Welcome{ledger::encode_genesis(ledger_.genesis()), {0}, bulk_port});
  }
  void unlink() {
    linked_ = false;
    step(LinkDown{kCoordinator, "test"});
  }
  void block() {
    now_ = now_ + Duration(10);
    receive(ledger_.block(now_));
  }

  // What the worker has sent of one kind since the last call.
  template <class T>
  std::vector<T> take_sent() {
    std::vector<T> out;
    std::erase_if(sent_, [&](const protocol::Message& message) {
      const auto* body = std::get_if<T>(&message);
      if (body != nullptr) out.push_back(*body);
      return body != nullptr;
    });
    return out;
  }
  std::vector<ledger::Record> take_records() {
    std::vector<ledger::Record> out;
    for (const auto& submit : take_sent<protocol::SubmitRecord>()) {
      auto record = ledger::decode_record(submit.record);
      EXPECT_TRUE(record.ok());
      EXPECT_TRUE(ledger::verify_record(*record, ledger_.chain()).ok());
      EXPECT_EQ(record->author_id(), worker_->id());
      out.push_back(std::move(record).value());
    }
    return out;
  }
  template <class Payload>
  std::optional<Payload> take_record(ledger::RecordKind kind) {
    for (const auto& record : take_records()) {
      if (record.kind != kind) continue;
      auto payload = protocol::decode_payload<Payload>(record.payload);
      EXPECT_TRUE(payload.ok());
      return std::move(payload).value();
    }
    return std::nullopt;
  }
  std::optional<protocol::Commit> take_commit() {
    return take_record<protocol::Commit>(ledger::RecordKind::commit);
  }
  std::optional<protocol::Reveal> take_reveal() {
    return take_record<protocol::Reveal>(ledger::RecordKind::reveal);
  }
  std::string said() const {
    std::string out;
    for (const auto& log : log_) out += log.line + "\n";
    return out;
  }

  // --- the trainer ---
  template <class Result>
  void answer(trainer::TaskKind kind, const Result& result) {
    ASSERT_FALSE(tasks_.empty()) << said();
    const trainer::Request request = tasks_.front();
    tasks_.pop_front();
    ASSERT_EQ(request.kind, kind);
    step(TaskDone{trainer::success(request.id, codec::encode(result))});
  }
  void answer_describe() {
    const auto data = models::clinics_silo(1, 0, 40);
    answer(trainer::TaskKind::describe,
           trainer::DescribeResult{data.rows(), data.features, spec_.schema.hash(), {}});
  }
  void answer_train(float first) {
    std::vector<float> delta(models::elements(spec_.architecture.layout()), 0.25f);
    delta[0] = first;
    answer(trainer::TaskKind::train,
           trainer::TrainResult{trainer::to_le_bytes(delta), round_.cohort.at(0).record_count, 1});
  }

  // --- the ledger ---
  void open_job(const protocol::JobSpec& spec) {
    spec_ = spec;
    job_ = protocol::JobState{};
    job_.id.bytes.fill(static_cast<std::uint8_t>(7));
    job_.owner = test_key(50).public_key();
    job_.name = spec.name;
    job_.config_hash = spec.config_hash();
    job_.privacy.total = spec.privacy.total;
    base_ = models::encode_safetensors(
        models::initial_parameters(spec.architecture, spec.initial_seed));
    job_.base_root = crypto::blob_root(base_);
    ledger_.put(protocol::spec_key(job_.id), spec_);
    put_job();
    block();
  }
  void put_job() { ledger_.put(protocol::job_key(job_.id), job_); }
  void put_round(protocol::RoundPhase phase) {
    round_.phase = phase;
    round_.deadline_ms = now_.ms + 60'000;
    ledger_.put(protocol::round_key(job_.id, round_.slot), round_);
    block();
  }
  void republish() {
    ledger_.put(protocol::spec_key(job_.id), spec_);
    put_job();
    put_round(round_.phase);
  }
  // Enrols this worker and opens the first round with it, in its commit phase.
  void open_round(std::size_t members = 1) {
    answer_describe();
    const auto enrol = take_record<protocol::Enrol>(ledger::RecordKind::enrol);
    ASSERT_TRUE(enrol.has_value()) << said();
    job_.enrolled = {worker_->id()};
    job_.phase = protocol::JobPhase::running;
    put_job();
    round_ = protocol::RoundState{};
    round_.job = job_.id;
    round_.slot = job_.next;
    round_.base_root = job_.base_root;
    round_.config_hash = job_.config_hash;
    round_.epsilon_nano = spec_.privacy.epsilon_per_round_nano;
    for (std::size_t i = 0; i < members; ++i) {
      protocol::MemberSlot member;
      member.member = test_key(static_cast<std::uint8_t>(99 - i)).node_id();
      member.round_key = crypto::x25519_public(member_secret(i));
      round_.members.push_back(member);
    }
    round_.cohort.resize(1);
    round_.cohort[0].worker = worker_->id();
    round_.cohort[0].data_root = enrol->data_root;
    round_.cohort[0].record_count = enrol->record_count;
    put_round(protocol::RoundPhase::committing);
  }
  // Up to the reveal phase; returns the commitment.
  Digest commit() {
    answer_train(1.0f);
    const auto record = take_commit();
    EXPECT_TRUE(record.has_value()) << said();
    if (!record) return {};
    round_.cohort[0].commitment = record->commitment;
    put_round(protocol::RoundPhase::revealing);
    return record->commitment;
  }
  // Up to the revealed update being final.
  protocol::Reveal deliver() {
    commit();
    auto reveal = take_reveal();
    EXPECT_TRUE(reveal.has_value()) << said();
    round_.cohort[0].reveal = Digest{};
    put_round(protocol::RoundPhase::checking);
    return reveal.value_or(protocol::Reveal{});
  }
  static crypto::X25519Secret member_secret(std::size_t index) {
    std::array<std::uint8_t, 32> bytes;
    bytes.fill(static_cast<std::uint8_t>(0x40 + index));
    return crypto::X25519Secret(bytes);
  }
  protocol::SealContext context() const {
    return {ledger_.chain(), job_.id, round_.slot, worker_->id()};
  }
  std::string opening_name() const { return opening_item(job_.id, round_.slot); }
  StoredOpening stored_opening() const {
    const auto stored = codec::decode<StoredOpening>(disk_.at(opening_name()));
    EXPECT_TRUE(stored.ok());
    return stored.ok() ? *stored : StoredOpening{};
  }
  // The update under way, read with what is on this worker's own disk.
  ReadUpdate own_update() const {
    const auto stored = stored_opening();
    return read_update(blobs_.at(stored.ciphertext_root), protocol::ContentKey(stored.content_key));
  }
  Digest commitment_of(const ReadUpdate& update) const {
    return protocol::commitment(ledger_.chain(), job_.id, round_.slot, round_.base_root,
                                worker_->id(), round_.cohort[0].data_root, update.digest,
                                update.header.trace_root, update.header.salt);
  }

  const NodeId kCoordinator = test_key(99).node_id();
  Instant now_{1'700'000'000'000};
  ConsentPolicy policy_;
  CountingRandom random_{5};
  ScriptedLedger ledger_;
  std::map<std::string, Bytes> disk_;
  std::map<Digest, Bytes> blobs_;
  std::unique_ptr<Worker> worker_;
  bool linked_ = false;
  std::optional<std::size_t> die_after_;

  std::vector<Effect> all_;
  std::vector<protocol::Message> sent_;
  std::deque<trainer::Request> tasks_;
  std::vector<FetchBlob> fetches_;
  std::set<Digest> kept_;
  std::vector<std::uint32_t> bulk_ports_;
  std::vector<std::uint64_t> cancelled_;
  std::vector<std::string> disconnects_;
  std::vector<Log> log_;

  protocol::JobSpec spec_;
  protocol::JobState job_;
  protocol::RoundState round_;
  Bytes base_;
};

}  // namespace fedmesh::worker
