// The safetensors file format (Hugging Face): le64 header length, JSON header, tensor bytes.
#pragma once

#include "base/byte_source.h"
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

// A tensor of a file, without its data.
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // of its data, from the start of the file
  std::uint64_t bytes = 0;
};

// The entries of a file that is too large for memory, sorted by name; same errors as
// decode_safetensors(), and those of the source.
Result<std::vector<TensorEntry>> read_safetensors_index(const ByteSource& file,
                                                        const SafetensorsLimits& limits = {});

// Everything before the data of the canonical file of these tensors, which follows in their order.
// `begin` is not read. The same conditions as for encode_safetensors().
Bytes encode_safetensors_header(const std::vector<TensorEntry>& tensors);

}  // namespace fedmesh::models
