// What a fuzz target is written with. A target is one decoder behind libFuzzer's entry point
//     extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// It traps (FM_CHECK) where the decoder breaks a promise and says which *form* of input it
// accepted: a message kind, a record kind, or just 0. driver.cpp asks that the kept corpus holds an
// accepted input of every form, so that a kind without a seed and a seed that no longer decodes are
// noticed. Not thread-safe: libFuzzer calls targets from one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/codec/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace fedmesh::fuzz {

// Forms that the corpus must cover. The return value lets a target declare them before main():
//     const bool kDeclared = declare_alternatives<Message>();
bool declare_form(std::size_t number, std::string name);

template <class Enum>
bool declare_known(std::size_t first = 0) {
  for (int number = 0; number < 256; ++number)
    if (is_known(static_cast<Enum>(number)))
      declare_form(first + static_cast<std::size_t>(number), "kind " + std::to_string(number));
  return true;
}

template <class Variant>
bool declare_alternatives() {
  for (std::size_t i = 0; i < std::variant_size_v<Variant>; ++i)
    declare_form(i, "alternative " + std::to_string(i) + " of the variant");
  return true;
}

// The input at hand was decoded. A target that declares nothing has the form 0 alone.
void accepted(std::size_t form = 0);
std::vector<std::string> forms_not_accepted();  // names, so far

// Parts of an input: a chunk is le16(length) and as many bytes, or what is left. Every byte string
// can be read, whatever is asked of it.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t byte();  // 0 at the end
  ByteView chunk();
  ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
};
Bytes chunk(ByteView bytes);  // as Input::chunk() reads it; at most 65535 bytes (checked)

// What decodes must encode to the same bytes.
template <class T>
bool check_canonical(const Result<T>& value, ByteView bytes) {
  if (!value.ok()) return false;
  FM_CHECK(std::ranges::equal(codec::encode(*value), bytes),
           "a decoded value encodes to other bytes");
  return true;
}

}  // namespace fedmesh::fuzz
