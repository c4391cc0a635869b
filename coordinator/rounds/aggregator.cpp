#include "coordinator/rounds/aggregator.h"

#include <algorithm>
#include <charconv>

#include "base/crypto/blob_hash.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::RoundPhase;
using protocol::RoundState;

constexpr const char* kKeyPrefix = "round-key-";

const protocol::MemberSlot* member_of(const RoundState& round, const NodeId& node) {
  for (const auto& member : round.members)
    if (member.member == node) return &member;
  return nullptr;
}

// The job's open round, if there is one.
std::optional<RoundState> open_round_of(const ledger::State& state, const JobId& id) {
  const auto job = load<protocol::JobState>(state, protocol::job_key(id));
  if (!job || job->phase != protocol::JobPhase::running) return std::nullopt;
  return load<RoundState>(state, protocol::round_key(id, job->next));
}

std::optional<protocol::Reveal> reveal_of(const ledger::Chain& chain, const Digest& record_hash) {
  const auto* location = chain.find(record_hash);
  if (location == nullptr) return std::nullopt;
  const auto record = chain.record_at(*location);
  if (!record.ok()) return std::nullopt;
  auto reveal = protocol::decode_payload<protocol::Reveal>(record->payload);
  if (!reveal.ok()) return std::nullopt;
  return std::move(*reveal);
}

// Those with a final reveal, in the order in which the reveals became final: whoever repeats
// another one's root comes after him.
std::vector<const protocol::CohortSlot*> in_reveal_order(const ledger::Chain& chain,
                                                         const RoundState& round) {
  std::vector<std::pair<std::uint64_t, const protocol::CohortSlot*>> order;
  for (const auto& slot : round.cohort) {
    const auto* location = slot.reveal ? chain.find(*slot.reveal) : nullptr;
    if (location != nullptr) order.emplace_back(location->log_index, &slot);
  }
  std::sort(order.begin(), order.end());
  std::vector<const protocol::CohortSlot*> out;
  for (const auto& [index, slot] : order) out.push_back(slot);
  return out;
}

// "round-key-<job>-<round>-<attempt>"
std::optional<std::pair<JobId, protocol::Slot>> parse_round_key_item(std::string_view name) {
  if (!name.starts_with(kKeyPrefix)) return std::nullopt;
  name.remove_prefix(std::string_view(kKeyPrefix).size());
  const auto job = JobId::from_hex(name.substr(0, 64));
  protocol::Slot slot;
  const char* end = name.data() + name.size();
  if (!job.ok() || name.size() < 68 || name[64] != '-') return std::nullopt;
  const auto round = std::from_chars(name.data() + 65, end, slot.round.value);
  if (round.ec != std::errc() || round.ptr == end || *round.ptr != '-') return std::nullopt;
  const auto attempt = std::from_chars(round.ptr + 1, end, slot.attempt.value);
  if (attempt.ec != std::errc() || attempt.ptr != end) return std::nullopt;
  return std::pair{*job, slot};
}

template <class Payload>
SubmitPayload submit(RecordKind kind, const JobId& job, const Payload& payload) {
  return {kind, job, codec::encode(payload)};
}

}  // namespace

std::string round_key_item(const JobId& job, const protocol::Slot& slot) {
  return kKeyPrefix + job.hex() + "-" + std::to_string(slot.round.value) + "-" +
         std::to_string(slot.attempt.value);
}

Aggregator::Aggregator(const ChainId& chain, const NodeId& self, net::BlobStore& blobs,
                       SecureRandom& random, std::map<std::string, Bytes> restored)
    : chain_(chain), self_(self), blobs_(blobs), random_(random), restored_(std::move(restored)) {}

Aggregator::~Aggregator() {
  for (auto& [name, bytes] : restored_) crypto::wipe(bytes);
}

AggregatorEffects Aggregator::step(Instant now, const ledger::Chain& chain) {
  effects_.clear();
  wake_.reset();
  if (!restored_.empty()) take_restored_keys(chain);
  const auto jobs = live_jobs(chain.state());
  std::vector<JobId> ended;
  for (const auto& [job, duty] : duties_)
    if (!std::binary_search(jobs.begin(), jobs.end(), job)) ended.push_back(job);
  for (const JobId& job : ended) drop(chain, job);
  for (const JobId& job : jobs) serve(now, chain, job);
  return std::exchange(effects_, {});
}

// Keys of rounds that are still open belong to their duties. All others are erased, with what was
// sealed to them.
void Aggregator::take_restored_keys(const ledger::Chain& chain) {
  for (const JobId& job : live_jobs(chain.state())) {
    const auto round = open_round_of(chain.state(), job);
    if (!round || member_of(*round, self_) == nullptr) continue;
    const auto found = restored_.find(round_key_item(job, round->slot));
    if (found == restored_.end() || found->second.size() != 32) continue;
    crypto::X25519Secret secret;
    std::copy(found->second.begin(), found->second.end(), secret.mutable_view().begin());
    Duty& duty = duties_[job];
    duty.slot = round->slot;
    duty.public_key = crypto::x25519_public(secret);
    duty.key = std::move(secret);
    crypto::wipe(found->second);
    restored_.erase(found);
  }
  for (auto& [name, bytes] : restored_) {
    crypto::wipe(bytes);
    const auto place = parse_round_key_item(name);
    if (place) drop_updates(chain, place->first, place->second);
    if (name.starts_with(kKeyPrefix)) effects_.push_back(EraseItem{name});
  }
  restored_.clear();
}

void Aggregator::serve(Instant now, const ledger::Chain& chain, const JobId& job) {
  const auto round = open_round_of(chain.state(), job);
  const auto* self = round ? member_of(*round, self_) : nullptr;
  if (self == nullptr) return drop(chain, job);
  if (const auto old = duties_.find(job); old != duties_.end() && old->second.slot != round->slot)
    drop(chain, job);
  Duty& duty = duties_[job];
  duty.slot = round->slot;
  switch (round->phase) {
    case RoundPhase::accepting:
      return accept(now, *round, *self, duty);
    case RoundPhase::committing:
      return;
    case RoundPhase::revealing:
      return collect(now, chain, *round, duty);
    case RoundPhase::checking:
      collect(now, chain, *round, duty);
      return avail(now, *round, duty);
    case RoundPhase::aggregating:
      collect(now, chain, *round, duty);
      return aggregate(now, *round, duty);
    case RoundPhase::scoring:
    case RoundPhase::unveiling:
    case RoundPhase::finished:
    case RoundPhase::voided:
      return finish(chain, job, duty);  // nothing is computed from the updates any more
  }
}

void Aggregator::accept(Instant now, const RoundState& round, const protocol::MemberSlot& self,
                        Duty& duty) {
  if (duty.answered == round.phase || self.round_key) return;
  duty.answered = round.phase;
  // Without the base model there would be nothing to attest to, after epsilon was charged.
  if (!holds_base(round.base_root))
    return note(now, "aggregate.unable", round,
                "the base model " + round.base_root.short_hex() +
                    " is not in the blob store any more, or damaged there: this node cannot take "
                    "part in the round, and the job fails after some attempts. Put the file back "
                    "(fedmesh ledger restore of a backup with --blobs) and start again");
  if (!duty.key) {
    duty.key = crypto::X25519Secret::random(random_);
    duty.public_key = crypto::x25519_public(*duty.key);
    effects_.push_back(
        PersistItem{round_key_item(round.job, round.slot), to_bytes(duty.key->view())});
  }
  effects_.push_back(
      submit(RecordKind::accept, round.job, protocol::Accept{round.slot, duty.public_key}));
}

// Read to the end: the store drops what is damaged.
bool Aggregator::holds_base(const Digest& root) {
  if (!blobs_.holds(root)) return false;
  const auto reader = blobs_.open(root);
  if (!reader.ok()) return false;
  Bytes part(4 * crypto::kBlobLeafBytes);
  for (std::uint64_t at = 0; at < (*reader)->size(); at += part.size()) {
    const auto size = std::min<std::uint64_t>(part.size(), (*reader)->size() - at);
    if (!(*reader)->read(at, MutableByteView(part).first(size)).ok()) return false;
  }
  return true;
}

// Fetches every final reveal's ciphertext, and has checked what is there.
void Aggregator::collect(Instant now, const ledger::Chain& chain, const RoundState& round,
                         Duty& duty) {
  const auto* self = member_of(round, self_);
  const bool able = duty.key && self->round_key && duty.public_key == *self->round_key;
  if (!able) {
    if (duty.answered != round.phase && round.phase == RoundPhase::revealing) {
      duty.answered = round.phase;
      note(now, "aggregate.unable", round, "this round's key is lost: nothing can be opened here");
    }
    return;
  }
  if (!duty.view)
    duty.view = std::make_shared<const RoundView>(RoundView{
        chain_, require<protocol::JobSpec>(chain.state(), protocol::spec_key(round.job)), round});
  for (const auto* slot : in_reveal_order(chain, round)) {
    auto at = duty.updates.find(slot->worker);
    if (at == duty.updates.end()) {
      auto reveal = reveal_of(chain, *slot->reveal);
      if (!reveal) continue;  // the ledger's disk fails; the next step asks again
      Update fresh;
      fresh.reveal = std::move(*reveal);
      if (!blobs_.holds(fresh.reveal.ciphertext_root)) fetch(fresh, slot->worker);
      at = duty.updates.emplace(slot->worker, std::move(fresh)).first;
    }
    Update& update = at->second;
    if (update.stage != Update::Stage::fetching || !blobs_.holds(update.reveal.ciphertext_root))
      continue;
    update.stage = Update::Stage::checking;
    effects_.push_back(Compute{
        CheckTask{duty.view, slot->worker, update.reveal, RoundKey{self_, duty.key->clone()}}});
  }
}

// A root that was named before stays with the worker who named it first: somebody who repeats it
// must not become the one it is fetched from.
void Aggregator::fetch(Update& update, const NodeId& worker) {
  if (is_wanted(update.reveal.ciphertext_root)) return;
  update.ours = true;
  effects_.push_back(FetchUpdate{update.reveal.ciphertext_root, update.reveal.length, worker});
}

bool Aggregator::is_wanted(const Digest& root) const {
  for (const auto& [job, duty] : duties_)
    for (const auto& [worker, update] : duty.updates)
      if (update.reveal.ciphertext_root == root && update.stage != Update::Stage::refused)
        return true;
  return false;
}

// Answers as soon as every reveal is settled; half the phase is left to those that are still on
// their way.
void Aggregator::avail(Instant now, const RoundState& round, Duty& duty) {
  if (duty.answered == round.phase || member_of(round, self_)->availed) return;
  const auto stage_of = [&](const NodeId& worker) {
    const auto at = duty.updates.find(worker);
    return at == duty.updates.end() ? Update::Stage::fetching : at->second.stage;
  };
  const bool able = duty.view != nullptr;
  const bool settled = std::all_of(round.cohort.begin(), round.cohort.end(), [&](const auto& slot) {
    return !slot.reveal || stage_of(slot.worker) >= Update::Stage::checked;
  });
  const Instant latest{round.phase_opened_ms + (round.deadline_ms - round.phase_opened_ms) / 2};
  if (able && !settled && now < latest) return wake_at(latest);
  Bytes bitmap((round.cohort.size() + 7) / 8);
  for (std::size_t i = 0; i < round.cohort.size(); ++i) {
    const auto& slot = round.cohort[i];
    if (slot.reveal && stage_of(slot.worker) == Update::Stage::checked)
      bitmap[i / 8] = static_cast<std::uint8_t>(bitmap[i / 8] | (1u << (i % 8)));
  }
  effects_.push_back(
      submit(RecordKind::avail, round.job, protocol::Avail{round.slot, std::move(bitmap)}));
  duty.answered = round.phase;
}

void Aggregator::aggregate(Instant now, const RoundState& round, Duty& duty) {
  if (duty.aggregating || duty.answered == round.phase || member_of(round, self_)->attested) return;
  std::vector<OpenedUpdate> updates;
  for (const auto& slot : round.cohort) {
    if (!slot.in_set) continue;
    const auto at = duty.updates.find(slot.worker);
    if (at == duty.updates.end() || !at->second.opened) {
      if (at != duty.updates.end() && at->second.stage == Update::Stage::refused) {
        duty.answered = round.phase;
        note(
            now, "aggregate.failed", round,
            "an update of the frozen set cannot be opened here: worker " + slot.worker.short_hex());
      }
      return;  // on its way
    }
    const OpenedUpdate& opened = *at->second.opened;
    updates.push_back({opened.worker, opened.ciphertext_root, opened.key.clone(), opened.examples,
                       opened.seed_share.clone()});
  }
  duty.aggregating = true;
  auto view = std::make_shared<const RoundView>(RoundView{chain_, duty.view->spec, round});
  effects_.push_back(Compute{AggregateTask{std::move(view), std::move(updates)}});
}

AggregatorEffects Aggregator::arrived(Instant now, const ledger::Chain& chain, const Digest&) {
  return step(now, chain);
}

AggregatorEffects Aggregator::fetch_failed(Instant now, const ledger::Chain& chain,
                                           const Digest& root, const Error& reason) {
  effects_.clear();
  for (auto& [job, duty] : duties_) {
    for (auto& [worker, update] : duty.updates) {
      if (update.reveal.ciphertext_root != root || update.stage != Update::Stage::fetching)
        continue;
      update.stage = Update::Stage::refused;
      if (duty.view)
        note(now, "update.refused", duty.view->round,
             worker.short_hex() + ": it cannot be stored: " + reason.to_string());
    }
  }
  auto before = std::exchange(effects_, {});
  auto after = step(now, chain);
  before.insert(before.end(), std::make_move_iterator(after.begin()),
                std::make_move_iterator(after.end()));
  return before;
}

AggregatorEffects Aggregator::done(Instant now, const ledger::Chain& chain, ComputeDone result) {
  effects_.clear();
  if (auto* one = std::get_if<Checked>(&result)) {
    checked(now, std::move(*one));
  } else {
    aggregated(now, std::move(std::get<Aggregated>(result)));
  }
  auto before = std::exchange(effects_, {});
  auto after = step(now, chain);
  before.insert(before.end(), std::make_move_iterator(after.begin()),
                std::make_move_iterator(after.end()));
  return before;
}

void Aggregator::checked(Instant now, Checked result) {
  const auto duty = duties_.find(result.job);
  if (duty == duties_.end() || duty->second.slot != result.slot) return;
  const auto at = duty->second.updates.find(result.worker);
  if (at == duty->second.updates.end() || at->second.stage != Update::Stage::checking) return;
  Update& update = at->second;
  if (result.update.ok()) {
    update.opened = std::move(result.update).value();
    update.stage = Update::Stage::checked;
    update.ours = true;
    return;
  }
  // Damage on our own disk is no fault of the worker: the store has dropped the blob.
  const bool damaged = !blobs_.holds(update.reveal.ciphertext_root);
  update.stage = Update::Stage::refused;
  if (damaged) {
    fetch(update, result.worker);
    update.stage = Update::Stage::fetching;
  }
  note(now, damaged ? "update.damaged" : "update.refused", duty->second.view->round,
       result.worker.short_hex() + ": " + result.update.error().to_string());
}

void Aggregator::aggregated(Instant now, Aggregated result) {
  const auto at = duties_.find(result.job);
  if (at == duties_.end() || at->second.slot != result.slot || !at->second.aggregating) return;
  Duty& duty = at->second;
  if (result.attest.ok()) {
    duty.answered = RoundPhase::aggregating;
    effects_.push_back(submit(RecordKind::attest, result.job, *result.attest));
    return;
  }
  note(now, "aggregate.failed", duty.view->round, result.attest.error().to_string());
  // What the disk lost since it was checked is fetched and checked again; then once more.
  bool lost = false;
  for (auto& [worker, update] : duty.updates) {
    if (update.stage != Update::Stage::checked || blobs_.holds(update.reveal.ciphertext_root))
      continue;
    lost = true;
    update.opened.reset();
    update.stage = Update::Stage::refused;
    fetch(update, worker);
    update.stage = Update::Stage::fetching;
  }
  if (lost)
    duty.aggregating = false;
  else
    duty.answered = RoundPhase::aggregating;
}

// The key's item goes last: a process that dies in between finds it, and drops the rest.
void Aggregator::finish(const ledger::Chain& chain, const JobId& job, Duty& duty) {
  if (duty.over) return;
  duty.over = true;
  duty.key.reset();
  const auto updates = std::exchange(duty.updates, {});
  if (!updates.empty()) effects_.push_back(ForgetSum{job});
  for (const auto& [worker, update] : updates)
    if (update.ours && !is_wanted(update.reveal.ciphertext_root))
      effects_.push_back(DropUpdate{update.reveal.ciphertext_root});
  if (updates.empty())
    drop_updates(chain, job, duty.slot);  // those that an earlier process fetched
  effects_.push_back(EraseItem{round_key_item(job, duty.slot)});
  duty.view.reset();
}

void Aggregator::drop(const ledger::Chain& chain, const JobId& job) {
  const auto at = duties_.find(job);
  if (at == duties_.end()) return;
  finish(chain, job, at->second);
  duties_.erase(at);
}

// All that were revealed in the slot.
void Aggregator::drop_updates(const ledger::Chain& chain, const JobId& job,
                              const protocol::Slot& slot) {
  const auto round = load<RoundState>(chain.state(), protocol::round_key(job, slot));
  if (!round) return;
  for (const auto& worker : round->cohort) {
    const auto reveal = worker.reveal ? reveal_of(chain, *worker.reveal) : std::nullopt;
    if (reveal && !is_wanted(reveal->ciphertext_root))
      effects_.push_back(DropUpdate{reveal->ciphertext_root});
  }
}

std::set<Digest> Aggregator::pins() const {
  std::set<Digest> roots;
  for (const auto& [job, duty] : duties_)
    for (const auto& [worker, update] : duty.updates) roots.insert(update.reveal.ciphertext_root);
  return roots;
}

std::string Aggregator::status(const JobId& job) const {
  const auto at = duties_.find(job);
  if (at == duties_.end() || at->second.updates.empty()) return "";
  std::size_t checked = 0;
  std::string fetching;
  for (const auto& [worker, update] : at->second.updates) {
    if (update.stage == Update::Stage::checked) ++checked;
    if (update.stage == Update::Stage::fetching) fetching += " " + worker.short_hex();
  }
  return std::to_string(checked) + " of " + std::to_string(at->second.updates.size()) +
         " updates checked" + (fetching.empty() ? "" : ", fetching" + fetching);
}

void Aggregator::note(Instant now, const char* kind, const RoundState& round, std::string detail) {
  effects_.push_back(Note{{now,
                           kind,
                           {{"job", round.job.hex()},
                            {"round", static_cast<std::int64_t>(round.slot.round.value)},
                            {"attempt", static_cast<std::int64_t>(round.slot.attempt.value)},
                            {"detail", std::move(detail)}}}});
}

}  // namespace fedmesh::rounds
