#include "coordinator/audit/recount.h"

#include <algorithm>
#include <optional>

#include "base/crypto/blob_hash.h"
#include "coordinator/audit/job_story.h"
#include "coordinator/audit/round_recount.h"
#include "coordinator/ledger/entries.h"
#include "coordinator/ledger/merkle.h"
#include "coordinator/rounds/aggregate.h"
#include "models/data/safetensors.h"
#include "privacy/accountant.h"

namespace fedmesh::audit {
namespace {

using protocol::JobState;
using protocol::RoundKind;
using protocol::RoundPhase;
using protocol::RoundState;

template <class T>
Result<T> entry(const ledger::State& state, const std::string& key) {
  const Bytes* value = state.get(key);
  if (value == nullptr) return corruption("the state has no entry " + key);
  auto decoded = protocol::decode_state<T>(*value);
  if (!decoded.ok()) return corruption("state entry " + key + ": " + decoded.error().detail);
  return std::move(decoded).value();
}

Result<void> check_log(const std::vector<JobRecord>& records, const ledger::State& state,
                       const JobId& job) {
  FM_TRY(const auto log, entry<ledger::JobLogEntry>(state, ledger::job_log_key(job)));
  ledger::MerkleFrontier found;
  for (const JobRecord& record : records) found.append(record.hash);
  if (log.size != found.size())
    return corruption("the state counts " + std::to_string(log.size) + " records, the ledger has " +
                      std::to_string(found.size()));
  if (log.root != found.root())
    return corruption("the root of the job's log in the state is not that of its records");
  return {};
}

// Follows the rounds of a job and keeps what they leave behind.
class JobRecount {
 public:
  JobRecount(const ChainId& chain, const JobStory& story, const JobState& job, Recount& out)
      : chain_(chain), story_(story), job_(job), out_(out) {}

  Result<void> run(const ledger::State& state) {
    FM_TRY_VOID(check_spec(state));
    FM_TRY_VOID(read_rounds(state));
    for (const RoundState& round : out_.rounds)
      if (auto good = follow(round); !good.ok())
        return good.error().with_context(slot_text(round.slot));
    for (const auto& [slot, records] : story_.rounds)
      if (records.stage != Stage::open && !seen_.contains(slot))
        return corruption("records are for " + slot_text(slot) + ", which never opened");
    FM_TRY_VOID(check_result());
    return check_budget();
  }

 private:
  Result<void> check_spec(const ledger::State& state) {
    FM_TRY(const auto spec, entry<protocol::JobSpec>(state, protocol::spec_key(job_.id)));
    config_hash_ = story_.spec.config_hash();
    if (spec.config_hash() != config_hash_ || job_.config_hash != config_hash_)
      return corruption("the configuration in the state is not that of the job record");
    if (job_.owner != story_.owner || job_.name != story_.spec.name ||
        job_.submitted_ms != story_.submitted_ms)
      return corruption("owner, name or time in the state are not those of the job record");
    base_ = crypto::blob_root(models::encode_safetensors(
        models::initial_parameters(story_.spec.architecture, story_.spec.initial_seed)));
    next_.round = RoundNumber{story_.spec.has_query_round() ? 0u : 1u};
    if (story_.spec.is_private()) {
      FM_TRY(budget_, privacy::Accountant::create(story_.spec.privacy.total));
    }
    return {};
  }

  Result<void> read_rounds(const ledger::State& state) {
    for (const auto& [key, value] : state.prefix(protocol::round_prefix(job_.id))) {
      FM_TRY(RoundState round, entry<RoundState>(state, key));
      if (round.job != job_.id || key != protocol::round_key(job_.id, round.slot))
        return corruption("state entry " + key + " holds another round");
      out_.rounds.push_back(std::move(round));
    }
    return {};
  }

  Result<void> follow(const RoundState& round) {
    if (round.slot != next_) return corruption("the round that follows is " + slot_text(next_));
    if (last_phase_ && !is_over(*last_phase_))
      return corruption("it opened while another round was open");
    static const RoundStory kNone;
    const auto found = story_.rounds.find(round.slot);
    const RoundStory& records = found == story_.rounds.end() ? kNone : found->second;
    if (records.beacon == nullptr) return corruption("no beacon record opens it");
    FM_TRY(out_.attested[round.slot],
           recount_round({chain_, story_.spec, config_hash_, base_, records, round}));
    FM_TRY_VOID(pay(round));
    if (round.aggregate) take(round);
    const bool finished = round.phase == RoundPhase::finished;
    if (finished && round.kind == RoundKind::training) ++rounds_done_;
    if (finished) next_ = {round.slot.round.next(), Attempt{0}};
    if (round.phase == RoundPhase::voided) next_.attempt = next_.attempt.next();
    last_phase_ = round.phase;
    seen_.insert(round.slot);
    out_.opened[round.slot] = records.beacon->header->height;
    out_.spent_so_far[round.slot] = budget_ ? budget_->epsilon_spent_nano() : 0;
    return {};
  }

  Result<void> pay(const RoundState& round) {
    if (!budget_) return {};
    const auto sensitivity =
        static_cast<std::uint64_t>(rounds::sensitivity_granules(story_.spec, round.kind));
    FM_TRY_VOID(budget_->reserve(round.epsilon_nano, sensitivity));
    if (round.charged) return budget_->charge_reserved(round.epsilon_nano, sensitivity);
    if (is_over(round.phase)) return budget_->release(round.epsilon_nano, sensitivity);
    return {};
  }

  void take(const RoundState& round) {
    if (round.kind == RoundKind::standardisation) {
      standardisation_ = round.aggregate->model_root;
      return;
    }
    base_ = round.aggregate->base_root;
    model_root_ = round.aggregate->model_root;
    model_sha256_ = round.aggregate->model_sha256;
  }

  Result<void> check_result() {
    if (job_.base_root != base_ || job_.model_root != model_root_ ||
        job_.model_sha256 != model_sha256_ || job_.standardisation_root != standardisation_)
      return corruption("the job's newest model is not what its rounds have left");
    if (job_.rounds_done != rounds_done_)
      return corruption("the state counts " + std::to_string(job_.rounds_done) +
                        " training rounds, there are " + std::to_string(rounds_done_));
    if (job_.beacon != story_.beacon)
      return corruption("the job's beacon is not the hash chain over its beacon records");
    std::vector<NodeId> enrolled;
    for (const auto& [worker, enrolment] : *story_.enrolled) enrolled.push_back(worker);
    if (job_.enrolled != enrolled || !std::equal(job_.declined.begin(), job_.declined.end(),
                                                 story_.declined.begin(), story_.declined.end()))
      return corruption("who enrolled or declined in the state is not what the records say");
    return {};
  }

  Result<void> check_budget() {
    const privacy::AccountantState expected =
        budget_ ? budget_->state() : privacy::AccountantState{};
    if (codec::encode(expected) != codec::encode(job_.privacy))
      return corruption("the privacy budget in the state is not what the rounds cost");
    out_.epsilon_spent_nano = budget_ ? budget_->epsilon_spent_nano() : 0;
    return {};
  }

  const ChainId chain_;
  const JobStory& story_;
  const JobState& job_;
  Recount& out_;
  Digest config_hash_;
  Digest base_;
  Digest model_root_;
  Digest model_sha256_;
  Digest standardisation_;
  protocol::Slot next_;
  std::optional<RoundPhase> last_phase_;
  std::set<protocol::Slot> seen_;
  std::uint32_t rounds_done_ = 0;
  std::optional<privacy::Accountant> budget_;
};

}  // namespace

Result<Recount> recount(const ledger::Genesis& genesis, const std::vector<JobRecord>& records,
                        const ledger::State& state, const JobId& job) {
  const std::string place = "job " + job.short_hex();
  FM_TRY(const JobStory story, read_story(genesis, records, job));
  if (auto good = check_log(records, state, job); !good.ok())
    return good.error().with_context(place);
  auto job_state = entry<JobState>(state, protocol::job_key(job));
  if (!job_state.ok()) return job_state.error().with_context(place);
  if (job_state->id != job) return corruption(place + ": the state holds another job there");
  Recount out;
  out.spec = story.spec;
  out.records = records.size();
  JobRecount counting(ledger::chain_id(genesis), story, *job_state, out);
  if (auto good = counting.run(state); !good.ok()) return good.error().with_context(place);
  return out;
}

}  // namespace fedmesh::audit
