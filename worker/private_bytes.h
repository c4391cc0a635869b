// Bytes derived from private data: wiped when they go away, not copied by accident.
#pragma once

#include <utility>

#include "base/bytes.h"
#include "base/crypto/keys.h"

namespace fedmesh::worker {

class PrivateBytes {
 public:
  PrivateBytes() = default;
  explicit PrivateBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  PrivateBytes(PrivateBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  PrivateBytes& operator=(PrivateBytes&& other) noexcept {
    if (this != &other) {
      crypto::wipe(bytes_);
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  PrivateBytes(const PrivateBytes&) = delete;
  PrivateBytes& operator=(const PrivateBytes&) = delete;
  ~PrivateBytes() { crypto::wipe(bytes_); }

  ByteView view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

}  // namespace fedmesh::worker
