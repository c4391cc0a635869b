// The rules that every job obeys, whoever wrote it and however it arrived. They speak of a job's
// parts by the keys of the job file (JOB_FILE.md), because those are what a person can change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/protocol/job_spec.h"

namespace fedmesh::protocol {

inline constexpr std::int64_t kNano = 1'000'000'000;
inline constexpr std::size_t kNameBytesMax = 100;
inline constexpr std::int64_t kRoundsMax = 100'000;
inline constexpr std::int64_t kParticipantsMax = 4096;
inline constexpr std::int64_t kRecordsMax = 1'000'000'000;  // that one worker may enrol with
inline constexpr std::int64_t kVoidRoundsMax = 1000;
inline constexpr std::int64_t kAggregatorsMax = 64;
inline constexpr std::int64_t kValidatorsMax = 64;
inline constexpr std::int64_t kLocalEpochsMax = 1000;
inline constexpr std::int64_t kBatchSizeMax = 65'536;
inline constexpr std::int64_t kMemoryMbMax = 1 << 24;
inline constexpr std::int64_t kFactorNanoMax = 1000 * kNano;  // of learning rate, input scale, ...
inline constexpr std::int64_t kDeadlineMsMin = 100;
inline constexpr std::int64_t kDeadlineMsMax = 7LL * 24 * 3600 * 1000;
inline constexpr std::int64_t kFractionBitsMax = 30;
inline constexpr std::int64_t kRecordClipMin = 1 << 12;  // granules
inline constexpr std::int64_t kRecordClipMax = 1 << 16;
inline constexpr std::int64_t kClipMax = 0x7fffffff;
inline constexpr std::int64_t kClipNanoMax = 1'000'000 * kNano;
// A smaller epsilon is pure noise, and would let the noise overflow the 64-bit sums.
inline constexpr std::int64_t kEpsilonNanoMin = 1000;
inline constexpr std::int64_t kEpsilonNanoMax = 1000 * kNano;

inline constexpr std::int64_t kDeltaPicoMax = 999'999'999'999;

struct JobProblem {
  std::string key;     // "privacy.clip_l1"
  std::string other;   // the key it contradicts; empty where the value is wrong in itself
  std::string detail;  // what it says, and what is allowed

  std::string to_string() const;
};

// Every rule that `spec` breaks, in the order of the job file; none: the job is valid. A pure
// function in integers: all nodes agree. Never fails on hostile values.
std::vector<JobProblem> check_job(const JobSpec& spec);

}  // namespace fedmesh::protocol
