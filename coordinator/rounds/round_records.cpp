#include "coordinator/rounds/round_records.h"

#include <algorithm>

#include "coordinator/protocol/sealing.h"
#include "coordinator/rounds/aggregate.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

constexpr std::int64_t kLossMicroMax = 1'000'000'000'000'000;  // also stands for "not finite"

using protocol::RoundPhase;
using protocol::RoundState;

std::string slot_text(const protocol::Slot& slot) {
  std::string text = "round " + std::to_string(slot.round.value);
  if (slot.attempt.value > 0) text += " attempt " + std::to_string(slot.attempt.value);
  return text;
}

// The round that the record is for, if that is the job's open one and in the wanted phase.
Result<RoundState> open_round_of(const ledger::State& state, const JobId& id,
                                 const protocol::Slot& slot, RoundPhase wanted) {
  const auto job = load<protocol::JobState>(state, protocol::job_key(id));
  if (!job) return not_found("no job " + id.short_hex());
  if (job->phase != protocol::JobPhase::running || job->next != slot)
    return stale(slot_text(slot) + " is not open");
  auto round = require<RoundState>(state, protocol::round_key(id, slot));
  if (round.phase != wanted)
    return stale(slot_text(slot) + " is in its phase '" + to_string(round.phase) +
                 "', the record is for '" + to_string(wanted) + "'");
  return round;
}

void save(ledger::State& state, const RoundState& round) {
  store(state, protocol::round_key(round.job, round.slot), round);
}

template <class Slot>
Result<Slot*> place_of(std::vector<Slot>& slots, NodeId Slot::*id, const NodeId& node,
                       const char* body) {
  const auto at =
      std::find_if(slots.begin(), slots.end(), [&](const Slot& s) { return s.*id == node; });
  if (at == slots.end())
    return unauthenticated("node " + node.short_hex() + " is not in the round's " + body);
  return &*at;
}

Error twice(const char* what) { return stale(std::string("this node's ") + what + " is final"); }

// What can be said of a sealed update without a key.
Result<void> check_sealing(const protocol::Reveal& reveal, const protocol::JobSpec& spec,
                           const RoundState& round) {
  if (reveal.suite != protocol::kSealSuite)
    return invalid_argument("updates are sealed with suite " +
                            std::to_string(protocol::kSealSuite));
  const std::uint64_t length = protocol::sealed_bytes(update_dimension(spec, round.kind));
  if (reveal.length != length)
    return invalid_argument("a sealed update of this round has " + std::to_string(length) +
                            " bytes");
  if (reveal.keys.size() != round.members.size())
    return invalid_argument("a reveal has a sealed key for each member of the committee");
  for (std::size_t i = 0; i < reveal.keys.size(); ++i)
    if (reveal.keys[i].member != round.members[i].member ||
        reveal.keys[i].box.size() != protocol::kBoxBytes)
      return invalid_argument("a reveal has a sealed key for each member, in rank order");
  return {};
}

}  // namespace

Result<void> apply_accept(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto accept, protocol::decode_payload<protocol::Accept>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, accept.slot, RoundPhase::accepting));
  FM_TRY(auto* member, place_of(round.members, &protocol::MemberSlot::member, record.author_id(),
                                "aggregator committee"));
  if (member->round_key) return twice("acceptance");
  if (!protocol::is_usable_round_key(accept.round_key))
    return invalid_argument("nothing can be sealed to this round key");
  member->round_key = accept.round_key;
  save(state, round);
  return {};
}

Result<void> apply_commit(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto commit, protocol::decode_payload<protocol::Commit>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, commit.slot, RoundPhase::committing));
  FM_TRY(auto* slot,
         place_of(round.cohort, &protocol::CohortSlot::worker, record.author_id(), "cohort"));
  if (slot->commitment) return twice("commitment");
  const bool copied = std::any_of(
      round.cohort.begin(), round.cohort.end(),
      [&](const protocol::CohortSlot& other) { return other.commitment == commit.commitment; });
  if (copied) return invalid_argument("another worker has this commitment");
  slot->commitment = commit.commitment;
  save(state, round);
  return {};
}

Result<void> apply_reveal(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto reveal, protocol::decode_payload<protocol::Reveal>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, reveal.slot, RoundPhase::revealing));
  FM_TRY(auto* slot,
         place_of(round.cohort, &protocol::CohortSlot::worker, record.author_id(), "cohort"));
  if (!slot->commitment) return stale("a reveal needs a final commitment");
  if (slot->reveal) return twice("reveal");
  FM_TRY_VOID(check_sealing(
      reveal, require<protocol::JobSpec>(state, protocol::spec_key(record.job)), round));
  slot->reveal = ledger::record_hash(record);
  save(state, round);
  return {};
}

Result<void> apply_avail(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto avail, protocol::decode_payload<protocol::Avail>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, avail.slot, RoundPhase::checking));
  FM_TRY(auto* member, place_of(round.members, &protocol::MemberSlot::member, record.author_id(),
                                "aggregator committee"));
  if (member->availed) return twice("availability");
  const std::size_t count = round.cohort.size();
  if (avail.bitmap.size() != (count + 7) / 8)
    return invalid_argument("an availability bitmap has one bit per cohort member");
  for (std::size_t i = 0; i < avail.bitmap.size() * 8; ++i) {
    if (((avail.bitmap[i / 8] >> (i % 8)) & 1) == 0) continue;
    if (i >= count || !round.cohort[i].reveal)
      return invalid_argument("an availability bit stands for a reveal that is not final");
    ++round.cohort[i].yes;
  }
  member->availed = true;
  save(state, round);
  return {};
}

Result<void> apply_attest(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto attest, protocol::decode_payload<protocol::Attest>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, attest.slot, RoundPhase::aggregating));
  FM_TRY(auto* member, place_of(round.members, &protocol::MemberSlot::member, record.author_id(),
                                "aggregator committee"));
  if (member->attested) return twice("attestation");
  if (attest.binding != protocol::attest_binding(round.config_hash, *round.reveal_set_root,
                                                 attest.base_root, attest.model_root,
                                                 attest.model_sha256))
    return invalid_argument("the attestation is not bound to this round's reveal set");
  member->attested = attest.binding;
  store(state, attest_key(record.job, attest.slot, member->member), attest);
  save(state, round);
  return {};
}

Result<void> apply_score_commit(const ledger::Record& record, ledger::State& state) {
  FM_TRY(const auto commit, protocol::decode_payload<protocol::ScoreCommit>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, commit.slot, RoundPhase::scoring));
  FM_TRY(auto* slot, place_of(round.validators, &protocol::ValidatorSlot::validator,
                              record.author_id(), "validators"));
  if (slot->commitment) return twice("score commitment");
  slot->commitment = commit.commitment;
  save(state, round);
  return {};
}

Result<void> apply_score_reveal(const ledger::BlockContext& context, const ledger::Record& record,
                                ledger::State& state) {
  FM_TRY(const auto reveal, protocol::decode_payload<protocol::ScoreReveal>(record.payload));
  FM_TRY(auto round, open_round_of(state, record.job, reveal.slot, RoundPhase::unveiling));
  FM_TRY(auto* slot, place_of(round.validators, &protocol::ValidatorSlot::validator,
                              record.author_id(), "validators"));
  if (!slot->commitment) return stale("a score needs a final commitment");
  if (slot->score) return twice("score");
  const auto& score = reveal.score;
  if (score.count == 0 || score.count > (1ull << 40) || score.correct > score.count ||
      score.loss_micro < 0 || score.loss_micro > kLossMicroMax)
    return invalid_argument("the score is out of range");
  const Digest expected = protocol::score_commitment(context.chain, record.job, reveal.slot,
                                                     slot->validator, score, reveal.salt);
  if (expected != *slot->commitment)
    return invalid_argument("the score does not open its commitment");
  slot->score = score;
  save(state, round);
  return {};
}

}  // namespace fedmesh::rounds
