// A data set as one blob, for public validation data: a canonical safetensors file with the tensors
// "classes" (I64, scalar), "inputs" (F32, [rows, ...shape of an example]) and "labels" (I32,
// [rows]).
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

Bytes encode_dataset(const Dataset& data);  // of a data set that is consistent (checked)
// corruption: not such a file, a value is not finite, a label outside the classes, or no row.
Result<Dataset> decode_dataset(ByteView blob, std::size_t max_bytes);

}  // namespace fedmesh::models
