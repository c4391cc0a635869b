// A worker's share of a round: fetch, compute, seal, commit, reveal.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "privacy/clip.h"
#include "privacy/fixed_point.h"
#include "worker/worker.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundKind;
using protocol::RoundPhase;

constexpr std::uint64_t kHeaderSlack = 1u << 20;  // of a safetensors file

// A base holds up to three vectors: parameters, their mean over rounds, optimiser state; in double.
std::uint64_t model_bytes_max(const protocol::JobSpec& spec) {
  return models::elements(spec.architecture.layout()) * 24 + kHeaderSlack;
}

std::uint64_t standardisation_bytes_max(const protocol::JobSpec& spec) {
  return spec.schema.numeric_features().size() * 16 + kHeaderSlack;
}

bool is_statistics(const JobView& job) { return job.round->kind == RoundKind::standardisation; }
bool is_record_step(const JobView& job) {
  return job.spec->privacy.unit == protocol::PrivacyUnit::record;
}

// Nothing but int32 bounds it; with a clip, check_records() has ruled out that it is cut.
bool is_unbounded_sum(const JobView& job) {
  return !is_statistics(job) && is_record_step(job) && job.spec->privacy.clip_granules == 0;
}

bool reaches_the_end(ByteView int32s) {
  using Limits = std::numeric_limits<std::int32_t>;
  for (std::size_t at = 0; at + 4 <= int32s.size(); at += 4) {
    const auto value = static_cast<std::int32_t>(load_le32(int32s.subspan(at)));
    if (value == Limits::max() || value == Limits::min()) return true;
  }
  return false;
}

std::size_t dimension(const JobView& job) {
  return is_statistics(job) ? 2 * job.spec->schema.numeric_features().size()
                            : models::elements(job.spec->architecture.layout());
}

// Of the order of examples only; distinct for every share.
std::uint64_t training_seed(const JobView& job, const NodeId& worker) {
  const Digest digest = crypto::Blake2b("fedmesh/training-seed/v1")
                            .add(job.id)
                            .add(job.round->slot.round)
                            .add(worker)
                            .finish();
  return load_le64(digest.view());
}

// A delta that is not finite becomes the zero vector, a value beyond the grid its largest one.
void bound_delta(std::vector<float>& delta, unsigned fraction_bits) {
  const bool finite =
      std::all_of(delta.begin(), delta.end(), [](float value) { return std::isfinite(value); });
  const float limit = std::ldexp(1.0f, 30 - static_cast<int>(fraction_bits));
  for (float& value : delta) value = finite ? std::clamp(value, -limit, limit) : 0.0f;
}

}  // namespace

const protocol::CohortSlot* Worker::my_slot(const JobView& job) const {
  if (!job.round) return nullptr;
  for (const auto& slot : job.round->cohort)
    if (slot.worker == id_) return &slot;
  return nullptr;
}

// The whole life of the duty in one place: what the round's phase asks for next.
void Worker::advance_training(JobView& job) {
  using Stage = TrainingDuty::Stage;
  const protocol::CohortSlot* slot = my_slot(job);
  if (slot == nullptr || protocol::is_over(job.round->phase)) return;
  if (!job.training) {
    if (job.round->phase < RoundPhase::committing || job.round->phase > RoundPhase::checking)
      return;
    begin_training(job, *slot);
  }
  TrainingDuty& duty = *job.training;
  if (duty.stage == Stage::abandoned || duty.stage == Stage::delivered) return;
  const bool too_late = duty.stage <= Stage::committing && !slot->commitment &&
                        (job.round->phase > RoundPhase::committing || past_deadline(job));
  if (too_late) return abandon_training(job, "the commit deadline has passed");
  if (duty.stage == Stage::fetching) fetch_and_compute(job, *slot);
  if (duty.stage == Stage::committing && slot->commitment) {
    outbox_.drop(job.id, ledger::RecordKind::commit);
    if (*slot->commitment != duty.commitment)
      return abandon_training(job,
                              "the ledger has another commitment under this worker's key: is "
                              "the key used twice?");
    duty.stage = Stage::committed;
    note("round.committed", &job, "committed, waiting for the others");
  }
  if (duty.stage == Stage::committed || duty.stage == Stage::revealing) reveal(job, *slot);
}

// Goes on with what an earlier process left, checks that the round is the one that was agreed to.
void Worker::begin_training(JobView& job, const protocol::CohortSlot& slot) {
  using Stage = TrainingDuty::Stage;
  job.training.emplace();
  TrainingDuty& duty = *job.training;
  const auto restored = restored_.find(opening_item(job.id, job.round->slot));
  if (restored != restored_.end()) {
    const auto stored = codec::decode<StoredOpening>(restored->second);
    crypto::wipe(restored->second);
    restored_.erase(restored);
    restored_roots_.erase(opening_item(job.id, job.round->slot));
    if (!stored.ok() || stored->job != job.id || stored->slot != job.round->slot)
      return abandon_training(job, "the stored opening is damaged");
    duty.commitment = stored->commitment;
    duty.ciphertext_root = stored->ciphertext_root;
    duty.length = stored->length;
    duty.content_key = protocol::ContentKey(stored->content_key);
    duty.stage = Stage::committing;
    if (!slot.commitment && job.round->phase == RoundPhase::committing)
      submit(ledger::RecordKind::commit, job.id,
             codec::encode(protocol::Commit{job.round->slot, duty.commitment}));
    return note("round.resumed", &job, "going on with the update that was computed before");
  }
  if (slot.commitment)
    return abandon_training(job, "its opening is lost, and a second commitment would be evidence");
  if (!config_.consent.works_at(now_))
    return abandon_training(job, "it is outside the hours that this worker works (--hours)");
  if (job.round->config_hash != job.state->config_hash)
    return abandon_training(job, "the round has another configuration than the job");
  if (job.round->members.empty())
    return abandon_training(job, "the round has no aggregator committee");
  if (job.round->slot == job.state->next && job.state_height == job.round_height &&
      job.round->base_root != job.state->base_root)
    return abandon_training(job, "the round starts from another model than the job's");
  if (const auto root = compute_data_root(job); !root.ok())
    return abandon_training(job, "the data cannot be read: " + root.error().detail);
  if (*job.data_root != slot.data_root)
    return abandon_training(job, "the data has changed since this worker enrolled with it");
}

void Worker::fetch_and_compute(JobView& job, const protocol::CohortSlot& slot) {
  if (job.round->phase != RoundPhase::committing || slot.commitment) return;
  TrainingDuty& duty = *job.training;
  trainer::DataView data;
  data.uri = config_.data_uri;
  data.schema = job.spec->schema;
  const auto& privacy = job.spec->privacy;
  if (is_statistics(job)) {
    const trainer::StatisticsTask task{data, job.spec->preprocessing.fraction_bits};
    duty.task = run_task(trainer::TaskKind::statistics, codec::encode(task));
    duty.stage = TrainingDuty::Stage::computing;
    return note("round.computing", &job, "computing the sums for standardisation");
  }
  auto standardisation = standardisation_of(job);
  if (!standardisation.ok()) return abandon_training(job, standardisation.error().detail);
  const Bytes* model = base_model(job);
  if (!*standardisation || model == nullptr) return;  // being fetched
  data.standardisation = std::move(**standardisation);
  data.input_scale_nano = job.spec->training.input_scale_nano;
  if (is_record_step(job)) {
    // Without noise a clip is optional; the kernel then takes the widest that int32 allows.
    const std::int64_t clip = privacy.clip_granules > 0 ? privacy.clip_granules
                                                        : std::numeric_limits<std::int32_t>::max();
    const trainer::GradientTask task{std::move(data), job.spec->architecture, *model,
                                     privacy.fraction_bits, clip};
    duty.task = run_task(trainer::TaskKind::gradient, codec::encode(task));
  } else {
    const trainer::TrainTask task{
        std::move(data),         job.spec->architecture, *model, job.spec->training.options,
        training_seed(job, id_), config_.device};
    duty.task = run_task(trainer::TaskKind::train, codec::encode(task));
  }
  duty.stage = TrainingDuty::Stage::computing;
  note("round.computing", &job, "training");
}

// The constants as a file; empty bytes where the job uses none; nothing while they are fetched.
Result<std::optional<Bytes>> Worker::standardisation_of(const JobView& job) {
  switch (job.spec->preprocessing.standardise) {
    case protocol::Standardise::none:
      return std::optional<Bytes>(Bytes{});
    case protocol::Standardise::bounds:
      return std::optional<Bytes>(
          models::encode_safetensors(models::to_tensors(models::from_bounds(job.spec->schema))));
    case protocol::Standardise::private_query:
      break;
  }
  if (job.state->standardisation_root.is_zero())
    return Error{ErrorCode::unavailable, "the job has no standardisation constants yet"};
  const Bytes* blob =
      blobs_.want(job.state->standardisation_root, standardisation_bytes_max(*job.spec));
  if (blob == nullptr) return std::optional<Bytes>();
  return std::optional<Bytes>(*blob);
}

// Before the first round the base is a function of the job record: nothing need be fetched.
const Bytes* Worker::base_model(JobView& job) {
  const Bytes* blob = blobs_.want(job.round->base_root, model_bytes_max(*job.spec));
  if (blob != nullptr || job.state->rounds_done != 0 || job.initial_made) return blob;
  job.initial_made = true;
  Bytes initial = models::encode_safetensors(
      models::initial_parameters(job.spec->architecture, job.spec->initial_seed));
  const Digest root = crypto::blob_root(initial);
  blobs_.put(root, std::move(initial));
  return blobs_.want(job.round->base_root, model_bytes_max(*job.spec));
}

void Worker::computed(JobView& job, const trainer::Response& response) {
  if (trainer_died(response) && ++job.training->attempts < kTaskAttempts) {
    job.training->stage = TrainingDuty::Stage::fetching;
    return note("trainer.failed", &job, "computing failed, again: " + response.error);
  }
  if (!response.ok) return abandon_training(job, "the trainer failed: " + response.error);
  std::uint64_t examples = 0;
  auto values = update_values(job, response, examples);
  if (!values.ok()) return abandon_training(job, values.error().detail);
  const protocol::CohortSlot* slot = my_slot(job);
  if (slot == nullptr || slot->commitment || job.round->phase != RoundPhase::committing ||
      past_deadline(job)) {
    crypto::wipe(*values);
    return abandon_training(job, "the commit deadline passed during training");
  }
  if (examples != slot->record_count) {
    crypto::wipe(*values);
    return abandon_training(job, "the data has changed since this worker enrolled with it");
  }
  commit(job, std::move(values).value(), examples);
}

// The trainer's answer as the granules that are committed to: of a whole delta quantised and
// clipped here, because the trainer runs foreign code in later versions.
Result<Bytes> Worker::update_values(const JobView& job, const trainer::Response& response,
                                    std::uint64_t& examples) const {
  const Error wrong = invalid_argument("the trainer answered with another number of values");
  if (is_statistics(job) || is_record_step(job)) {
    FM_TRY(auto result, trainer::decode_task<trainer::VectorResult>(response.body));
    if (result.values.size() != dimension(job) * 4) return wrong;
    if (is_unbounded_sum(job) && reaches_the_end(result.values)) {
      crypto::wipe(result.values);
      return exhausted(
          "a sum over its records does not fit 32 bits, and would be cut; the job needs a smaller "
          "privacy.fraction_bits or a privacy.clip_l1");
    }
    examples = result.examples;
    return std::move(result.values);
  }
  FM_TRY(auto result, trainer::decode_task<trainer::TrainResult>(response.body));
  FM_TRY(auto delta, trainer::floats_of(result.delta));
  crypto::wipe(result.delta);
  if (delta.size() != dimension(job)) return wrong;
  const auto& privacy = job.spec->privacy;
  // With privacy on, whether this worker commits must not depend on its data.
  if (job.spec->is_private()) bound_delta(delta, privacy.fraction_bits);
  FM_TRY(auto granules, privacy::quantise(delta, privacy.fraction_bits));
  crypto::wipe({reinterpret_cast<std::uint8_t*>(delta.data()), delta.size() * sizeof(float)});
  if (privacy.clip_granules > 0) privacy::clip_l1(std::span(granules), privacy.clip_granules);
  examples = result.examples;
  return trainer::to_le_bytes(granules);
}

// The sealed update and its key are on disk before the commitment leaves: effects are carried out
// in order.
void Worker::commit(JobView& job, Bytes values, std::uint64_t examples) {
  TrainingDuty& duty = *job.training;
  const protocol::CohortSlot* slot = my_slot(job);
  protocol::UpdateHeader header;
  header.examples = examples;
  header.values = values.size() / 4;
  header.seed_share = random_.array<32>();
  header.salt = random_.array<32>();
  duty.content_key = protocol::ContentKey::random(random_);
  Bytes sealed = protocol::seal_update(duty.content_key, header, values);
  crypto::wipe(values);
  duty.ciphertext_root = crypto::blob_root(sealed);
  duty.length = sealed.size();
  duty.commitment = protocol::commitment(
      chain_, job.id, job.round->slot, job.round->base_root, id_, slot->data_root,
      protocol::update_digest(duty.ciphertext_root, duty.length, duty.content_key),
      header.trace_root, header.salt);
  keep_blobs();  // first: a blob that nobody keeps may go at any time
  effects_.push_back(StoreBlob{duty.ciphertext_root, std::move(sealed)});
  StoredOpening stored{job.id, job.round->slot, duty.commitment, duty.ciphertext_root, duty.length,
                       {}};
  std::copy_n(duty.content_key.view().begin(), 32, stored.content_key.begin());
  persist(opening_item(job.id, job.round->slot), codec::encode(stored));
  crypto::wipe(stored.content_key);
  submit(ledger::RecordKind::commit, job.id,
         codec::encode(protocol::Commit{job.round->slot, duty.commitment}));
  duty.stage = TrainingDuty::Stage::committing;
  note("round.trained", &job, "trained, committing");
}

void Worker::reveal(JobView& job, const protocol::CohortSlot& slot) {
  TrainingDuty& duty = *job.training;
  if (job.round->phase < RoundPhase::revealing) return;
  if (slot.reveal) {
    outbox_.drop(job.id, ledger::RecordKind::reveal);
    duty.stage = TrainingDuty::Stage::delivered;
    promise_receipt(job);
    return note("round.delivered", &job, "update revealed, waiting for the aggregate");
  }
  if (job.round->phase > RoundPhase::revealing || past_deadline(job))
    return abandon_training(job, "the reveal deadline has passed");
  if (duty.reveal_sent) return;
  auto record = sealed_reveal(job);
  if (!record.ok()) return abandon_training(job, record.error().detail);
  if (const auto charged = charge_opening(job); !charged.ok())
    return abandon_training(job, charged.error().detail);
  submit(ledger::RecordKind::reveal, job.id, codec::encode(*record));
  duty.reveal_sent = true;
  duty.stage = TrainingDuty::Stage::revealing;
  note("round.revealing", &job, "revealing");
}

// The content key sealed to every member under the key that it accepted the round with.
Result<protocol::Reveal> Worker::sealed_reveal(const JobView& job) const {
  const TrainingDuty& duty = *job.training;
  protocol::Reveal record;
  record.slot = job.round->slot;
  record.suite = protocol::kSealSuite;
  record.ciphertext_root = duty.ciphertext_root;
  record.length = duty.length;
  const protocol::SealContext context{chain_, job.id, job.round->slot, id_};
  for (const auto& member : job.round->members) {
    const std::string who = "member " + member.member.short_hex() + " of the committee";
    if (!member.round_key) return corruption(who + " has no round key");
    auto key = protocol::seal_key(duty.content_key, context, member.member, *member.round_key,
                                  duty.ciphertext_root);
    if (!key.ok()) return key.error().with_context(who + " has a round key of no use");
    record.keys.push_back(std::move(key).value());
  }
  return record;
}

void Worker::abandon_training(JobView& job, const std::string& reason) {
  if (!job.training || job.training->stage == TrainingDuty::Stage::abandoned) return;
  if (job.training->stage == TrainingDuty::Stage::computing)
    effects_.push_back(CancelTask{job.training->task});
  outbox_.drop(job.id, ledger::RecordKind::commit);
  outbox_.drop(job.id, ledger::RecordKind::reveal);
  note("round.abandoned", &job, "sitting this round out: " + reason);
  job.training->stage = TrainingDuty::Stage::abandoned;
}

}  // namespace fedmesh::worker
