// The state machine of jobs and rounds under a test's hands: records go straight into blocks, time
// moves when the test says so. Signatures are the chain's business and left out.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/crypto/digest.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/rounds/aggregate.h"
#include "coordinator/rounds/conduct.h"
#include "coordinator/rounds/rounds_machine.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {

inline crypto::SigningKey test_key(std::uint8_t number) {
  return crypto::SigningKey::from_seed(crypto::Secret<32>(std::array<std::uint8_t, 32>{number}));
}

// Logistic on two columns, Laplace noise per worker, two rounds, at least two workers.
inline protocol::JobSpec small_spec() {
  const auto column = [](const char* name, std::uint32_t position) {
    models::Column out;
    out.name = name;
    out.position = position;
    out.maximum_micro = 10'000'000;
    return out;
  };
  protocol::JobSpec spec;
  spec.name = "small";
  spec.architecture = {models::ArchitectureKind::logistic, {2}, 2, {}};
  spec.schema.columns = {column("x", 0), column("y", 1)};
  spec.schema.label_name = "z";
  spec.schema.label_position = 2;
  spec.training.options.learning_rate_nano = 500'000'000;
  auto& federation = spec.federation;
  federation.rounds = 2;
  federation.max_participants = 10;
  federation.min_updates = 2;
  federation.enrol_ms = federation.commit_ms = federation.reveal_ms = 60'000;
  federation.committee_ms = federation.evaluation_ms = 30'000;
  federation.max_void_rounds = 3;
  spec.privacy.mechanism = protocol::Mechanism::laplace;
  spec.privacy.clip_granules = 1 << 20;
  spec.privacy.epsilon_per_round_nano = 400'000'000;
  spec.privacy.total.epsilon_nano = 1'000'000'000;
  return spec;
}

inline protocol::JobSpec evaluated_spec() {
  protocol::JobSpec spec = small_spec();
  spec.evaluation = {true, crypto::blake2b(as_bytes("validation set")), 1000};
  spec.verification.validators = 3;
  return spec;
}

class MachineTest : public testing::Test {
 protected:
  static constexpr std::uint8_t kHub = 1, kOwner = 2, kOperator = 3, kStranger = 4;

  explicit MachineTest(std::size_t workers = 3, std::size_t aggregators = 1) {
    ledger::Genesis genesis;
    genesis.network_name = "test";
    genesis.created_ms = now_.ms;
    genesis.committee = {test_key(kHub).public_key()};
    genesis.operators = {test_key(kOperator).public_key()};
    const auto add = [&](std::uint8_t number, std::uint32_t roles) {
      genesis.participants.push_back({test_key(number).public_key(), roles, "node"});
    };
    add(kHub, ledger::kCoordinator | ledger::kAggregator);
    add(kOwner, ledger::kSubmitter);
    for (std::size_t i = 1; i < aggregators; ++i) add(aggregator(i), ledger::kAggregator);
    for (std::size_t i = 0; i < workers; ++i) add(worker(i), ledger::kWorker | ledger::kValidator);
    workers_ = workers;
    chain_ = ledger::chain_id(genesis);
    EXPECT_TRUE(machine_.init(genesis, state_).ok());
  }

  static std::uint8_t worker(std::size_t index) { return static_cast<std::uint8_t>(10 + index); }
  static std::uint8_t aggregator(std::size_t index) {
    return index == 0 ? kHub : static_cast<std::uint8_t>(100 + index);
  }
  static NodeId id_of(std::uint8_t number) { return test_key(number).node_id(); }

  ledger::BlockContext context() const {
    return {chain_, height_, now_, test_key(kHub).public_key()};
  }
  // One record of a block under way; on an error nothing changes.
  template <class Payload>
  Result<void> apply(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    return apply_raw(author, kind, codec::encode(payload));
  }
  Result<void> apply_raw(std::uint8_t author, ledger::RecordKind kind, Bytes payload) {
    ledger::Record record;
    record.kind = kind;
    record.chain = chain_;
    record.author = test_key(author).public_key();
    if (kind != ledger::RecordKind::admit) record.job = job_;
    record.author_seq = ++seq_;
    record.payload = std::move(payload);
    last_hash_ = ledger::record_hash(record);
    ledger::State::Savepoint savepoint(state_);
    auto applied = machine_.apply(context(), record, state_);
    if (applied.ok()) savepoint.keep();
    return applied;
  }
  void end_block() {
    machine_.end_block(context(), state_);
    height_ = height_.next();
    now_ = now_ + Duration(1000);
  }
  template <class Payload>
  void say(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    const auto applied = apply(author, kind, payload);
    EXPECT_TRUE(applied.ok()) << applied.error().to_string();
    end_block();
  }
  template <class Payload>
  ErrorCode refusal(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    const auto applied = apply(author, kind, payload);
    if (applied.ok()) {
      ADD_FAILURE() << "not refused";
      return ErrorCode::corruption;
    }
    refused_because_ = applied.error().detail;
    return applied.error().code;
  }
  // The block of a due deadline.
  void pass_deadline() {
    const auto at = machine_.next_deadline(state_);
    ASSERT_TRUE(at.has_value());
    now_ = std::max(now_, *at);
    end_block();
  }

  JobId submit(const protocol::JobSpec& spec) {
    const auto valid = spec.validate();
    EXPECT_TRUE(valid.ok()) << valid.error().detail;
    spec_ = spec;
    job_ = protocol::job_id(chain_, test_key(kOwner).public_key(), seq_ + 1, spec);
    say(kOwner, ledger::RecordKind::job, protocol::Job{spec});
    return job_;
  }
  protocol::Enrol enrolment(std::size_t index = 0) const {
    return {crypto::blake2b(Bytes{static_cast<std::uint8_t>(index)}), 100 + index,
            spec_.schema.hash(), 1024, false};
  }
  void enrol_all() {
    for (std::size_t i = 0; i < workers_; ++i)
      EXPECT_TRUE(apply(worker(i), ledger::RecordKind::enrol, enrolment(i)).ok());
    end_block();
  }
  protocol::Beacon beacon(std::uint8_t randomness = 1) const {
    protocol::Beacon out{job().next, {}};
    out.randomness.fill(randomness);
    return out;
  }
  void open() { say(kHub, ledger::RecordKind::beacon, beacon()); }
  void accept(std::uint8_t member = kHub) {
    say(member, ledger::RecordKind::accept, acceptance(member));
  }
  static crypto::X25519Public round_key(std::uint8_t member) {
    return crypto::x25519_public(crypto::X25519Secret(std::array<std::uint8_t, 32>{member, 8}));
  }
  protocol::Accept acceptance(std::uint8_t member = kHub) const {
    return {slot(), round_key(member)};
  }
  protocol::Commit commitment(std::size_t index) const {
    return {slot(), crypto::blake2b(Bytes{7, static_cast<std::uint8_t>(index),
                                          static_cast<std::uint8_t>(slot().round.value)})};
  }
  // Of the right form; whether its boxes open is no question of the state machine.
  protocol::Reveal revelation() const {
    const auto now = round();
    protocol::Reveal out{now.slot,
                         protocol::kSealSuite,
                         crypto::blake2b(as_bytes("ciphertext")),
                         protocol::sealed_bytes(update_dimension(spec_, now.kind)),
                         {}};
    for (const auto& member : now.members)
      out.keys.push_back({member.member, Bytes(protocol::kBoxBytes)});
    return out;
  }
  void commit(const std::vector<std::size_t>& who) {
    for (const std::size_t i : who)
      EXPECT_TRUE(apply(worker(i), ledger::RecordKind::commit, commitment(i)).ok());
    end_block();
  }
  void reveal(const std::vector<std::size_t>& who) {
    for (const std::size_t i : who)
      EXPECT_TRUE(apply(worker(i), ledger::RecordKind::reveal, revelation()).ok());
    end_block();
  }
  std::vector<std::size_t> everybody() const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < workers_; ++i) out.push_back(i);
    return out;
  }
  // Yes to every final reveal, but to those of `bad` workers.
  protocol::Avail avail(const std::vector<std::size_t>& bad = {}) const {
    const auto now = round();
    Bytes bitmap((now.cohort.size() + 7) / 8);
    for (std::size_t i = 0; i < now.cohort.size(); ++i) {
      const auto& place = now.cohort[i];
      const bool is_bad = std::any_of(
          bad.begin(), bad.end(), [&](std::size_t b) { return id_of(worker(b)) == place.worker; });
      if (place.reveal && !is_bad)
        bitmap[i / 8] = static_cast<std::uint8_t>(bitmap[i / 8] | (1u << (i % 8)));
    }
    return {now.slot, bitmap};
  }
  protocol::Attest attestation(const char* model = "model") const {
    protocol::Attest out;
    out.slot = slot();
    out.base_root = crypto::blake2b(as_bytes("base"));
    out.model_root = crypto::blake2b(as_bytes(model));
    out.model_sha256 = crypto::sha256(as_bytes(model));
    out.binding = protocol::attest_binding(round().config_hash, *round().reveal_set_root,
                                           out.base_root, out.model_root, out.model_sha256);
    return out;
  }
  // A whole round with one aggregator, until its attestation.
  void play_round() {
    open();
    accept();
    commit(everybody());
    reveal(everybody());
    say(kHub, ledger::RecordKind::avail, avail());
    say(kHub, ledger::RecordKind::attest, attestation());
  }
  // Submitted, everybody enrolled, the first round open and accepted.
  void start(const protocol::JobSpec& spec = small_spec()) {
    submit(spec);
    enrol_all();
    open();
    accept();
  }

  protocol::JobState job() const {
    return require<protocol::JobState>(state_, protocol::job_key(job_));
  }
  protocol::Slot slot() const { return job().next; }
  protocol::RoundState round() const { return round(slot()); }
  protocol::RoundState round(const protocol::Slot& at) const {
    return require<protocol::RoundState>(state_, protocol::round_key(job_, at));
  }
  protocol::RoundState round(std::uint64_t number, std::uint64_t attempt = 0) const {
    return round(protocol::Slot{RoundNumber{number}, Attempt{attempt}});
  }
  std::int64_t spent() const {
    return privacy::Accountant::from_state(job().privacy)->epsilon_spent_nano();
  }
  std::int64_t with_reserved() const {
    return privacy::Accountant::from_state(job().privacy)->epsilon_with_reserved_nano();
  }
  std::int64_t conduct(std::uint8_t number) const {
    return node_state(state_, id_of(number))->conduct_micro;
  }

  RoundsMachine machine_;
  ledger::State state_;
  ChainId chain_;
  Instant now_{1'700'000'000'000};
  Height height_{1};
  std::size_t workers_ = 0;
  std::uint64_t seq_ = 0;
  JobId job_;
  protocol::JobSpec spec_;
  Digest last_hash_;
  std::string refused_because_;
};

}  // namespace fedmesh::rounds
