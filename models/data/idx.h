// Reads images and labels in the IDX format of the MNIST files, plain or gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "models/data/dataset.h"
#include "models/data/schema.h"

namespace fedmesh::models {

// Rows first..last, both included, counted from 0.
struct RowRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

struct IdxLimits {
  std::size_t file_bytes = std::size_t{1} << 30;  // as stored
  std::size_t rows = 10'000'000;
  std::size_t values = std::size_t{1} << 28;  // of the rows kept; also bytes once decompressed
};

// Images are unsigned bytes, [rows, height, width] or [rows, channels, height, width]; they become
// floats byte/255. Decompression stops at the size that the file's own header and the schema allow.
// invalid_argument: another type, size or row count than the schema's, a label outside the classes,
// or rows that the file does not have. corruption: truncated, too long or not inflatable.
Result<Dataset> parse_idx(ByteView images, ByteView labels, const Schema& schema,
                          std::optional<RowRange> range = {}, const IdxLimits& limits = {});
Result<Dataset> read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                         const Schema& schema, std::optional<RowRange> range = {},
                         const IdxLimits& limits = {});

}  // namespace fedmesh::models
