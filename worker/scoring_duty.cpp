// A validator's share of a round: score the released model on the public evaluation set, first the
// hash, then the numbers, so that nobody copies.
#include "worker/worker.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;

}  // namespace

const protocol::ValidatorSlot* Worker::my_validator_slot(const JobView& job) const {
  if (!job.round) return nullptr;
  for (const auto& slot : job.round->validators)
    if (slot.validator == id_) return &slot;
  return nullptr;
}

void Worker::advance_scoring(JobView& job) {
  using Stage = ScoringDuty::Stage;
  const protocol::ValidatorSlot* slot = my_validator_slot(job);
  if (slot == nullptr) return;
  const RoundPhase phase = job.round->phase;
  if (phase != RoundPhase::scoring && phase != RoundPhase::unveiling) return;
  if (!job.scoring) {
    job.scoring.emplace();
    const auto restored = restored_.find(score_item(job.id, job.round->slot));
    if (restored != restored_.end()) {
      auto stored = codec::decode<StoredScore>(restored->second);
      restored_.erase(restored);
      if (stored.ok() && stored->job == job.id && stored->slot == job.round->slot) {
        job.scoring->stored = *stored;
        commit_score(job);
      }
    }
    if (slot->commitment && !job.scoring->stored)
      return abandon_scoring(job, "the salt of its score is lost");
  }
  ScoringDuty& duty = *job.scoring;
  if (duty.stage == Stage::done || duty.stage == Stage::abandoned) return;
  const bool too_late = !slot->commitment && (phase > RoundPhase::scoring || past_deadline(job));
  if (too_late) return abandon_scoring(job, "the deadline for scores has passed");
  if (duty.stage == Stage::fetching) fetch_and_score(job);
  if (slot->commitment) outbox_.drop(job.id, ledger::RecordKind::score_commit);
  const bool open = duty.stage == Stage::committing && slot->commitment && !slot->score &&
                    phase == RoundPhase::unveiling;
  if (open) {
    submit(ledger::RecordKind::score_reveal, job.id,
           codec::encode(
               protocol::ScoreReveal{job.round->slot, duty.stored->score, duty.stored->salt}));
    duty.stage = Stage::unveiling;
  }
  if (slot->score) {
    outbox_.drop(job.id, ledger::RecordKind::score_reveal);
    duty.stage = Stage::done;
  }
}

void Worker::fetch_and_score(JobView& job) {
  if (!job.round->aggregate) return abandon_scoring(job, "the round has no model to score");
  auto standardisation = standardisation_of(job);
  if (!standardisation.ok()) return abandon_scoring(job, standardisation.error().detail);
  const std::uint64_t model_bytes =
      models::elements(job.spec->architecture.layout()) * 8 + (1u << 20);
  const Bytes* model = blobs_.want(job.round->aggregate->model_root, model_bytes);
  const Bytes* evaluation =
      blobs_.want(job.spec->evaluation.blob_root, job.spec->evaluation.blob_bytes);
  if (!*standardisation || model == nullptr || evaluation == nullptr) return;  // being fetched
  trainer::EvaluateTask task;
  task.data.schema = job.spec->schema;
  task.data.blob = *evaluation;
  task.data.standardisation = std::move(**standardisation);
  task.data.input_scale_nano = job.spec->training.input_scale_nano;
  task.architecture = job.spec->architecture;
  task.model = *model;
  task.device = config_.device;
  job.scoring->task = run_task(trainer::TaskKind::evaluate, codec::encode(task));
  job.scoring->stage = ScoringDuty::Stage::computing;
  note("score.computing", &job, "scoring the new model");
}

void Worker::scored(JobView& job, const trainer::Response& response) {
  if (trainer_died(response) && ++job.scoring->attempts < kTaskAttempts) {
    job.scoring->stage = ScoringDuty::Stage::fetching;
    return note("trainer.failed", &job, "scoring failed, again: " + response.error);
  }
  if (!response.ok) return abandon_scoring(job, "the trainer failed: " + response.error);
  const auto result = trainer::decode_task<trainer::EvaluateResult>(response.body);
  if (!result.ok() || result->count == 0 || result->correct > result->count)
    return abandon_scoring(job, "the trainer answered something else than was asked");
  StoredScore stored;
  stored.job = job.id;
  stored.slot = job.round->slot;
  stored.score = {result->loss_micro, result->correct, result->count};
  stored.salt = random_.array<32>();
  persist(score_item(job.id, job.round->slot), codec::encode(stored));
  job.scoring->stored = stored;
  commit_score(job);
}

void Worker::commit_score(JobView& job) {
  job.scoring->stage = ScoringDuty::Stage::committing;
  const auto* slot = my_validator_slot(job);
  if (slot->commitment || job.round->phase != RoundPhase::scoring) return;
  const auto& stored = *job.scoring->stored;
  submit(ledger::RecordKind::score_commit, job.id,
         codec::encode(protocol::ScoreCommit{
             stored.slot, protocol::score_commitment(chain_, job.id, stored.slot, id_, stored.score,
                                                     stored.salt)}));
}

void Worker::abandon_scoring(JobView& job, const std::string& reason) {
  if (!job.scoring || job.scoring->stage == ScoringDuty::Stage::abandoned) return;
  if (job.scoring->stage == ScoringDuty::Stage::computing)
    effects_.push_back(CancelTask{job.scoring->task});
  outbox_.drop(job.id, ledger::RecordKind::score_commit);
  outbox_.drop(job.id, ledger::RecordKind::score_reveal);
  note("score.abandoned", &job, "not scoring this round: " + reason);
  job.scoring->stage = ScoringDuty::Stage::abandoned;
}

}  // namespace fedmesh::worker
