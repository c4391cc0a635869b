// What a job says about the data it trains on. Public: it is part of the job record, and its hash
// is in every enrolment, so that all workers read their files the same way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/codec/codec.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::models {

enum class DataFormat : std::uint8_t { csv = 1, images = 2 };
inline bool is_known(DataFormat f) { return f == DataFormat::csv || f == DataFormat::images; }

enum class ColumnKind : std::uint8_t { numeric = 1, categorical = 2 };
inline bool is_known(ColumnKind k) {
  return k == ColumnKind::numeric || k == ColumnKind::categorical;
}

// One input column of a CSV file. A numeric column becomes one feature; a categorical one becomes
// levels.size() - 1 indicator features, the first level being the reference.
struct Column {
  std::string name;            // as in the header; empty: taken by `position` alone
  std::uint32_t position = 0;  // zero-based place in a file without a header
  ColumnKind kind = ColumnKind::numeric;
  std::int64_t minimum_micro = 0;  // numeric: public bounds; values outside are clamped to them
  std::int64_t maximum_micro = 0;
  std::vector<std::string>
      levels;  // categorical: every level, compared as trimmed text (numbers: as numbers)
  FM_FIELDS(name, position, kind, minimum_micro, maximum_micro, levels)
  friend bool operator==(const Column&, const Column&) = default;
};

struct Schema {
  DataFormat format = DataFormat::csv;
  std::uint32_t classes = 2;
  // csv
  bool header = true;
  bool drop_missing = false;  // else a missing numeric value is the middle of its bounds, a missing
                              // category its reference level, and a missing label an error
  std::vector<Column> columns;
  std::string label_name;
  std::uint32_t label_position = 0;
  std::int64_t label_threshold =
      -1;  // >= 0: label = value > threshold (two classes); -1: label = value
  // images
  std::uint32_t channels = 1, height = 0, width = 0;

  FM_FIELDS(format, classes, header, drop_missing, columns, label_name, label_position,
            label_threshold, channels, height, width)
  friend bool operator==(const Schema&, const Schema&) = default;

  std::size_t features() const;  // inputs per example after one-hot encoding
  std::vector<std::size_t> numeric_features()
      const;                      // feature indices that standardisation touches; images: none
  Digest hash() const;            // blake2b("fedmesh/schema/v1" ‖ canonical encoding)
  Result<void> validate() const;  // bounded sizes, bounds in order, levels distinct
};

}  // namespace fedmesh::models
