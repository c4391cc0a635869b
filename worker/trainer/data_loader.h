// Loads and prepares what a DataView names, and keeps the last few results: a job's tasks name the
// same data round after round.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "models/data/dataset.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

// Not thread-safe: owned by the executor. A file that changes is read again only after its entry
// was dropped: the worker has committed to the data it enrolled with.
class DataLoader {
 public:
  explicit DataLoader(std::size_t entries_max = 4) : entries_max_(entries_max) {}

  // Errors of the source, the schema and the constants, each saying what is allowed.
  Result<std::shared_ptr<const models::Dataset>> load(const DataView& view);

 private:
  std::size_t entries_max_;
  // Most recently used first; the key is the digest of the encoded view.
  std::list<std::pair<Digest, std::shared_ptr<const models::Dataset>>> entries_;
};

}  // namespace fedmesh::trainer
