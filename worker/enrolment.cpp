// One answer per job: consent, a look at the data, then an enrolment or a decline.
#include "models/data/commitment.h"
#include "models/data/source.h"
#include "worker/worker.h"

namespace fedmesh::worker {
void Worker::advance_enrolment(JobView& job) {
  Enrolment& enrolment = job.enrolment;
  if (enrolment.stage != Enrolment::Stage::undecided) return;
  const auto consent =
      check(config_.consent, config_.capabilities, *job.spec, job.state->owner, spent_nano());
  if (!consent.ok()) return decline(job, consent.error().detail);
  const auto data = data_for(job.spec->schema);
  if (!data.ok()) return decline(job, "this worker's data does not fit: " + data.error().detail);
  if (const auto fits = check_records(*job.spec, (*data)->rows()); !fits.ok())
    return decline(job, fits.error().detail);
  trainer::DescribeTask task;
  task.data.uri = config_.data_uri;
  task.data.schema = job.spec->schema;
  ++enrolment.attempts;
  enrolment.task = run_task(trainer::TaskKind::describe, codec::encode(task));
  enrolment.stage = Enrolment::Stage::describing;
}

void Worker::described(JobView& job, const trainer::Response& response) {
  Enrolment& enrolment = job.enrolment;
  if (!response.ok) {
    if (enrolment.attempts < kTaskAttempts && trainer_died(response)) {
      enrolment.stage = Enrolment::Stage::undecided;
      return note("trainer.failed", &job, "reading the data failed, again: " + response.error);
    }
    return decline(job, "the trainer cannot read the data: " + response.error);
  }
  const auto description = trainer::decode_task<trainer::DescribeResult>(response.body);
  if (!description.ok() || description->schema_hash != job.spec->schema.hash())
    return decline(job, "the trainer answered something else than was asked");
  if (const auto root = compute_data_root(job); !root.ok())
    return decline(job, root.error().detail);
  const std::uint64_t rows = data_.rows();
  if (rows == 0 || description->rows != rows)
    return decline(job, "the data has " + std::to_string(rows) + " records here and " +
                            std::to_string(description->rows) + " in the trainer");
  protocol::Enrol enrol;
  enrol.data_root = *job.data_root;
  enrol.record_count = rows;
  enrol.schema_hash = job.spec->schema.hash();
  enrol.memory_mb = config_.capabilities.memory_mb;
  enrol.gpu = config_.capabilities.gpu;
  enrolment.stage = Enrolment::Stage::answered;
  grant(job);
  submit(ledger::RecordKind::enrol, job.id, codec::encode(enrol));
  note("job.enrolled", &job, "enrolling with " + std::to_string(rows) + " records");
}

// The reason is for this worker's owner; the ledger sees that it declined and nothing else.
void Worker::decline(JobView& job, const std::string& reason) {
  job.enrolment.stage = Enrolment::Stage::answered;
  job.enrolment.declined = true;
  submit(ledger::RecordKind::decline, job.id, codec::encode(protocol::Decline{true}));
  note("job.declined", &job, "declined: " + reason);
}

// Jobs with one schema share the data set; of several schemas the last one used is kept.
Result<const models::Dataset*> Worker::data_for(const models::Schema& schema) {
  const Digest hash = schema.hash();
  if (data_schema_ == hash) return &data_;
  FM_TRY(const auto source, models::DataSource::parse(config_.data_uri));
  FM_TRY(auto loaded, models::load(source, schema));
  data_ = std::move(loaded);
  data_schema_ = hash;
  return &data_;
}

Result<void> Worker::compute_data_root(JobView& job) {
  if (job.data_root) return {};
  FM_TRY(const models::Dataset* data, data_for(job.spec->schema));
  job.data_root = models::data_root(*data, job.id, data_secret_);
  return {};
}

// What is granted counts from here on, whether or not the job spends it.
void Worker::grant(const JobView& job) {
  if (!job.spec->is_private()) return;
  granted_[job.id] = job.spec->privacy.total.epsilon_nano;
  persist_grants();
}

// An ended job has spent what its ledger state says, and at least what this worker opened; only
// then the rest is free again.
void Worker::settle_grant(const JobView& job) {
  const auto found = granted_.find(job.id);
  if (found == granted_.end()) return;
  std::int64_t spent = found->second;
  if (const auto accountant = privacy::Accountant::from_state(job.state->privacy); accountant.ok())
    spent = std::min(spent, accountant->epsilon_spent_nano());
  std::int64_t own = 0;  // basic composition: never less than what was opened
  for (const OpenedRound& round : opened_[job.id]) own += round.epsilon_nano;
  spent = std::max(spent, std::min(own, found->second));
  granted_.erase(found);
  opened_.erase(job.id);
  ended_epsilon_nano_ += std::min(spent, INT64_MAX - ended_epsilon_nano_);
  persist_grants();
}

// Before an opening leaves: its round costs what the signed job says, and all that were opened stay
// within the job's budget, whatever the ledger's state claims. Counted once per slot, on disk
// before the opening is sent.
Result<void> Worker::charge_opening(const JobView& job) {
  if (!job.spec->is_private()) return {};
  const auto& spec = *job.spec;
  const bool query = job.round->kind == protocol::RoundKind::standardisation;
  const std::int64_t epsilon =
      query ? spec.preprocessing.epsilon_nano : spec.privacy.epsilon_per_round_nano;
  if (job.round->epsilon_nano != epsilon)
    return invalid_argument("the round charges another epsilon than the job says");
  const std::uint64_t sensitivity = query ? (2 * spec.schema.numeric_features().size())
                                                << spec.preprocessing.fraction_bits
                                          : static_cast<std::uint64_t>(spec.privacy.clip_granules);
  auto& opened = opened_[job.id];
  for (const OpenedRound& round : opened)
    if (round.slot == job.round->slot) return {};
  FM_TRY(auto accountant, privacy::Accountant::create(spec.privacy.total));
  for (const OpenedRound& round : opened)
    FM_TRY_VOID(accountant.reserve(round.epsilon_nano, round.sensitivity_granules));
  FM_TRY_VOID(accountant.reserve(epsilon, sensitivity));
  opened.push_back({job.round->slot, epsilon, sensitivity});
  persist_grants();
  return {};
}

// A round that became void before its set froze has released nothing.
void Worker::release_opening(const JobView& job) {
  if (!job.round || job.round->phase != protocol::RoundPhase::voided || job.round->charged) return;
  const auto opened = opened_.find(job.id);
  if (opened == opened_.end()) return;
  const auto released = std::erase_if(
      opened->second, [&](const OpenedRound& round) { return round.slot == job.round->slot; });
  if (released > 0) persist_grants();
}

}  // namespace fedmesh::worker
