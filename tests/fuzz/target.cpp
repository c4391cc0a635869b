#include "tests/fuzz/target.h"

#include <map>
#include <set>

#include "base/crypto/keys.h"

namespace fedmesh::fuzz {
namespace {

struct Forms {
  std::map<std::size_t, std::string> declared;
  std::set<std::size_t> accepted;
};

// Targets declare their forms while globals are made, in any order.
Forms& forms() {
  static Forms all;
  return all;
}

}  // namespace

bool declare_form(std::size_t number, std::string name) {
  return forms().declared.emplace(number, std::move(name)).second;
}

void accepted(std::size_t form) { forms().accepted.insert(form); }

std::vector<std::string> forms_not_accepted() {
  auto wanted = forms().declared;
  if (wanted.empty()) wanted.emplace(0, "any input");
  std::vector<std::string> missing;
  for (const auto& [number, name] : wanted)
    if (!forms().accepted.contains(number)) missing.push_back(name);
  return missing;
}

std::uint8_t Input::byte() {
  if (rest_.empty()) return 0;
  const std::uint8_t first = rest_.front();
  rest_ = rest_.subspan(1);
  return first;
}

ByteView Input::chunk() {
  const std::size_t low = byte();
  const std::size_t high = byte();
  const std::size_t length = std::min(low | high << 8, rest_.size());
  const ByteView out = rest_.first(length);
  rest_ = rest_.subspan(length);
  return out;
}

Bytes chunk(ByteView bytes) {
  FM_CHECK(bytes.size() <= 0xffff, "a chunk has two bytes for its length");
  Bytes out;
  out.reserve(2 + bytes.size());
  out.push_back(static_cast<std::uint8_t>(bytes.size() & 0xff));
  out.push_back(static_cast<std::uint8_t>(bytes.size() >> 8));
  append(out, bytes);
  return out;
}

}  // namespace fedmesh::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  fedmesh::crypto::initialise();
  return 0;
}
