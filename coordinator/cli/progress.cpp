#include "coordinator/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace fedmesh::cli {
namespace {

constexpr Duration kPlainInterval = std::chrono::seconds(2);

using protocol::RoundPhase;
using protocol::RoundState;

struct Waiting {
  std::size_t got = 0;
  std::size_t wanted = 0;
  const char* what = "";
  std::string missing;

  void count(bool here, const NodeId& node) {
    ++wanted;
    if (here) {
      ++got;
    } else {
      missing += " " + node.short_hex();
    }
  }
};

Waiting waiting_of(const RoundState& round) {
  Waiting out;
  switch (round.phase) {
    case RoundPhase::accepting:
      out.what = "acceptances";
      for (const auto& member : round.members)
        out.count(member.round_key.has_value(), member.member);
      break;
    case RoundPhase::committing:
      out.what = "commitments";
      for (const auto& slot : round.cohort) out.count(slot.commitment.has_value(), slot.worker);
      break;
    case RoundPhase::revealing:
      out.what = "reveals";
      for (const auto& slot : round.cohort)
        if (slot.commitment) out.count(slot.reveal.has_value(), slot.worker);
      break;
    case RoundPhase::checking:
      out.what = "availability answers";
      for (const auto& member : round.members) out.count(member.availed, member.member);
      break;
    case RoundPhase::aggregating:
      out.what = "attestations";
      for (const auto& member : round.members)
        out.count(member.attested.has_value(), member.member);
      break;
    case RoundPhase::scoring:
      out.what = "score commitments";
      for (const auto& slot : round.validators)
        out.count(slot.commitment.has_value(), slot.validator);
      break;
    case RoundPhase::unveiling:
      out.what = "scores";
      for (const auto& slot : round.validators)
        if (slot.commitment) out.count(slot.score.has_value(), slot.validator);
      break;
    case RoundPhase::finished:
    case RoundPhase::voided:
      break;
  }
  return out;
}

std::string name_of(const RoundState& round, const protocol::JobSpec& spec) {
  std::string text = round.kind == protocol::RoundKind::standardisation
                         ? "round 0 (standardisation)"
                         : "round " + std::to_string(round.slot.round.value) + " of " +
                               std::to_string(spec.federation.rounds);
  if (round.slot.attempt.value > 0)
    text += ", attempt " + std::to_string(round.slot.attempt.value + 1);
  return text;
}

}  // namespace

std::string describe_progress(const protocol::JobState& job, const protocol::JobSpec& spec,
                              const std::optional<RoundState>& round, Instant now) {
  if (job.phase != protocol::JobPhase::running || !round)
    return std::string(to_string(job.phase)) + ": " + job.reason;
  const Waiting waiting = waiting_of(*round);
  std::string text = name_of(*round, spec) + ": " + to_string(round->phase);
  if (waiting.wanted > 0)
    text += ", waiting: " + std::to_string(waiting.got) + " of " + std::to_string(waiting.wanted) +
            " " + waiting.what;
  if (!waiting.missing.empty()) text += ", missing" + waiting.missing;
  const std::int64_t left = std::max<std::int64_t>(0, (round->deadline_ms - now.ms + 999) / 1000);
  return text + ", " + std::to_string(left) + " s left";
}

ProgressLine::ProgressLine() : terminal_(::isatty(STDOUT_FILENO) == 1), printed_(clock_.now()) {}

void ProgressLine::show(const std::string& text) {
  if (terminal_) {
    std::printf("\r\033[K%.*s", 160, text.c_str());
    std::fflush(stdout);
    return;
  }
  // A log is not to be flooded: what lasts is worth a line.
  const Instant now = clock_.now();
  const std::string timeless = text.substr(0, text.rfind(", "));
  if (timeless == last_ || now - printed_ < kPlainInterval) return;
  last_ = timeless;
  printed_ = now;
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void ProgressLine::finish_line(const std::string& text) {
  clear();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void ProgressLine::clear() {
  if (terminal_) std::printf("\r\033[K");
  std::fflush(stdout);
}

}  // namespace fedmesh::cli
