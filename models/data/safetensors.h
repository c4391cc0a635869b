// The safetensors file format (Hugging Face): le64 header length, JSON header, tensor bytes.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "models/data/tensor.h"

namespace fedmesh::models {

struct SafetensorsLimits {
  std::size_t bytes = std::size_t{1} << 31;
  std::size_t header_bytes = std::size_t{1} << 20;
  std::size_t tensors = 4096;
};

// Canonical: tensors in name order, no metadata, minimal JSON, the header padded with spaces to a
// multiple of eight. Equal tensors give equal bytes. Names must be sorted, distinct, printable
// ASCII without quotes and backslashes, and data must fill the shapes (checked: these are ours).
Bytes encode_safetensors(const Tensors& tensors);

// Reads any file of F32, F64, I32, I64 and U8 tensors whose names encode_safetensors() could write;
// metadata and padding are dropped, so encoding again gives the canonical file. The result is
// sorted by name. exhausted: a limit is passed. corruption: anything else, with the reason.
Result<Tensors> decode_safetensors(ByteView file, const SafetensorsLimits& limits = {});

}  // namespace fedmesh::models
