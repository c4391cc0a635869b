#include "worker/consent.h"

#include <algorithm>
#include <limits>

#include "base/crypto/digest.h"

namespace fedmesh::worker {
namespace {

std::string epsilon_text(std::int64_t nano) {
  std::string digits = std::to_string(nano % 1'000'000'000);
  digits.insert(0, 9 - digits.size(), '0');
  const std::size_t end = digits.find_last_not_of('0');
  std::string text = std::to_string(nano / 1'000'000'000);
  if (end != std::string::npos) text += "." + digits.substr(0, end + 1);
  return text;
}

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

Result<void> check_privacy(const ConsentPolicy& policy, const protocol::JobSpec& spec,
                           std::int64_t spent_nano) {
  const bool wanted =
      policy.require_privacy || policy.max_epsilon_per_job_nano || policy.max_epsilon_nano;
  if (!wanted) return {};
  if (!spec.is_private())
    return invalid_argument(
        "the job releases sums without noise, and this worker asks for privacy");
  const std::int64_t asked = spec.privacy.total.epsilon_nano;
  if (policy.max_epsilon_per_job_nano && asked > *policy.max_epsilon_per_job_nano)
    return exhausted("the job may spend epsilon " + epsilon_text(asked) +
                     ", this worker allows a job " +
                     epsilon_text(*policy.max_epsilon_per_job_nano));
  if (policy.max_epsilon_nano &&
      (spent_nano > *policy.max_epsilon_nano || asked > *policy.max_epsilon_nano - spent_nano))
    return exhausted("the job may spend epsilon " + epsilon_text(asked) + ", earlier jobs have " +
                     epsilon_text(spent_nano) + " of the " +
                     epsilon_text(*policy.max_epsilon_nano) + " that this worker allows in all");
  return {};
}

}  // namespace

bool ConsentPolicy::works_at(Instant time) const {
  if (!hours) return true;
  const auto minute = static_cast<int>(time.ms / 60'000 % (24 * 60));
  if (hours->from_minute < hours->to_minute)
    return minute >= hours->from_minute && minute < hours->to_minute;
  return minute >= hours->from_minute || minute < hours->to_minute;
}

Result<void> ConsentPolicy::set_hours(const std::string& text) {
  const Error wrong = invalid_argument("'" + text +
                                       "' are no hours; write HH:MM-HH:MM in UTC, for example "
                                       "22:00-06:00");
  if (text.size() != 11 || text[2] != ':' || text[5] != '-' || text[8] != ':') return wrong;
  const auto pair = [&](std::size_t at, int below) {
    const int tens = text[at] - '0';
    const int ones = text[at + 1] - '0';
    const bool digits = tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
    return digits && tens * 10 + ones < below ? tens * 10 + ones : -1;
  };
  const int parts[] = {pair(0, 24), pair(3, 60), pair(6, 24), pair(9, 60)};
  if (std::find(std::begin(parts), std::end(parts), -1) != std::end(parts)) return wrong;
  hours = Hours{parts[0] * 60 + parts[1], parts[2] * 60 + parts[3]};
  if (hours->from_minute != hours->to_minute) return {};
  hours.reset();
  return wrong;
}

Result<void> ConsentPolicy::allow_submitter(const std::string& hex) {
  const auto id = NodeId::from_hex(hex);
  if (!id.ok())
    return invalid_argument("'" + hex + "' is not a submitter: expected the 64 hex digits of a " +
                            "node id or a public key");
  submitters.push_back(*id);
  return {};
}

Result<void> ConsentPolicy::allow_architecture(const std::string& name) {
  using Kind = models::ArchitectureKind;
  for (const Kind kind : {Kind::logistic, Kind::mlp, Kind::cnn}) {
    if (name != models::to_string(kind)) continue;
    architectures.push_back(kind);
    return {};
  }
  return invalid_argument("'" + name + "' is not one of logistic, mlp, cnn");
}

Result<void> check(const ConsentPolicy& policy, const Capabilities& capabilities,
                   const protocol::JobSpec& spec, const crypto::PublicKey& owner,
                   std::int64_t spent_nano) {
  const NodeId submitter = crypto::node_id_of(owner.view());
  const NodeId as_key{owner.bytes};  // an entry may be a key as well as a node id
  if (!policy.submitters.empty() && !contains(policy.submitters, submitter) &&
      !contains(policy.submitters, as_key))
    return unauthenticated("submitter " + submitter.short_hex() + " is not on this worker's list");
  if (!policy.architectures.empty() && !contains(policy.architectures, spec.architecture.kind))
    return invalid_argument("architecture " +
                            std::string(models::to_string(spec.architecture.kind)) +
                            " is not on this worker's list");
  if (spec.requirements.memory_mb > capabilities.memory_mb)
    return invalid_argument("the job asks for " + std::to_string(spec.requirements.memory_mb) +
                            " MB of memory, this machine has " +
                            std::to_string(capabilities.memory_mb));
  if (spec.requirements.gpu && !capabilities.gpu)
    return invalid_argument("the job asks for a GPU, this worker has none");
  return check_privacy(policy, spec, spent_nano);
}

Result<void> check_records(const protocol::JobSpec& spec, std::uint64_t records) {
  constexpr std::uint64_t kSumMax = std::numeric_limits<std::int32_t>::max();
  const std::string have = "this worker has " + std::to_string(records) + " records, ";
  if (records > spec.federation.max_records)
    return exhausted(have + "the job takes at most " + std::to_string(spec.federation.max_records) +
                     " of one worker (federation.max_records)");
  const auto fits = [&](std::uint64_t granules, const char* advice) -> Result<void> {
    if (granules == 0 || records <= kSumMax / granules) return {};
    return exhausted(have + "of which a 32-bit sum holds at most " +
                     std::to_string(kSumMax / granules) + " in this job; it would need " + advice);
  };
  const auto clip = spec.privacy.clip_granules;
  if (spec.privacy.unit == protocol::PrivacyUnit::record && clip > 0)
    FM_TRY_VOID(fits(static_cast<std::uint64_t>(clip),
                     "a smaller privacy.fraction_bits or privacy.clip_l1"));
  if (spec.has_query_round())
    FM_TRY_VOID(fits(std::uint64_t{1} << std::min(spec.preprocessing.fraction_bits, 31u),
                     "a smaller preprocessing.fraction_bits"));
  return {};
}

Result<bool> uses_gpu(const std::string& device, const std::vector<std::string>& trainer_devices) {
  const bool has = contains(trainer_devices, std::string("cuda"));
  if (device != "cuda") return device == "auto" && has;
  if (has) return true;
  return invalid_argument(
      "--device cuda: the trainer finds no CUDA device here; start with --device auto (or cpu), or "
      "install a driver and a LibTorch with CUDA");
}

}  // namespace fedmesh::worker
