// What the worker knows about one live job, and how far its own duties there are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/protocol/state.h"
#include "worker/trainer/task.h"

namespace fedmesh::worker {

// What opens the commitment, as it is kept on disk from before the commitment is sent until the
// round is over; the ciphertext is in the blob store. With it a restarted worker goes on; without
// it, it sits the round out: a second, different commitment would be evidence against it.
struct StoredOpening {
  JobId job;
  protocol::Slot slot;
  Digest commitment;
  Digest ciphertext_root;
  std::uint64_t length = 0;  // of the ciphertext
  std::array<std::uint8_t, 32> content_key{};
  FM_FIELDS(job, slot, commitment, ciphertext_root, length, content_key)
};

// A round that this worker has paid for out of its own count.
struct OpenedRound {
  protocol::Slot slot;
  std::int64_t epsilon_nano = 0;
  std::uint64_t sensitivity_granules = 1;
  FM_FIELDS(slot, epsilon_nano, sensitivity_granules)
};

struct StoredScore {
  JobId job;
  protocol::Slot slot;
  protocol::Score score;
  std::array<std::uint8_t, 32> salt{};
  FM_FIELDS(job, slot, score, salt)
};

// A trainer that dies says nothing about the task: it is given to the next one, so many times.
inline constexpr int kTaskAttempts = 3;
inline bool trainer_died(const trainer::Response& response) {
  return !response.ok && response.error.starts_with("unavailable");
}

// Enrolment: answered once per job.
struct Enrolment {
  enum class Stage {
    undecided,   // nothing done yet
    describing,  // the trainer reads the data
    answered,    // an enrol or decline record is out, final or refused
  };
  Stage stage = Stage::undecided;
  std::uint64_t task = 0;
  int attempts = 0;
  bool declined = false;  // by this worker
  bool refused = false;   // by the ledger
};

// One round's share: fetch, compute, seal, commit, reveal.
struct TrainingDuty {
  enum class Stage {
    fetching,    // the base model or the standardisation constants
    computing,   // the trainer works
    committing,  // the commitment is not final yet
    committed,   // waits for the reveal phase
    revealing,   // the reveal record is not final yet
    delivered,   // it is: the members fetch the sealed update
    abandoned,
  };
  Stage stage = Stage::fetching;
  std::uint64_t task = 0;
  int attempts = 0;  // of computing
  Digest commitment;
  Digest ciphertext_root;
  std::uint64_t length = 0;
  protocol::ContentKey content_key;
  bool reveal_sent = false;
};

// One round's score of the released model.
struct ScoringDuty {
  enum class Stage { fetching, computing, committing, unveiling, done, abandoned };
  Stage stage = Stage::fetching;
  std::uint64_t task = 0;
  int attempts = 0;  // of computing
  std::optional<StoredScore> stored;
};

struct JobView {
  JobId id;
  Instant heard_at;     // first
  Height state_height;  // of the header under which `state` was proven
  std::optional<protocol::JobState> state;
  std::optional<protocol::JobSpec> spec;  // checked against the state's config hash; valid
  bool spec_refused = false;              // a valid proof of a specification we cannot work with
  Height round_height;
  std::optional<protocol::RoundState> round;  // the newest

  Enrolment enrolment;
  bool initial_made = false;             // the first model was computed here, for this round
  std::optional<Digest> data_root;       // recomputed from the data as it is now
  std::optional<TrainingDuty> training;  // of `round`
  std::optional<ScoringDuty> scoring;    // of `round`
  std::string said;                      // the last line that was shown about it
};

}  // namespace fedmesh::worker
