#include "tests/sim/rogue.h"

#include "base/crypto/blob_hash.h"
#include "coordinator/rounds/aggregate.h"

namespace fedmesh::sim {

Rogue::Rogue(Federation& federation, std::size_t index, Crime crime)
    : federation_(federation), key_(federation.rogue_key(index).clone()), crime_(std::move(crime)) {
  bulk_ = std::make_unique<BulkEnd>(
      federation.world(), key_.node_id(), disk_,
      BulkEnd::Callbacks{[](const Digest&) {}, [](const Digest&, const Error&) {}});
}

void Rogue::link_up(const NodeId& peer) {
  bulk_->peer_up(peer);
  send(protocol::encode_message(
      protocol::Hello{ledger::chain_id(federation_.genesis()), "rogue", true, std::nullopt}));
}

void Rogue::link_down(const NodeId& peer) { bulk_->peer_down(peer); }

void Rogue::receive(const NodeId& peer, const Bytes& bytes, Channel channel) {
  if (channel == Channel::bulk) {
    if (crime_.serves) bulk_->receive(peer, bytes);
    return;
  }
  const auto message = protocol::decode_message(bytes);
  if (!message.ok()) return;
  if (const auto* result = std::get_if<protocol::RecordResult>(&*message);
      result && !result->height)
    refusals_.push_back(result->reason);
  const auto* update = std::get_if<protocol::StateUpdate>(&*message);
  if (update == nullptr) return;
  for (const auto& entry : update->entries) take(entry);
  if (crime_.every_message) crime_.every_message(*this);
}

void Rogue::take(const ledger::StateEntry& entry) {
  if (!entry.value) return;
  const ByteView value = *entry.value;
  if (entry.key.starts_with("spec/")) {
    const auto id = JobId::from_hex(entry.key.substr(5, 64));
    const auto spec = protocol::decode_state<protocol::JobSpec>(value);
    if (!id.ok() || !spec.ok()) return;
    Job& job = jobs_[*id];
    job.spec = *spec;
    if (std::exchange(job.enrolled, true)) return;
    protocol::Enrol enrol;
    enrol.data_root.bytes[0] = 1;
    enrol.record_count = crime_.enrols_with;
    enrol.schema_hash = spec->schema.hash();
    enrol.memory_mb = 4096;
    return submit(ledger::RecordKind::enrol, *id, codec::encode(enrol));
  }
  if (!entry.key.starts_with("round/")) return;
  if (const auto round = protocol::decode_state<protocol::RoundState>(value); round.ok())
    take_round(*round);
}

void Rogue::take_round(const protocol::RoundState& round) {
  const auto known = jobs_.find(round.job);
  if (known == jobs_.end() || !known->second.spec) return;
  for (const auto& slot : round.cohort) {
    if (slot.worker != key_.node_id()) continue;
    if (round.phase == protocol::RoundPhase::committing && known->second.committed != round.slot)
      commit(known->second, round, slot);
    if (round.phase == protocol::RoundPhase::revealing && slot.commitment &&
        known->second.revealed != round.slot)
      reveal(known->second, round);
  }
}

void Rogue::commit(Job& job, const protocol::RoundState& round, const protocol::CohortSlot& slot) {
  job.committed = round.slot;
  RogueRound plan{round, *job.spec, {}, {}};
  plan.values.assign(rounds::update_dimension(*job.spec, round.kind), 0);
  plan.header.examples = slot.record_count;
  plan.header.seed_share = federation_.secure_random().array<32>();
  plan.header.salt = federation_.secure_random().array<32>();
  if (crime_.update) crime_.update(plan);
  plan.header.values = plan.values.size();
  job.content_key = protocol::ContentKey::random(federation_.secure_random());
  const Bytes sealed = protocol::seal_update(
      job.content_key, plan.header,
      {reinterpret_cast<const std::uint8_t*>(plan.values.data()), plan.values.size() * 4});
  job.root = crypto::blob_root(sealed);
  job.length = sealed.size();
  (void)bulk_->store().put(sealed).ok();
  Digest commitment =
      protocol::commitment(ledger::chain_id(federation_.genesis()), round.job, round.slot,
                           round.base_root, key_.node_id(), slot.data_root,
                           protocol::update_digest(job.root, job.length, job.content_key),
                           plan.header.trace_root, plan.header.salt);
  if (crime_.commitment) commitment = crime_.commitment(plan, commitment);
  submit(ledger::RecordKind::commit, round.job,
         codec::encode(protocol::Commit{round.slot, commitment}));
  if (!crime_.commits_twice) return;
  commitment.bytes[5] ^= 1;
  submit(ledger::RecordKind::commit, round.job,
         codec::encode(protocol::Commit{round.slot, commitment}));
}

void Rogue::reveal(Job& job, const protocol::RoundState& round) {
  job.revealed = round.slot;
  protocol::Reveal record;
  record.slot = round.slot;
  record.suite = protocol::kSealSuite;
  record.ciphertext_root = job.root;
  record.length = job.length;
  const protocol::SealContext context{ledger::chain_id(federation_.genesis()), round.job,
                                      round.slot, key_.node_id()};
  for (const auto& member : round.members) {
    auto box =
        protocol::seal_key(job.content_key, context, member.member, *member.round_key, job.root);
    if (box.ok()) record.keys.push_back(std::move(box).value());
  }
  const RogueRound plan{round, *job.spec, {}, {}};
  if (crime_.reveal) crime_.reveal(plan, record);
  submit(ledger::RecordKind::reveal, round.job, codec::encode(record));
}

void Rogue::submit(ledger::RecordKind kind, const JobId& job, Bytes payload) {
  send(protocol::encode_message(protocol::SubmitRecord{ledger::encode_record(ledger::sign_record(
      key_, kind, ledger::chain_id(federation_.genesis()), job, ++seq_, std::move(payload)))}));
}

void Rogue::send(Bytes message, Channel channel) {
  federation_.world().send(key_.node_id(), federation_.coordinator_id(), std::move(message),
                           channel);
}

}  // namespace fedmesh::sim
