// What the records of one job say, in order and by round: read without the state machine.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/audit/recount.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/protocol/round_records.h"

namespace fedmesh::audit {

template <class Payload>
struct Said {
  Payload what;
  const JobRecord* record = nullptr;
};
template <class Payload>
using SaidBy = std::map<NodeId, Said<Payload>>;

using Enrolments = std::map<NodeId, protocol::Enrol>;

// The order of a round's records: a later stage begins in a later block.
enum class Stage { open, accept, commit, reveal, avail, attest, score_commit, score_reveal };

struct RoundStory {
  const JobRecord* beacon = nullptr;           // the newest for this slot
  Digest beacon_value;                         // chained over all beacons of the job so far
  std::shared_ptr<const Enrolments> enrolled;  // when that beacon became final
  Stage stage = Stage::open;
  Height stage_height;  // of the newest record
  SaidBy<protocol::Accept> accepts;
  SaidBy<protocol::Commit> commits;
  SaidBy<protocol::Reveal> reveals;
  SaidBy<protocol::Avail> avails;
  SaidBy<protocol::Attest> attests;
  SaidBy<protocol::ScoreCommit> score_commits;
  SaidBy<protocol::ScoreReveal> score_reveals;
};

struct JobStory {
  protocol::JobSpec spec;
  crypto::PublicKey owner;
  std::int64_t submitted_ms = 0;
  std::map<protocol::Slot, RoundStory> rounds;
  std::shared_ptr<Enrolments> enrolled = std::make_shared<Enrolments>();
  std::set<NodeId> declined;
  Digest beacon;  // the newest
  bool stopped = false;
};

// corruption names the record that breaks a rule: the job's id is the hash of its record, authors
// may say what they say, once per round, and only about the round that is open.
Result<JobStory> read_story(const ledger::Genesis& genesis, const std::vector<JobRecord>& records,
                            const JobId& job);

std::string slot_text(const protocol::Slot& slot);  // "round 2", "round 2 attempt 1"

}  // namespace fedmesh::audit
