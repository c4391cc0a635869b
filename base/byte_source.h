// Bytes that are read or written piece by piece, wherever they are: a file, a blob, memory.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // All of `to`, or an error: nothing is read beyond the end.
  virtual Result<void> read(std::uint64_t offset, MutableByteView to) const = 0;
};

// Takes bytes in order.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<void> append(ByteView bytes) = 0;
};

// The bytes outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, MutableByteView to) const override {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset)
      return corruption("a read beyond the end of " + std::to_string(bytes_.size()) + " bytes");
    std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return {};
  }

 private:
  ByteView bytes_;
};

}  // namespace fedmesh
