// One encoded example of every message, record payload and state value, with its decoder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh::protocol {

struct Sample {
  std::string name;
  Bytes bytes;
  std::function<Result<Bytes>(ByteView)> round_trip;  // decodes and encodes again
};

const std::vector<Sample>& all_samples();

}  // namespace fedmesh::protocol
