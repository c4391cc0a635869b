// A scripted coordinator around one worker: a ledger whose state the test writes by hand, with real
// signatures, certificates and proofs; a trainer that answers what the test says; a disk that is a
// map. Time moves only when the test says so.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/proof.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/state.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "worker/worker.h"

namespace fedmesh::worker {

// Secrets that differ from draw to draw and repeat from run to run.
class CountingRandom final : public SecureRandom {
 public:
  explicit CountingRandom(std::uint64_t seed) : random_(seed) {}
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
  }

 private:
  SeededRandom random_;
};

inline crypto::SigningKey test_key(std::uint8_t number) {
  return crypto::SigningKey::from_seed(crypto::Secret<32>(std::array<std::uint8_t, 32>{number}));
}

// State entries under headers of a committee of one.
class ScriptedLedger {
 public:
  ScriptedLedger() {
    genesis_.network_name = "test";
    genesis_.created_ms = 1'000;
    genesis_.committee = {key_.public_key()};
  }

  const ledger::Genesis& genesis() const { return genesis_; }
  ChainId chain() const { return ledger::chain_id(genesis_); }

  template <class T>
  void put(const std::string& key, const T& value) {
    state_.put(key, codec::encode(value));
    changed_.push_back(key);
  }

  // The next block: a certified header over the state, with what changed since the last.
  protocol::StateUpdate block(Instant now) {
    ledger::Header header;
    header.chain = chain();
    header.height = last_ ? last_->height.next() : Height{1};
    header.parent_hash = last_ ? ledger::header_hash(*last_) : Digest{chain().bytes};
    header.timestamp_ms = std::max(now.ms, last_ ? last_->timestamp_ms + 1 : now.ms);
    header.state_root = state_.root();
    header.committee_hash = header.next_committee_hash = ledger::committee_hash(genesis_.committee);
    header.proposer = key_.public_key();
    last_ = header;
    protocol::StateUpdate update{header, certify(header), {}};
    for (const auto& key : changed_) update.entries.push_back(ledger::state_entry(state_, key));
    changed_.clear();
    return update;
  }

  ledger::Certificate certify(const ledger::Header& header) const {
    const Digest hash = ledger::header_hash(header);
    const Digest session = ledger::session_id(chain(), 0, {}, header.committee_hash);
    const Bytes vote =
        ledger::vote_signed_bytes(ledger::VoteType::finalize, session, 1, header.height, hash);
    return ledger::make_certificate(ledger::VoteType::finalize, session, 1, header.height, hash, 1,
                                    {{0, key_.sign(vote)}});
  }

 private:
  crypto::SigningKey key_ = test_key(99);
  ledger::Genesis genesis_;
  ledger::State state_;
  std::vector<std::string> changed_;
  std::optional<ledger::Header> last_;
};

// Unit worker on the generated clinics, small enough to answer by hand: 12 parameters.
inline protocol::JobSpec clinics_job() {
  protocol::JobSpec spec;
  spec.name = "clinics";
  spec.schema = models::clinics_schema();
  spec.architecture.kind = models::ArchitectureKind::logistic;
  spec.architecture.input_shape = {static_cast<std::int64_t>(spec.schema.features())};
  spec.training.options.learning_rate_nano = 50'000'000;
  spec.federation.rounds = 5;
  spec.federation.enrol_ms = 60'000;
  spec.federation.commit_ms = 60'000;
  spec.federation.reveal_ms = 60'000;
  spec.federation.committee_ms = 20'000;
  spec.federation.evaluation_ms = 20'000;
  spec.privacy.fraction_bits = 16;
  return spec;
}

inline protocol::JobSpec private_clinics_job() {
  protocol::JobSpec spec = clinics_job();
  spec.privacy.mechanism = protocol::Mechanism::laplace;
  spec.privacy.clip_granules = 1 << 16;
  spec.privacy.epsilon_per_round_nano = 100'000'000;
  spec.privacy.total = {1'000'000'000, 0};
  return spec;
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() { start(); }

  // A new process with what is on disk.
  void start() {
    worker_.reset();
    tasks_.clear();
    linked_ = false;
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

  void step(const Event& event) {
    for (auto& effect : worker_->step(now_, event)) take(effect);
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
  void link() {
    linked_ = true;
    step(LinkUp{kCoordinator});
    receive(protocol::Welcome{ledger::encode_genesis(ledger_.genesis()), {0}});
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
    ledger_.put(protocol::job_key(job_.id), job_);
    block();
  }
  void put_job() { ledger_.put(protocol::job_key(job_.id), job_); }
  void put_round(protocol::RoundPhase phase) {
    round_.phase = phase;
    round_.deadline_ms = now_.ms + 60'000;
    ledger_.put(protocol::round_key(job_.id, round_.slot), round_);
    block();
  }
  // Enrols this worker and opens the first round with it, in its commit phase.
  void open_round() {
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
    round_.members.resize(1);
    round_.members[0].member = kCoordinator;
    round_.cohort.resize(1);
    round_.cohort[0].worker = worker_->id();
    round_.cohort[0].data_root = enrol->data_root;
    round_.cohort[0].record_count = enrol->record_count;
    put_round(protocol::RoundPhase::committing);
  }
  // Up to the reveal phase; returns the commitment.
  Digest commit() {
    answer_train(1.0f);
    const auto record = take_record<protocol::Commit>(ledger::RecordKind::commit);
    EXPECT_TRUE(record.has_value()) << said();
    round_.cohort[0].commitment = record->commitment;
    put_round(protocol::RoundPhase::revealing);
    return record->commitment;
  }
  protocol::OpeningStatus received(std::uint64_t bytes, std::string error = "") const {
    return {job_.id, round_.slot, bytes, std::move(error)};
  }

  const NodeId kCoordinator = test_key(99).node_id();
  Instant now_{1'700'000'000'000};
  ConsentPolicy policy_;
  CountingRandom random_{5};
  ScriptedLedger ledger_;
  std::map<std::string, Bytes> disk_;
  std::unique_ptr<Worker> worker_;
  bool linked_ = false;

  std::vector<protocol::Message> sent_;
  std::deque<trainer::Request> tasks_;
  std::vector<std::uint64_t> cancelled_;
  std::vector<std::string> disconnects_;
  std::vector<Log> log_;

  protocol::JobSpec spec_;
  protocol::JobState job_;
  protocol::RoundState round_;
  Bytes base_;
};

}  // namespace fedmesh::worker
