#include "tests/sim/invariants.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/crypto/blob_hash.h"
#include "models/data/architecture.h"
#include "models/data/safetensors.h"
#include "privacy/accountant.h"
#include "privacy/noise.h"

namespace fedmesh::sim {
namespace {

using protocol::JobSpec;
using protocol::JobState;
using protocol::RoundState;

std::string text_of(const JobId& job, const protocol::Slot& slot) {
  return job.short_hex() + " round " + std::to_string(slot.round.value) + "." +
         std::to_string(slot.attempt.value);
}

std::vector<std::int64_t> sum_of(const std::vector<const SealedPlain*>& updates) {
  std::vector<std::int64_t> sum(updates.front()->values.size());
  for (const auto* update : updates)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += update->values[i];
  return sum;
}

bool holds(ByteView bytes, ByteView needle) {
  return ::memmem(bytes.data(), bytes.size(), needle.data(), needle.size()) != nullptr;
}

}  // namespace

std::vector<JobState> jobs_in(const ledger::State& state) {
  std::vector<JobState> out;
  for (const auto& [key, value] : state.prefix(protocol::kJobPrefix)) {
    auto job = protocol::decode_state<JobState>(value);
    FM_CHECK(job.ok(), "the state holds job states");
    out.push_back(std::move(job).value());
  }
  return out;
}

std::vector<RoundState> rounds_in(const ledger::State& state, const JobId& job) {
  std::vector<RoundState> out;
  for (const auto& [key, value] : state.prefix(protocol::round_prefix(job))) {
    auto round = protocol::decode_state<RoundState>(value);
    FM_CHECK(round.ok(), "the state holds round states");
    out.push_back(std::move(round).value());
  }
  return out;
}

void Invariants::fail(const std::string& what) {
  if (std::find(violations_.begin(), violations_.end(), what) == violations_.end())
    violations_.push_back(what);
}

void Invariants::message(const NodeId& from, ByteView bytes, Channel channel,
                         const ledger::State& state) {
  look_for_secrets(from, bytes);
  if (channel != Channel::control) return;
  const auto message = protocol::decode_message(bytes);
  if (!message.ok()) return;  // what hostile nodes send
  if (const auto* submit = std::get_if<protocol::SubmitRecord>(&*message))
    take_record(submit->record, state);
}

void Invariants::look_for_secrets(const NodeId& from, ByteView bytes) {
  if (!sealed_) return;
  for (const auto& plain : sealed_()) {
    const std::string place = from.short_hex() + " in " + text_of(plain.job, plain.slot);
    const ByteView values(reinterpret_cast<const std::uint8_t*>(plain.values.data()),
                          plain.values.size() * 4);
    if (holds(bytes, plain.content_key)) fail("a content key in clear: " + place);
    if (holds(bytes, plain.header.salt)) fail("a salt in clear: " + place);
    if (holds(bytes, plain.header.seed_share)) fail("a seed share in clear: " + place);
    if (holds(bytes, values)) fail("values in clear: " + place);
  }
}

void Invariants::take_record(ByteView bytes, const ledger::State& state) {
  const auto record = ledger::decode_record(bytes);
  if (!record.ok()) return;
  if (record->kind == ledger::RecordKind::commit) take_commit(*record);
  if (record->kind == ledger::RecordKind::reveal) take_reveal(*record, state);
}

void Invariants::take_commit(const ledger::Record& record) {
  const auto commit = protocol::decode_payload<protocol::Commit>(record.payload);
  if (!commit.ok()) return;
  auto& sent = sent_commitments_[{record.job, commit->slot}];
  const NodeId author = record.author_id();
  for (const auto& [node, commitment] : sent) {
    if (node == author && commitment != commit->commitment)
      fail("two commitments: " + author.short_hex() + " in " + text_of(record.job, commit->slot));
    if (node != author && commitment == commit->commitment)
      fail("copied commitment: " + text_of(record.job, commit->slot));
  }
  sent.emplace(author, commit->commitment);
}

void Invariants::take_reveal(const ledger::Record& record, const ledger::State& state) {
  const auto reveal = protocol::decode_payload<protocol::Reveal>(record.payload);
  if (!reveal.ok()) return;
  const NodeId author = record.author_id();
  const std::string place = author.short_hex() + " in " + text_of(record.job, reveal->slot);
  const Bytes* raw = state.get(protocol::round_key(record.job, reveal->slot));
  if (raw == nullptr) return fail("a reveal without a round: " + place);
  const auto round = protocol::decode_state<RoundState>(*raw);
  const bool committed =
      std::any_of(round->cohort.begin(), round->cohort.end(),
                  [&](const auto& slot) { return slot.worker == author && slot.commitment; });
  if (!committed) fail("a reveal before its commitment is final: " + place);
  for (const auto& key : reveal->keys)
    if (std::none_of(round->members.begin(), round->members.end(),
                     [&](const auto& member) { return member.member == key.member; }))
      fail("a key sealed outside the committee: " + place);
}

void Invariants::observe(Height height, const ledger::State& state) {
  if (height < height_)
    fail("the height fell from " + std::to_string(height_.value) + " to " +
         std::to_string(height.value));
  height_ = height;
  for (const auto& job : jobs_in(state)) {
    const auto spec = protocol::decode_state<JobSpec>(*state.get(protocol::spec_key(job.id)));
    FM_CHECK(spec.ok(), "the state holds the job's specification");
    check_job(job, *spec, rounds_in(state, job.id));
  }
}

void Invariants::check_job(const JobState& job, const JobSpec& spec,
                           const std::vector<RoundState>& rounds) {
  Job& known = jobs_[job.id];
  if (known.ended && known.phase != job.phase) fail("job left its end: " + job.id.short_hex());
  known.ended = protocol::is_terminal(job.phase);
  known.phase = job.phase;
  if (known.iterate.empty()) {
    const auto layout = spec.architecture.layout();
    const auto initial =
        models::flatten(models::initial_parameters(spec.architecture, spec.initial_seed), layout);
    FM_CHECK(initial.ok(), "an architecture's initial parameters have its layout");
    known.iterate = *initial;
    known.iterates_sum.assign(known.iterate.size(), 0.0);
  }
  if (spec.is_private()) check_budget(known, job, rounds);
  for (const auto& round : rounds) check_round(round, spec);
}

void Invariants::check_budget(Job& known, const JobState& job,
                              const std::vector<RoundState>& rounds) {
  const auto accountant = privacy::Accountant::from_state(job.privacy);
  if (!accountant.ok()) return fail("accountant is not sound: " + job.id.short_hex());
  const std::int64_t spent = accountant->epsilon_spent_nano();
  std::int64_t frozen = 0;
  for (const auto& round : rounds)
    if (round.reveal_set_root) frozen += round.epsilon_nano;
  if (spent < known.spent) fail("spent epsilon fell: " + job.id.short_hex());
  if (spent < frozen) fail("a frozen round is not charged: " + job.id.short_hex());
  if (accountant->epsilon_with_reserved_nano() > job.privacy.total.epsilon_nano)
    fail("epsilon exceeds the total: " + job.id.short_hex());
  known.spent = spent;
}

void Invariants::check_round(const RoundState& round, const JobSpec& spec) {
  const RoundKey key{round.job, round.slot};
  const std::string place = text_of(round.job, round.slot);
  Round& known = rounds_[key];
  std::set<NodeId> set;
  std::set<Digest> distinct;
  for (const auto& slot : round.cohort) {
    if (slot.in_set) set.insert(slot.worker);
    if (slot.reveal && !slot.commitment) fail("reveal without a commitment: " + place);
    if (!slot.commitment) {
      if (known.commitments.contains(slot.worker)) fail("a commitment vanished: " + place);
      continue;
    }
    if (!distinct.insert(*slot.commitment).second) fail("copied commitment: " + place);
    const auto [at, fresh] = known.commitments.emplace(slot.worker, *slot.commitment);
    if (!fresh && at->second != *slot.commitment) fail("a final commitment changed: " + place);
  }
  if (known.reveal_set_root && (known.reveal_set_root != round.reveal_set_root || known.set != set))
    fail("a frozen reveal set changed: " + place);
  known.reveal_set_root = round.reveal_set_root;
  known.set = std::move(set);
  if (!round.aggregate || known.aggregated) return;
  known.aggregated = true;
  if (round.kind == protocol::RoundKind::training) check_aggregate(round, spec);
}

std::optional<std::vector<const SealedPlain*>> Invariants::updates_of(const RoundState& round) {
  std::vector<const SealedPlain*> out;
  for (const auto& slot : round.cohort) {
    if (!slot.in_set) continue;
    const SealedPlain* found = nullptr;
    if (sealed_)
      for (const auto& plain : sealed_())
        if (plain.job == round.job && plain.slot == round.slot && plain.worker == slot.worker)
          found = &plain;
    if (found == nullptr) return std::nullopt;
    out.push_back(found);
  }
  return out;
}

void Invariants::check_aggregate(const RoundState& round, const JobSpec& spec) {
  const std::string place = text_of(round.job, round.slot);
  const auto updates = updates_of(round);
  if (!updates || updates->empty()) return fail("an update of the set was never sent: " + place);
  std::vector<std::int64_t> sum = sum_of(*updates);
  std::uint64_t records = 0;
  std::vector<std::array<std::uint8_t, 32>> shares;
  for (const auto* update : *updates) {
    records += update->header.examples;
    shares.push_back(update->header.seed_share);
  }
  if (spec.is_private()) {
    const auto noise = privacy::DiscreteLaplace::create(
        {static_cast<std::uint64_t>(spec.privacy.clip_granules), round.epsilon_nano});
    FM_CHECK(noise.ok(), "a valid job has a valid noise scale");
    noise->add(sum, protocol::noise_seed(chain_, round.job, round.slot, round.config_hash,
                                         *round.reveal_set_root, shares));
  }
  const bool by_record = spec.privacy.unit == protocol::PrivacyUnit::record;
  const auto denominator = static_cast<double>(by_record ? records : updates->size());
  const double step =
      by_record ? static_cast<double>(spec.training.options.learning_rate_nano) / 1e9 : 1.0;
  Job& job = jobs_[round.job];
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double mean = static_cast<double>(sum[i]) / denominator;
    const double scaled = std::ldexp(mean, -static_cast<int>(spec.privacy.fraction_bits));
    job.iterate[i] = static_cast<float>(static_cast<double>(job.iterate[i]) + step * scaled);
    job.iterates_sum[i] += static_cast<double>(job.iterate[i]);
  }
  ++job.iterates;
  std::vector<float> model = job.iterate;
  if (spec.training.average_iterates)
    for (std::size_t i = 0; i < model.size(); ++i)
      model[i] = static_cast<float>(job.iterates_sum[i] / static_cast<double>(job.iterates));
  const Digest root = crypto::blob_root(
      models::encode_safetensors(models::unflatten(model, spec.architecture.layout())));
  if (root != round.aggregate->model_root)
    fail("the aggregate is not that of its reveal set: " + place);
}

void watch(Federation& federation, Invariants& invariants, Tap more,
           std::function<void()> after_event) {
  invariants.know(
      [&federation]() -> const std::vector<SealedPlain>& { return federation.sealed(); });
  federation.world().set_tap(
      [&federation, &invariants, more = std::move(more)](const NodeId& from, const NodeId& to,
                                                         const Bytes& message, Channel channel) {
        if (federation.running())
          invariants.message(from, message, channel, federation.chain().state());
        if (more) more(from, to, message, channel);
      });
  federation.world().set_check(
      [&federation, &invariants, last = Digest{}, after = std::move(after_event)]() mutable {
        if (federation.running() && federation.chain().head_hash() != last) {
          last = federation.chain().head_hash();
          invariants.observe(federation.chain().height(), federation.chain().state());
        }
        if (after) after();
      });
}

}  // namespace fedmesh::sim
