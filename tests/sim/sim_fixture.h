// Small federations on the generated clinics, each fast enough to run hundreds of blocks in a test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "coordinator/protocol/job_file.h"
#include "tests/sim/federation.h"
#include "tests/sim/invariants.h"

namespace fedmesh::sim {

struct SimJob {
  protocol::JobSpec spec;
  Bytes evaluation;
};

// The quickstart's job, with fewer rounds and a smaller validation set.
inline SimJob clinics_job(std::uint32_t rounds = 3) {
  const std::string path = "examples/quickstart/clinics.toml";
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  auto file = protocol::parse_job_file(text.str(), path);
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  file->evaluation_path = "clinics-validation:rows=500,seed=9";
  file->spec.federation.rounds = rounds;
  SimJob job;
  auto blob = protocol::load_evaluation(*file);
  EXPECT_TRUE(blob.ok()) << blob.error().to_string();
  job.evaluation = std::move(*blob);
  job.spec = file->spec;
  return job;
}

// Without noise: the aggregate is the plain mean of the updates.
inline SimJob plain_job(std::uint32_t rounds = 3) {
  SimJob job = clinics_job(rounds);
  job.spec.training.average_iterates = false;
  job.spec.privacy.mechanism = protocol::Mechanism::none;
  job.spec.privacy.epsilon_per_round_nano = 0;
  job.spec.privacy.total = {};
  job.spec.preprocessing.standardise = protocol::Standardise::bounds;
  job.spec.preprocessing.epsilon_nano = 0;
  EXPECT_TRUE(job.spec.validate().ok()) << job.spec.validate().error().detail;
  return job;
}

inline FederationOptions clinics(std::uint64_t seed, std::size_t workers = 5) {
  FederationOptions options;
  options.seed = seed;
  for (std::size_t i = 0; i < workers; ++i)
    options.data.push_back("clinics:silo=" + std::to_string(i) +
                           ",silos=" + std::to_string(workers) + ",seed=1");
  return options;
}

// A federation under watch. Invariants are asserted when it goes.
class Watched {
 public:
  explicit Watched(FederationOptions options, Tap tap = {}, std::function<void()> after_event = {})
      : trace_(__FILE__, __LINE__, "seed " + std::to_string(options.seed)),
        federation(std::move(options)),
        invariants(federation.chain().id()) {
    watch(federation, invariants, std::move(tap), std::move(after_event));
  }
  ~Watched() { EXPECT_THAT(invariants.violations(), testing::IsEmpty()); }

 private:
  testing::ScopedTrace trace_;

 public:
  Federation federation;
  Invariants invariants;
};

// The one round that is open now, if there is one.
inline std::optional<protocol::RoundState> open_round(const Federation& federation,
                                                      const JobId& job) {
  for (const auto& round : federation.rounds(job))
    if (!protocol::is_over(round.phase)) return round;
  return std::nullopt;
}

inline std::size_t rounds_with(const Federation& federation, const JobId& job,
                               const NodeId& worker) {
  std::size_t count = 0;
  for (const auto& round : federation.rounds(job))
    for (const auto& slot : round.cohort)
      if (slot.worker == worker && slot.in_set) ++count;
  return count;
}

}  // namespace fedmesh::sim
