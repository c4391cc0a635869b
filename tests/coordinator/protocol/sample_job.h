// A valid job with every part in use, for tests to break.
#pragma once

#include "coordinator/protocol/job_spec.h"
#include "models/data/generators.h"

namespace fedmesh::protocol {

template <class Tag = DigestTag>
Id<Tag> sample_id(std::uint8_t first) {
  Id<Tag> out;
  for (std::size_t i = 0; i < out.bytes.size(); ++i)
    out.bytes[i] = static_cast<std::uint8_t>(first + i);
  return out;
}

inline JobSpec worker_job() {
  JobSpec spec;
  spec.name = "digits";
  spec.architecture = {models::ArchitectureKind::cnn, {1, 28, 28}, 10, {}};
  spec.initial_seed = 7;
  spec.schema = models::digits_schema();
  spec.training.options.learning_rate_nano = 50'000'000;
  spec.federation.rounds = 5;
  spec.federation.enrol_ms = 60'000;
  spec.federation.commit_ms = 60'000;
  spec.federation.reveal_ms = 60'000;
  spec.federation.committee_ms = 20'000;
  return spec;
}

inline JobSpec record_job() {
  JobSpec spec = worker_job();
  spec.name = "clinics";
  spec.schema = models::clinics_schema();
  spec.architecture = {models::ArchitectureKind::logistic,
                       {static_cast<std::int64_t>(spec.schema.features())},
                       2,
                       {}};
  spec.training.average_iterates = true;
  spec.training.input_scale_nano = 500'000'000;
  spec.federation.rounds = 10;
  spec.federation.evaluation_ms = 20'000;
  spec.federation.target_accuracy_micro = 800'000;
  spec.aggregation.aggregators = 4;
  spec.privacy.unit = PrivacyUnit::record;
  spec.privacy.mechanism = Mechanism::laplace;
  spec.privacy.fraction_bits = 14;
  spec.privacy.clip_granules = 1 << 14;
  spec.privacy.epsilon_per_round_nano = 90'000'000;
  spec.privacy.total = {1'000'000'000, 0};
  spec.preprocessing.standardise = Standardise::private_query;
  spec.preprocessing.epsilon_nano = 100'000'000;
  spec.evaluation = {true, sample_id(9), 1000};
  return spec;
}

}  // namespace fedmesh::protocol
