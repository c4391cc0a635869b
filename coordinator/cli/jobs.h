// Jobs as commands see them: prepared from a file, found by a prefix, followed round by round.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/client.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::cli {

struct PreparedJob {
  protocol::JobSpec spec;  // evaluation filled in
  Bytes evaluation_blob;   // empty where the job evaluates nothing
};
// Reads and validates the job file and loads the public validation set that it names.
Result<PreparedJob> prepare_job(const std::filesystem::path& file);

// Stores the evaluation blob at the coordinator and submits the job; returns its id.
Result<JobId> submit_job(Client& client, const PreparedJob& job);

// One job with everything that the ledger says about it.
struct JobView {
  protocol::JobState job;
  protocol::JobSpec spec;
  std::map<std::string, protocol::RoundState> rounds;  // by state key, in round order
  std::map<NodeId, protocol::NodeState> nodes;
  std::string name_of(const NodeId& node) const;  // its name, or the short id
  std::optional<protocol::RoundState> open_round() const;
};
Result<JobView> load_job(Client& client, const JobId& job);
Result<std::vector<protocol::JobState>> list_jobs(Client& client);
// By full id, by a prefix of at least 4 hex digits, or by name; invalid_argument lists what is
// ambiguous.
Result<JobId> find_job(Client& client, const std::string& text);

// Application bytes that passed between the coordinator and the workers during a round.
struct RoundTraffic {
  std::uint64_t up = 0;    // from the workers
  std::uint64_t down = 0;  // to the workers
};

struct FollowHooks {
  std::function<void(const JobView&)> on_change;  // after every update
  std::function<void(const JobView&, const protocol::RoundState&)> on_round_end;  // once per round
  std::function<Result<void>()> on_idle;  // about five times a second; an error ends following
};
struct Followed {
  JobView view;
  std::map<std::string, RoundTraffic> traffic;  // by state key of the round
};
// Follows until the job has ended. The client subscribes. `unavailable` where `timeout` passes
// first.
Result<Followed> follow_job(Client& client, const JobId& job, std::optional<Duration> timeout,
                            const FollowHooks& hooks);

}  // namespace fedmesh::cli
