#include "tests/coordinator/audit/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/crypto/digest.h"
#include "coordinator/ledger/export.h"
#include "models/data/safetensors.h"

namespace fedmesh::audit {
namespace {

using ledger::RecordKind;
using protocol::RoundPhase;
using protocol::RoundState;

crypto::SigningKey key(std::uint8_t number) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = number;
  return crypto::SigningKey::from_seed(crypto::Secret<32>(seed));
}

std::uint8_t aggregator_key(std::size_t number) { return static_cast<std::uint8_t>(20 + number); }

ledger::Genesis founding(std::uint8_t nonce, std::size_t aggregators) {
  ledger::Genesis genesis;
  genesis.network_name = "audited";
  genesis.created_ms = 1'767'225'600'000;
  genesis.committee = {key(1).public_key()};
  genesis.operators = {key(1).public_key()};
  genesis.participants = {{key(1).public_key(), ledger::kCoordinator | ledger::kAggregator, "hub"},
                          {key(2).public_key(), ledger::kSubmitter, "owner"},
                          {key(3).public_key(), ledger::kWorker | ledger::kValidator, "clinic a"},
                          {key(4).public_key(), ledger::kWorker, "clinic b"}};
  for (std::size_t i = 1; i < aggregators; ++i)
    genesis.participants.push_back(
        {key(aggregator_key(i)).public_key(), ledger::kAggregator, "aggregator"});
  genesis.nonce.fill(nonce);
  return genesis;
}

models::Column column(const char* name, std::uint32_t position) {
  models::Column out;
  out.name = name;
  out.position = position;
  out.maximum_micro = 10'000'000;
  return out;
}

}  // namespace

protocol::JobSpec small_job() {
  protocol::JobSpec spec;
  spec.name = "small";
  spec.architecture = {models::ArchitectureKind::logistic, {2}, 2, {}};
  spec.schema.columns = {column("x", 0), column("y", 1)};
  spec.schema.label_name = "z";
  spec.schema.label_position = 2;
  spec.training.options.learning_rate_nano = 500'000'000;
  auto& federation = spec.federation;
  federation.rounds = 2;
  federation.max_participants = 2;
  federation.min_updates = 2;
  federation.enrol_ms = federation.commit_ms = federation.reveal_ms = federation.committee_ms =
      60'000;
  spec.privacy.mechanism = protocol::Mechanism::laplace;
  spec.privacy.clip_granules = 1 << 20;
  spec.privacy.epsilon_per_round_nano = 500'000'000;
  spec.privacy.total.epsilon_nano = 1'000'000'000;
  return spec;
}

World::World(protocol::JobSpec spec, std::uint8_t nonce, const ledger::StateMachine* machine)
    : coordinator_(key(1)), owner_(key(2)), spec_(std::move(spec)) {
  workers_.push_back(key(3));
  workers_.push_back(key(4));
  auto chain = ledger::Chain::open(founding(nonce, spec_.aggregation.aggregators),
                                   machine ? *machine : honest_, store_);
  EXPECT_TRUE(chain.ok());
  chain_ = std::move(*chain);
  auto solo = consensus::Solo::create(*chain_, coordinator_.clone());
  EXPECT_TRUE(solo.ok());
  solo_ = std::move(*solo);
  for (std::size_t i = 0; i < spec_.aggregation.aggregators; ++i)
    aggregators_.push_back(std::make_unique<Member>(
        chain_->id(), i == 0 ? coordinator_.clone() : key(aggregator_key(i)), i));
}

void World::submit(const crypto::SigningKey& author, RecordKind kind, Bytes payload) {
  pending_.push_back(ledger::sign_record(author, kind, chain_->id(), job_,
                                         chain_->next_author_seq(author.node_id(), job_),
                                         std::move(payload)));
}

void World::flush() {
  now_ = now_ + Duration(1000);
  for (const auto& effect : solo_->step(now_, consensus::Submit{std::move(pending_)})) {
    if (const auto* rejected = std::get_if<consensus::Rejected>(&effect))
      ADD_FAILURE() << "rejected: " << rejected->reason.to_string();
    EXPECT_FALSE(std::holds_alternative<consensus::Halted>(effect));
  }
  pending_.clear();
}

void World::carry_out(std::size_t number, rounds::AggregatorEffects effects) {
  Member& member = *aggregators_[number];
  for (auto& effect : effects) {
    if (const auto* note = std::get_if<rounds::Note>(&effect)) {
      ADD_FAILURE() << to_json_line(note->event);
    } else if (const auto* fetch = std::get_if<rounds::FetchUpdate>(&effect)) {
      EXPECT_TRUE(member.blobs->put(sealed_.at(fetch->root)).ok());
      carry_out(number, member.duty.arrived(now_, *chain_, fetch->root));
    } else if (const auto* drop = std::get_if<rounds::DropUpdate>(&effect)) {
      member.blobs->remove(drop->root);
    } else if (auto* compute = std::get_if<rounds::Compute>(&effect)) {
      carry_out(number,
                member.duty.done(now_, *chain_, rounds::compute(compute->task, *member.blobs)));
    } else if (auto* send = std::get_if<rounds::SubmitPayload>(&effect)) {
      if (send->kind == RecordKind::attest && attest_) {
        auto attest = protocol::decode_payload<protocol::Attest>(send->payload);
        attest_(*attest, number);
        send->payload = codec::encode(*attest);
      }
      submit(member.key, send->kind, std::move(send->payload));
    }
  }
}

void World::aggregate() {
  for (;;) {
    for (std::size_t i = 0; i < aggregators_.size(); ++i)
      carry_out(i, aggregators_[i]->duty.step(now_, *chain_));
    if (pending_.empty()) return;
    flush();
  }
}

void World::start() {
  const std::uint64_t seq = 1;
  job_ = protocol::job_id(chain_->id(), owner_.public_key(), seq, spec_);
  const Bytes initial = models::encode_safetensors(
      models::initial_parameters(spec_.architecture, spec_.initial_seed));
  for (auto& member : aggregators_) EXPECT_TRUE(member->blobs->put(initial).ok());
  say(owner_, RecordKind::job, protocol::Job{spec_});
  flush();
  for (std::size_t i = 0; i < workers_.size(); ++i)
    say(workers_[i], RecordKind::enrol,
        protocol::Enrol{crypto::sha256(as_bytes("data of worker " + std::to_string(i))), 100 + i,
                        spec_.schema.hash(), 1024, false});
  flush();
}

void World::play_round(const Play& play) {
  attest_ = play.attest;
  const protocol::Slot slot = job_state().next;
  protocol::Beacon beacon{slot, {}};
  beacon.randomness.fill(static_cast<std::uint8_t>(17 + slot.round.value));
  say(coordinator_, RecordKind::beacon, beacon);
  flush();
  aggregate();
  const auto now = [&] { return round_state(slot.round.value, slot.attempt.value); };
  commit(now(), play);
  if (now().phase == RoundPhase::committing) pass_deadline();
  if (now().phase == RoundPhase::voided) return;
  reveal(now());
  aggregate();
  if (now().phase == RoundPhase::scoring) score(now());
}

void World::commit(const RoundState& round, const Play& play) {
  for (const auto& slot : round.cohort) {
    const std::size_t worker = worker_of(slot.worker);
    if (play.silent.contains(worker)) continue;
    const auto plain = update(round, worker);
    say(workers_[worker], RecordKind::commit,
        protocol::Commit{round.slot, plain.commitment(chain_->id(), round, slot, plain.seal())});
  }
  flush();
}

void World::reveal(const RoundState& round) {
  for (const auto& slot : round.cohort) {
    if (!slot.commitment) continue;
    const std::size_t worker = worker_of(slot.worker);
    const auto plain = update(round, worker);
    const Bytes ciphertext = plain.seal();
    const auto reveal = plain.reveal(chain_->id(), round, ciphertext);
    sealed_[reveal.ciphertext_root] = ciphertext;
    say(workers_[worker], RecordKind::reveal, reveal);
  }
  flush();
}

void World::score(const RoundState& round) {
  const protocol::Score score{450'000, 83, 100};
  std::array<std::uint8_t, 32> salt{};
  salt.fill(9);
  for (const auto& slot : round.validators)
    say(workers_[worker_of(slot.validator)], RecordKind::score_commit,
        protocol::ScoreCommit{round.slot, protocol::score_commitment(chain_->id(), job_, round.slot,
                                                                     slot.validator, score, salt)});
  flush();
  for (const auto& slot : round.validators)
    say(workers_[worker_of(slot.validator)], RecordKind::score_reveal,
        protocol::ScoreReveal{round.slot, score, salt});
  flush();
}

void World::stop_job(const std::string& reason) {
  say(owner_, RecordKind::stop, protocol::Stop{reason});
  flush();
}

void World::pass_deadline() {
  const auto deadline = chain_->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  now_ = *deadline;
  solo_->step(now_, consensus::Tick{});
}

rounds::PlainUpdate World::update(const RoundState& round, std::size_t worker) const {
  rounds::PlainUpdate out;
  out.worker = workers_[worker].node_id();
  out.examples = 100 + worker;
  out.seed_share.fill(static_cast<std::uint8_t>(50 + worker));
  out.salt.fill(static_cast<std::uint8_t>(70 + worker));
  out.content_key.fill(static_cast<std::uint8_t>(90 + worker));
  out.content_key[0] = static_cast<std::uint8_t>(round.slot.round.value);
  out.content_key[1] = static_cast<std::uint8_t>(round.slot.attempt.value);
  out.values.resize(rounds::update_dimension(spec_, round.kind));
  for (std::size_t i = 0; i < out.values.size(); ++i)
    out.values[i] = static_cast<std::int32_t>(1000 * (worker + 1) + 4 * i);
  return out;
}

ledger::Record World::commitment(std::size_t worker, std::uint8_t number) {
  Digest digest;
  digest.bytes[0] = number;
  return ledger::sign_record(workers_[worker], RecordKind::commit, chain_->id(), job_,
                             1000 + number,
                             codec::encode(protocol::Commit{job_state().next, digest}));
}

void World::say_evidence(const ledger::Record& one, const ledger::Record& two) {
  protocol::Evidence evidence{ledger::encode_record(one), ledger::encode_record(two)};
  if (BytesLess()(evidence.second, evidence.first)) std::swap(evidence.first, evidence.second);
  say(owner_, RecordKind::evidence, evidence);
  flush();
}

std::size_t World::worker_of(const NodeId& node) const {
  const auto at = std::find_if(workers_.begin(), workers_.end(),
                               [&](const auto& worker) { return worker.node_id() == node; });
  EXPECT_NE(at, workers_.end());
  return static_cast<std::size_t>(at - workers_.begin());
}

protocol::JobState World::job_state() const {
  return *protocol::decode_state<protocol::JobState>(*chain_->state().get(protocol::job_key(job_)));
}

RoundState World::round_state(std::uint64_t round, std::uint64_t attempt) const {
  return *protocol::decode_state<RoundState>(
      *chain_->state().get(protocol::round_key(job_, {RoundNumber{round}, Attempt{attempt}})));
}

Bytes World::model() const {
  const auto model = aggregators_.front()->blobs->read_all(job_state().model_root, 1u << 30);
  return model.ok() ? *model : Bytes{};
}

Bytes World::export_bytes() const {
  std::ostringstream out;
  EXPECT_TRUE(ledger::write_export(out, *chain_).ok());
  return to_bytes(as_bytes(out.str()));
}

AuditInput World::input() const {
  return {model(), "model.safetensors", export_bytes(), "ledger.export", std::nullopt};
}

}  // namespace fedmesh::audit
