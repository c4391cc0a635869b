// Where a node's data comes from, in one line of text (`fedmesh-worker --data ...`):
//
//   patients.csv                                         a CSV file
//   images.idx3.gz,labels.idx1.gz                        an IDX pair, plain or gzip
//   clinics:silo=0,silos=5,seed=1                        generated (generators.h)
//   clinics-validation:rows=2000,seed=1
//   digits:rows=1000,seed=3                              or with part=0,parts=8: that slice of them
//
// A file may be followed by #first-last (rows of a file counted from 0, both included, for CSV
// after dropping). Any source may be followed by options, ?OPTION or ?OPTION&OPTION, each once:
//
//   split=train:0.66:SEED, split=test:0.66:SEED          a half of its rows (split.h)
//   partition=iid:8:3:SEED                               silo 3 of 8 (counted from 0), as
//   partition=dirichlet:0.5:8:3:SEED                     partition.h shares rows out: alpha 0.5
//   partition=shards:2:8:3:SEED                          or two shards per silo
//
// Wherever the options stand, the range is taken first, then the split, then the partition of what
// is left. The silos of one text that differ in the silo alone share no row and miss none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/data/dataset.h"
#include "models/data/idx.h"
#include "models/data/partition.h"
#include "models/data/schema.h"
#include "models/data/split.h"

namespace fedmesh::models {

// One silo of a partition.
struct SiloChoice {
  PartitionRule rule;
  std::uint32_t silo = 0;  // below rule.silos
  friend bool operator==(const SiloChoice&, const SiloChoice&) = default;
};

struct DataSource {
  enum class Kind : std::uint8_t { csv, idx, clinics, clinics_validation, digits };

  std::string uri;  // as it was given
  Kind kind = Kind::csv;
  std::vector<std::string> paths;                   // csv: one, idx: images and labels
  std::map<std::string, std::uint64_t> parameters;  // of a generator, complete and in range
  std::optional<RowRange> range;                    // files only
  Split split;
  std::optional<SiloChoice> partition;

  // invalid_argument lists what is allowed. Looks at the text only, never at the disk.
  static Result<DataSource> parse(std::string_view uri);
};

// invalid_argument, saying why, where the data does not fit the schema.
Result<Dataset> load(const DataSource& source, const Schema& schema);

}  // namespace fedmesh::models
