// One round as a person wants it explained: its phases, who answered when, who was waited for.
// Built from the events of coordinator/round_log.h, whether they come from a log or from blocks
// that were executed again, and from what workers' logs add.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "coordinator/cli/log_reader.h"

namespace fedmesh::cli {

struct PhaseAnswer {
  std::string node;                // id in hex
  std::optional<std::int64_t> at;  // ms; none: not yet, never, or not in the log
  bool missing = false;            // the phase ended without it, or it is still awaited
};

struct Waited {
  std::vector<std::string> nodes;  // for whom alone
  std::int64_t ms = 0;
};

struct PhaseTimeline {
  std::string phase;
  std::int64_t opened_ms = 0;
  std::int64_t deadline_ms = 0;
  std::optional<std::int64_t> ended_ms;  // none: it is open
  std::string because;                   // "all answered", "quorum", "deadline", "stopped"
  std::vector<PhaseAnswer> nodes;        // in order of answering, the missing ones last
  Waited waited;                         // for the slowest, or for those who did not come
  std::size_t answered() const;
};

struct TimelineNote {
  std::int64_t at_ms = 0;
  std::string source;  // the log it is from
  std::string kind;
  std::string detail;
};
struct Replacement {
  std::int64_t at_ms = 0;
  std::string node, by;
};
struct Exclusion {
  std::string node;
  std::int64_t yes = 0, needed = 0;  // members that could check its update
};

struct RoundTimeline {
  std::string job, job_name, kind;
  std::int64_t round = 0, attempt = 0;
  std::vector<std::int64_t> attempts;  // all that are known
  std::string outcome = "open";        // finished, void
  std::string reason;                  // of a void one
  std::int64_t opened_ms = 0;
  std::optional<std::int64_t> closed_ms;
  std::int64_t in_set = 0, attestations = 0;  // of a finished one
  bool proven = false;  // from blocks that were verified, not from a log's word
  std::vector<PhaseTimeline> phases;
  std::vector<Replacement> replaced;
  std::vector<Exclusion> excluded;
  std::vector<TimelineNote> refusals, notes;  // as logs tell them, in order of time
  std::map<std::string, std::string> names;   // of nodes, by id
  std::uint64_t skipped_lines = 0;

  std::string name_of(const std::string& node) const;  // its name, or the first digits of its id
};

// Takes events of any job and round in the order of their sources. Not thread-safe.
class TimelineBuilder {
 public:
  // Without `attempt` the newest one is told.
  TimelineBuilder(std::string job, std::int64_t round, std::optional<std::int64_t> attempt)
      : job_(std::move(job)), round_(round), attempt_(attempt) {}

  void add_proven(const LoggedEvent& event);
  void add_logged(const LoggedEvent& event, const std::string& source);
  void name(const std::string& node, const std::string& name) { names_[node] = name; }
  void skipped(std::uint64_t lines) { skipped_ += lines; }

  // not_found says what is known instead. `now` ends what is still open.
  Result<RoundTimeline> build(Instant now) const;

 private:
  struct Entry {
    LoggedEvent event;
    std::string source;
  };
  bool learn(const LoggedEvent& event);  // whether it is one of the round's
  Result<std::int64_t> chosen_attempt() const;
  void add_notes(RoundTimeline& out) const;

  std::string job_;
  std::int64_t round_;
  std::optional<std::int64_t> attempt_;
  std::vector<LoggedEvent> proven_, logged_;  // of the round, of all attempts
  std::vector<Entry> notes_, rejections_;
  std::set<std::string> inside_;  // sources in which the round is open at this place
  std::set<std::int64_t> rounds_, attempts_;
  std::map<std::string, std::string> names_;
  std::uint64_t skipped_ = 0;
};

std::string to_text(const RoundTimeline& timeline);
// One object; keys are never renamed.
std::string to_json(const RoundTimeline& timeline);

}  // namespace fedmesh::cli
