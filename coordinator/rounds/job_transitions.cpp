#include "coordinator/rounds/job_transitions.h"

#include <algorithm>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "coordinator/rounds/election.h"
#include "coordinator/rounds/round_phases.h"
#include "coordinator/rounds/rounds_machine.h"
#include "coordinator/rounds/state_access.h"
#include "models/data/architecture.h"
#include "models/data/safetensors.h"
#include "privacy/accountant.h"

namespace fedmesh::rounds {
namespace {

using protocol::JobPhase;
using protocol::JobSpec;
using protocol::JobState;
using protocol::RoundState;

bool insert_sorted(std::vector<NodeId>& nodes, const NodeId& node) {
  const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
  if (at != nodes.end() && *at == node) return false;
  nodes.insert(at, node);
  return true;
}

Result<JobState> live_job(const ledger::State& state, const JobId& id) {
  auto job = load<JobState>(state, protocol::job_key(id));
  if (!job) return not_found("no job " + id.short_hex());
  if (is_terminal(job->phase))
    return stale("job " + id.short_hex() + " has ended: " + to_string(job->phase) + ", " +
                 job->reason);
  return std::move(*job);
}

void save(ledger::State& state, const JobState& job) {
  store(state, protocol::job_key(job.id), job);
}

std::string enrolled_text(const JobState& job, const JobSpec& spec) {
  std::string text = std::to_string(job.enrolled.size()) + " of at least " +
                     std::to_string(spec.federation.min_updates) + " workers enrolled";
  if (!job.declined.empty()) text += ", " + std::to_string(job.declined.size()) + " declined";
  return text;
}

bool all_workers_answered(const ledger::State& state, const JobState& job) {
  const auto workers = nodes_with_role(state, protocol::kRoleWorker);
  return std::all_of(workers.begin(), workers.end(), [&](const NodeId& worker) {
    return std::binary_search(job.enrolled.begin(), job.enrolled.end(), worker) ||
           std::binary_search(job.declined.begin(), job.declined.end(), worker);
  });
}

void start_drawing(JobState& job) {
  job.phase = JobPhase::drawing;
  job.reason = "waiting for the beacon of round " + std::to_string(job.next.round.value);
  job.phase_deadline_ms = 0;
}

void wait_for_workers(JobState& job, const JobSpec& spec) {
  job.phase = JobPhase::waiting_for_workers;
  job.reason = enrolled_text(job, spec);
  job.phase_deadline_ms = 0;
}

void advance_enrolment(const ledger::BlockContext& context, ledger::State& state, JobState& job,
                       const JobSpec& spec) {
  const auto& federation = spec.federation;
  const bool enough = job.enrolled.size() >= federation.min_updates;
  const bool full = job.enrolled.size() >= federation.max_participants;
  const bool answered = all_workers_answered(state, job);
  const bool due = context.timestamp.ms >= job.phase_deadline_ms;
  if (full || (enough && (answered || due))) return start_drawing(job);
  // Whoever is admitted later is still heard: the job then waits.
  if (enough || (!due && !answered)) {
    job.reason = enrolled_text(job, spec);
    return;
  }
  if (federation.on_too_few == protocol::TooFew::end)
    return end_job(state, job, JobPhase::failed, "too few workers: " + enrolled_text(job, spec));
  wait_for_workers(job, spec);
}

// What live jobs may ask of every node, and one submitter of all the others.
Result<void> check_room(const ledger::State& state, const crypto::PublicKey& owner,
                        const JobSpec& spec) {
  const auto live = live_jobs(state);
  if (live.size() >= kLiveJobsMax) return exhausted("256 jobs are live; wait for one to end");
  std::size_t own = 0;
  std::size_t parameters = models::elements(spec.architecture.layout());
  for (const JobId& id : live) {
    if (require<JobState>(state, protocol::job_key(id)).owner == owner) ++own;
    const auto other = require<JobSpec>(state, protocol::spec_key(id));
    parameters += models::elements(other.architecture.layout());
  }
  if (own >= kLiveJobsPerOwnerMax)
    return exhausted("16 jobs of yours are live; stop one, or wait for one to end");
  if (parameters > kLiveParametersMax)
    return exhausted("live jobs would have " + std::to_string(parameters) +
                     " parameters together, allowed: 2^26; wait for one to end");
  return {};
}

}  // namespace

void end_job(ledger::State& state, JobState& job, JobPhase phase, std::string reason) {
  job.phase = phase;
  job.reason = std::move(reason);
  job.phase_deadline_ms = 0;
  remove_live_job(state, job.id);
}

Result<void> apply_job(const ledger::BlockContext& context, const ledger::Record& record,
                       ledger::State& state) {
  if (!has_role(state, record.author_id(), protocol::kRoleSubmitter))
    return unauthenticated("node " + record.author_id().short_hex() +
                           " may not submit jobs; an operator admits it with the role submitter");
  FM_TRY(const auto payload, protocol::decode_payload<protocol::Job>(record.payload));
  const JobSpec& spec = payload.spec;
  FM_TRY_VOID(spec.validate());
  const JobId id = protocol::job_id(context.chain, record.author, record.author_seq, spec);
  if (record.job != id) return invalid_argument("the job record names another job id");
  FM_TRY_VOID(check_room(state, record.author, spec));

  JobState job;
  job.id = id;
  job.owner = record.author;
  job.name = spec.name;
  job.config_hash = spec.config_hash();
  job.submitted_ms = context.timestamp.ms;
  job.phase_deadline_ms = context.timestamp.ms + spec.federation.enrol_ms;
  job.next.round = RoundNumber{spec.has_query_round() ? 0u : 1u};
  if (spec.is_private()) {
    FM_TRY(const auto accountant, privacy::Accountant::create(spec.privacy.total));
    job.privacy = accountant.state();
  }
  const Bytes initial =
      models::encode_safetensors(models::initial_parameters(spec.architecture, spec.initial_seed));
  job.base_root = crypto::blob_root(initial);
  save(state, job);
  store(state, protocol::spec_key(id), spec);
  add_live_job(state, id);
  return {};
}

Result<void> apply_stop(const ledger::BlockContext& context, const ledger::Record& record,
                        ledger::State& state) {
  FM_TRY(auto job, live_job(state, record.job));
  FM_TRY(const auto stop, protocol::decode_payload<protocol::Stop>(record.payload));
  const bool printable = std::all_of(stop.reason.begin(), stop.reason.end(),
                                     [](char c) { return c >= ' ' && c <= '~'; });
  if (stop.reason.size() > 200 || !printable)
    return invalid_argument("a stop reason has at most 200 printable ASCII characters");
  if (record.author != job.owner && !state.contains(operator_key(record.author_id())))
    return unauthenticated("only the job's owner or an operator may stop it");
  const std::string reason = "stopped by " +
                             std::string(record.author == job.owner ? "its owner" : "an operator") +
                             (stop.reason.empty() ? "" : ": " + stop.reason);
  if (job.phase == JobPhase::running) void_round(context, state, job, reason);
  end_job(state, job, JobPhase::stopped, reason);
  save(state, job);
  return {};
}

Result<void> apply_enrol(const ledger::Record& record, ledger::State& state) {
  const NodeId node = record.author_id();
  FM_TRY(auto job, live_job(state, record.job));
  FM_TRY(const auto enrol, protocol::decode_payload<protocol::Enrol>(record.payload));
  if (!has_role(state, node, protocol::kRoleWorker))
    return unauthenticated("node " + node.short_hex() +
                           " is not admitted as a worker; an operator admits it");
  const auto spec = require<JobSpec>(state, protocol::spec_key(job.id));
  if (enrol.schema_hash != spec.schema.hash())
    return invalid_argument("the enrolment is for data of another schema");
  if (enrol.record_count == 0 || enrol.record_count > spec.federation.max_records)
    return invalid_argument("a worker enrols with 1 to " +
                            std::to_string(spec.federation.max_records) +
                            " records in this job (federation.max_records)");
  if (enrol.memory_mb < spec.requirements.memory_mb)
    return invalid_argument("the job asks for " + std::to_string(spec.requirements.memory_mb) +
                            " MB of memory");
  if (spec.requirements.gpu && !enrol.gpu) return invalid_argument("the job asks for a GPU");
  if (job.enrolled.size() >= kEnrolledMax) return exhausted("the job has 4096 workers");
  if (!insert_sorted(job.enrolled, node))
    return stale("node " + node.short_hex() + " is enrolled already");
  std::erase(job.declined, node);
  store(state, protocol::enrol_key(job.id, node), enrol);
  save(state, job);
  return {};
}

Result<void> apply_decline(const ledger::Record& record, ledger::State& state) {
  const NodeId node = record.author_id();
  FM_TRY(auto job, live_job(state, record.job));
  FM_TRY_VOID(protocol::decode_payload<protocol::Decline>(record.payload));
  if (!has_role(state, node, protocol::kRoleWorker))
    return unauthenticated("node " + node.short_hex() + " is not admitted as a worker");
  if (job.declined.size() >= kEnrolledMax) return exhausted("the job has 4096 answers");
  if (!insert_sorted(job.declined, node))
    return stale("node " + node.short_hex() + " has declined already");
  if (std::erase(job.enrolled, node) > 0) state.erase(protocol::enrol_key(job.id, node));
  save(state, job);
  return {};
}

Result<void> apply_beacon(const ledger::BlockContext& context, const ledger::Record& record,
                          ledger::State& state) {
  FM_TRY(auto job, live_job(state, record.job));
  FM_TRY(const auto beacon, protocol::decode_payload<protocol::Beacon>(record.payload));
  if (record.author != context.proposer)
    return unauthenticated("only the consensus committee provides the beacon");
  if (job.phase != JobPhase::drawing || beacon.slot != job.next)
    return stale("no beacon is awaited for this round");
  job.beacon = crypto::Blake2b("fedmesh/beacon/v1")
                   .add(job.beacon)
                   .add(job.id)
                   .add(job.next.round)
                   .add(job.next.attempt)
                   .add(ByteView(beacon.randomness))
                   .finish();
  const auto spec = require<JobSpec>(state, protocol::spec_key(job.id));
  open_round(context, state, job, spec);
  save(state, job);
  return {};
}

void advance_job(const ledger::BlockContext& context, const JobId& id, ledger::State& state) {
  auto job = require<JobState>(state, protocol::job_key(id));
  const auto before = codec::encode(job);
  const auto spec = require<JobSpec>(state, protocol::spec_key(id));
  switch (job.phase) {
    case JobPhase::enrolling:
      advance_enrolment(context, state, job, spec);
      break;
    case JobPhase::waiting_for_workers:
      if (draw_cohort(state, job, spec, job.beacon).size() >= spec.federation.min_updates) {
        start_drawing(job);
      } else {
        wait_for_workers(job, spec);
      }
      break;
    case JobPhase::waiting_for_aggregators:
      if (elect_committee(state, job, spec, job.beacon)) start_drawing(job);
      break;
    case JobPhase::running:
      advance_round(context, state, job, spec);
      break;
    case JobPhase::drawing:
    case JobPhase::finished:
    case JobPhase::stopped:
    case JobPhase::failed:
      break;
  }
  if (codec::encode(job) != before) save(state, job);
}

}  // namespace fedmesh::rounds
