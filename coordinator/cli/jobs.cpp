#include "coordinator/cli/jobs.h"

#include <fstream>
#include <set>
#include <sstream>

#include "coordinator/protocol/job_file.h"

namespace fedmesh::cli {
namespace {

constexpr Duration kRefreshAfter = std::chrono::seconds(2);

Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found("cannot read " + path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Puts one proven entry where it belongs in the view.
Result<void> absorb(JobView& view, const std::string& key, const Bytes& value) {
  const JobId& id = view.job.id;
  if (key == protocol::job_key(id)) {
    FM_TRY(view.job, protocol::decode_state<protocol::JobState>(value));
  } else if (key == protocol::spec_key(id)) {
    FM_TRY(view.spec, protocol::decode_state<protocol::JobSpec>(value));
  } else if (key.starts_with(protocol::round_prefix(id))) {
    FM_TRY(view.rounds[key], protocol::decode_state<protocol::RoundState>(value));
  }
  return {};
}

// Samples the coordinator's byte counters and charges what is new to a round.
class TrafficMeter {
 public:
  explicit TrafficMeter(Client& client) : client_(client) {}

  RoundTraffic since_last() {
    RoundTraffic total;
    const auto status = client_.status();
    if (!status.ok()) return {};
    for (const auto& peer : status->peers) {
      if (peer.node == client_.key().node_id()) continue;
      total.up += peer.bytes_in;
      total.down += peer.bytes_out;
    }
    const auto grown = [](std::uint64_t now, std::uint64_t before) {
      return now >= before ? now - before : now;  // a peer that came back counts from zero
    };
    const RoundTraffic out{grown(total.up, last_.up), grown(total.down, last_.down)};
    last_ = total;
    return out;
  }

 private:
  Client& client_;
  RoundTraffic last_;
};

}  // namespace

Result<PreparedJob> prepare_job(const std::filesystem::path& file) {
  FM_TRY(const std::string text, read_text(file));
  FM_TRY(auto parsed, protocol::parse_job_file(text, file.string()));
  PreparedJob out;
  FM_TRY(out.evaluation_blob, protocol::load_evaluation(parsed));
  out.spec = std::move(parsed.spec);
  FM_TRY_VOID(out.spec.validate());
  return out;
}

Result<JobId> submit_job(Client& client, const PreparedJob& job) {
  if (!job.evaluation_blob.empty()) FM_TRY_VOID(client.store_blob(job.evaluation_blob));
  const std::uint64_t seq = client.next_author_seq();
  const JobId id = protocol::job_id(client.chain(), client.key().public_key(), seq, job.spec);
  FM_TRY_VOID(
      client.submit(ledger::RecordKind::job, id, seq, codec::encode(protocol::Job{job.spec})));
  return id;
}

std::string JobView::name_of(const NodeId& node) const {
  const auto at = nodes.find(node);
  return at == nodes.end() || at->second.name.empty() ? node.short_hex() : at->second.name;
}

std::optional<protocol::RoundState> JobView::open_round() const {
  const auto at = rounds.find(protocol::round_key(job.id, job.next));
  if (at == rounds.end()) return std::nullopt;
  return at->second;
}

Result<JobView> load_job(Client& client, const JobId& job) {
  JobView view;
  view.job.id = job;
  for (const std::string& prefix :
       {protocol::job_key(job), protocol::spec_key(job), protocol::round_prefix(job)}) {
    FM_TRY(const auto entries, client.entries(prefix));
    for (const auto& [key, value] : entries) FM_TRY_VOID(absorb(view, key, value));
  }
  if (view.job.name.empty()) return not_found("no job " + job.hex() + " on this network");
  FM_TRY(const auto nodes, client.entries(protocol::kNodePrefix));
  for (const auto& [key, value] : nodes) {
    FM_TRY(auto node, protocol::decode_state<protocol::NodeState>(value));
    view.nodes.emplace(crypto::node_id_of(node.key.view()), std::move(node));
  }
  return view;
}

Result<std::vector<protocol::JobState>> list_jobs(Client& client) {
  FM_TRY(const auto entries, client.entries(protocol::kJobPrefix));
  std::vector<protocol::JobState> jobs;
  for (const auto& [key, value] : entries) {
    FM_TRY(auto job, protocol::decode_state<protocol::JobState>(value));
    jobs.push_back(std::move(job));
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_ms < b.submitted_ms; });
  return jobs;
}

Result<JobId> find_job(Client& client, const std::string& text) {
  FM_TRY(const auto jobs, list_jobs(client));
  std::vector<JobId> found;
  for (const auto& job : jobs)
    if (job.name == text || (text.size() >= 4 && job.id.hex().starts_with(text)))
      found.push_back(job.id);
  if (found.size() == 1) return found.front();
  if (found.empty()) return not_found("no job '" + text + "'; `fedmesh job list` shows them");
  std::string all;
  for (const JobId& id : found) all += " " + id.hex().substr(0, 16);
  return invalid_argument("'" + text + "' means several jobs:" + all);
}

Result<Followed> follow_job(Client& client, const JobId& job, std::optional<Duration> timeout,
                            const FollowHooks& hooks) {
  SystemClock clock;
  const Instant start = clock.now();
  Instant quiet_since = start;
  TrafficMeter meter(client);
  Followed out;
  FM_TRY(out.view, load_job(client, job));
  std::set<std::string> ended;
  const auto report_ended = [&] {
    for (const auto& [key, round] : out.view.rounds) {
      if (!protocol::is_over(round.phase) || !ended.insert(key).second) continue;
      out.traffic[key] = meter.since_last();
      if (hooks.on_round_end) hooks.on_round_end(out.view, round);
    }
  };
  for (;;) {
    report_ended();
    if (hooks.on_change) hooks.on_change(out.view);
    if (protocol::is_terminal(out.view.job.phase)) return out;
    if (timeout && clock.now() - start >= *timeout)
      return unavailable("job " + job.short_hex() +
                         " has not ended in time: " + out.view.job.reason);
    FM_TRY(const auto changes, client.wait_for_updates(std::chrono::milliseconds(200)));
    if (!changes.empty()) quiet_since = clock.now();
    if (clock.now() - quiet_since >= kRefreshAfter && client.connected()) {
      // What happened while the connection was lost is not announced again.
      FM_TRY(out.view, load_job(client, job));
      quiet_since = clock.now();
    }
    for (const auto& [key, value] : changes) FM_TRY_VOID(absorb(out.view, key, value));
    if (hooks.on_idle) FM_TRY_VOID(hooks.on_idle());
  }
}

}  // namespace fedmesh::cli
