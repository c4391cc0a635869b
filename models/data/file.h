// Reading a whole file into memory with a bound.
#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh::models {

// not_found, invalid_argument (not a regular file), exhausted (longer than max_bytes) or
// unavailable, each with the path. Never blocks on a pipe or device.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace fedmesh::models
