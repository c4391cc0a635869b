#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <array>

namespace fedmesh::fuzz {
namespace {

using Offset = Bytes::difference_type;

// Where integer arithmetic changes its mind.
constexpr std::array<std::uint64_t, 16> kBoundaries = {0,
                                                       1,
                                                       0x7f,
                                                       0x80,
                                                       0xff,
                                                       0x100,
                                                       0x7fff,
                                                       0x8000,
                                                       0xffff,
                                                       0x10000,
                                                       0x7fffffff,
                                                       0x80000000,
                                                       0xffffffff,
                                                       0x100000000,
                                                       0x7fffffffffffffff,
                                                       0xffffffffffffffff};

}  // namespace

Bytes Mutator::next() {
  Bytes bytes = corpus_.empty() ? Bytes{} : corpus_[random_.below(corpus_.size())];
  for (std::uint64_t left = 1 + random_.below(5); left > 0; --left) change(bytes);
  if (bytes.size() > kBytesMax) bytes.resize(kBytesMax);
  return bytes;
}

void Mutator::change(Bytes& bytes) {
  if (bytes.empty()) return insert(bytes);
  switch (random_.below(8)) {
    case 0:
    case 1:
      bytes[random_.below(bytes.size())] ^= static_cast<std::uint8_t>(1u << random_.below(8));
      return;
    case 2:
      bytes[random_.below(bytes.size())] = static_cast<std::uint8_t>(random_.next_u64());
      return;
    case 3:
      return overwrite_with_boundary(bytes);
    case 4:
      return insert(bytes);
    case 5:
      return erase(bytes);
    case 6:
      return splice(bytes);
    default:
      bytes.resize(random_.below(bytes.size()));
  }
}

// In either byte order and in one to eight bytes.
void Mutator::overwrite_with_boundary(Bytes& bytes) {
  const std::uint64_t value = kBoundaries[random_.below(kBoundaries.size())];
  std::array<std::uint8_t, 8> encoded;
  store_le64(encoded, value);
  const std::size_t width = std::min<std::size_t>(bytes.size(), std::size_t{1} << random_.below(4));
  if (random_.below(2) == 0)
    std::reverse(encoded.begin(), encoded.begin() + static_cast<Offset>(width));
  const std::size_t at = random_.below(bytes.size() - width + 1);
  std::copy_n(encoded.begin(), width, bytes.begin() + static_cast<Offset>(at));
}

void Mutator::insert(Bytes& bytes) {
  const auto at = bytes.begin() + static_cast<Offset>(place(bytes));
  const auto value = static_cast<std::uint8_t>(random_.next_u64());
  const std::size_t count = random_.below(4) == 0 ? 1 + random_.below(300) : 1 + random_.below(4);
  bytes.insert(at, count, value);
}

void Mutator::erase(Bytes& bytes) {
  const std::size_t first = random_.below(bytes.size());
  const std::size_t count = 1 + random_.below(std::min<std::size_t>(bytes.size() - first, 32));
  bytes.erase(bytes.begin() + static_cast<Offset>(first),
              bytes.begin() + static_cast<Offset>(first + count));
}

// A stretch of another entry, or of this one, goes in between or takes the place of what follows.
void Mutator::splice(Bytes& bytes) {
  const Bytes other = corpus_.empty() ? bytes : corpus_[random_.below(corpus_.size())];
  if (other.empty()) return;
  const std::size_t first = random_.below(other.size());
  const std::size_t count = 1 + random_.below(other.size() - first);
  const std::size_t at = place(bytes);
  if (random_.below(2) == 0) bytes.resize(at);
  bytes.insert(bytes.begin() + static_cast<Offset>(at), other.begin() + static_cast<Offset>(first),
               other.begin() + static_cast<Offset>(first + count));
}

}  // namespace fedmesh::fuzz
