// The server step from file to file: reads the base model block by block and writes the next one,
// so that neither is in memory. Only aggregate.cpp uses it.
#pragma once

#include <cstdint>
#include <span>

#include "base/byte_source.h"
#include "base/result.h"
#include "coordinator/protocol/job_spec.h"

namespace fedmesh::rounds {

struct ServerStep {
  std::span<const std::int64_t> sum;  // noise included, in layout order
  std::uint64_t denominator = 1;
  std::int64_t step_nano = 0;
};

// Writes the released model to `model` and, with averaged iterates, what the next round starts from
// to `base`. invalid_argument: the model does not stay finite, or `from` is not a base of the job;
// others: those of source and sinks.
Result<void> write_next_model(const protocol::JobSpec& spec, const ServerStep& step,
                              const ByteSource& from, ByteSink& base, ByteSink& model);

}  // namespace fedmesh::rounds
