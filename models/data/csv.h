// Reads a CSV file (RFC 4180) by a schema. Every error names file, line and column.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "models/data/dataset.h"
#include "models/data/schema.h"

namespace fedmesh::models {

struct CsvLimits {
  std::size_t file_bytes = std::size_t{1} << 30;
  std::size_t record_bytes = std::size_t{1} << 20;  // one row, its quoted line ends included
  std::size_t rows = 10'000'000;                    // kept rows
  std::size_t fields = 4096;                        // of one row
  std::size_t values = std::size_t{1} << 28;        // rows times inputs per row
};

// Numeric values are clamped to their public bounds and kept as they are (no scaling); categories
// become indicators; empty, "?", NA and nan are missing. Line ends are LF or CRLF, empty lines and
// a leading byte order mark are skipped, columns that the schema does not name are ignored.
// `source` is what errors call the text. invalid_argument: the schema is invalid, or the text does
// not fit it, or no row is left. exhausted: a limit is passed.
Result<Dataset> parse_csv(std::string_view text, std::string_view source, const Schema& schema,
                          const CsvLimits& limits = {});
Result<Dataset> read_csv(const std::filesystem::path& path, const Schema& schema,
                         const CsvLimits& limits = {});

}  // namespace fedmesh::models
