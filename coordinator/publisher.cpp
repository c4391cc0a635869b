#include "coordinator/publisher.h"

#include <set>

#include "base/check.h"
#include "base/crypto/digest.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::coordinator {
namespace {

std::vector<std::string> keys_of(const ledger::State& state, const JobId& id) {
  const auto job = rounds::load<protocol::JobState>(state, protocol::job_key(id));
  if (!job) return {};
  return {protocol::spec_key(id), protocol::job_key(id), protocol::round_key(id, job->next)};
}

}  // namespace

std::vector<protocol::StateUpdate> state_updates(const ledger::Chain& chain,
                                                 const std::vector<std::string>& keys) {
  FM_CHECK(chain.head_header() != nullptr, "updates are given under a head");
  const auto start = [&] {
    return protocol::StateUpdate{*chain.head_header(), *chain.head_certificate(), {}};
  };
  std::vector<protocol::StateUpdate> updates{start()};
  std::size_t bytes = 0;
  for (const auto& key : keys) {
    auto entry = ledger::state_entry(chain.state(), key);
    const std::size_t size = codec::encode(entry).size();
    if (bytes + size > kUpdateBytes && !updates.back().entries.empty()) {
      updates.push_back(start());
      bytes = 0;
    }
    bytes += size;
    updates.back().entries.push_back(std::move(entry));
  }
  return updates;
}

std::vector<std::string> Publisher::changed(const ledger::State& state) {
  const auto live = rounds::live_jobs(state);
  std::set<JobId> jobs(live.begin(), live.end());
  for (const auto& [id, published] : jobs_) jobs.insert(id);
  std::vector<std::string> out;
  for (const JobId& id : jobs) {
    auto keys = keys_of(state, id);
    Published& published = jobs_[id];
    const auto job = rounds::load<protocol::JobState>(state, protocol::job_key(id));
    if (job && published.slot != job->next) {
      keys.push_back(protocol::round_key(id, published.slot));  // how the round before ended
    }
    for (const auto& key : keys) {
      const Bytes* value = state.get(key);
      if (value == nullptr) continue;
      const Digest hash = crypto::blake2b(*value);
      auto [at, fresh] = published.values.try_emplace(key, hash);
      if (!fresh && at->second == hash) continue;
      at->second = hash;
      out.push_back(key);
    }
    if (job && published.slot != job->next) {
      published.values.erase(protocol::round_key(id, published.slot));
      published.slot = job->next;
    }
    if (!job || protocol::is_terminal(job->phase)) jobs_.erase(id);
  }
  return out;
}

std::vector<std::string> Publisher::all(const ledger::State& state) const {
  std::vector<std::string> out;
  for (const JobId& id : rounds::live_jobs(state))
    for (auto& key : keys_of(state, id))
      if (state.contains(key)) out.push_back(std::move(key));
  return out;
}

}  // namespace fedmesh::coordinator
