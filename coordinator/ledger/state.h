// The state that blocks are executed on: an ordered map from text keys to bytes with savepoints and
// a root that proves every entry, present or absent.
#pragma once

#include <any>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "coordinator/ledger/sparse_merkle.h"

namespace fedmesh::ledger {

inline constexpr std::size_t kMaxStateKeyBytes = 512;

// Keys are not empty and at most kMaxStateKeyBytes long (a state machine bounds what it builds keys
// from). The prefixes "joblog/" and "seq/" belong to the chain (entries.h). Iteration is in byte
// order of the keys. Not thread-safe, const functions included: the tree is hashed lazily. Owned by
// the chain.
class State {
 public:
  using Map = std::map<std::string, Bytes, std::less<>>;
  // Keys with their new values; no value means erased.
  using Changes = std::map<std::string, std::optional<Bytes>>;

  // A range of entries for `for (const auto& [key, value] : state.prefix("job/"))`. The state must
  // not be changed meanwhile.
  struct Range {
    Map::const_iterator first;
    Map::const_iterator last;
    Map::const_iterator begin() const { return first; }
    Map::const_iterator end() const { return last; }
    bool empty() const { return first == last; }
  };

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Bytes* get(
      std::string_view key) const;  // nullptr where absent; valid until the next change
  bool contains(std::string_view key) const { return get(key) != nullptr; }
  void put(std::string_view key, Bytes value);
  bool erase(std::string_view key);  // whether there was one
  Range prefix(std::string_view prefix) const;
  std::size_t size() const { return entries_.size(); }

  Digest root() const;
  StateProof prove(std::string_view key) const;  // of membership or of absence, under root()

  void apply(const Changes& changes);

  // The entry as `decode(const Bytes&)` gives it, a pure function: what it gave for the same bytes
  // before is not decoded again. nullptr where the entry is absent; valid until the next call.
  template <class T, class Decode>
  const T* decoded(std::string_view key, const Decode& decode) const;

  // All or nothing: what was changed since construction is undone at destruction unless keep() was
  // called. Savepoints nest like scopes.
  class Savepoint {
   public:
    explicit Savepoint(State& state);
    ~Savepoint();
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;

    void keep() { kept_ = true; }
    Changes changes() const;  // since construction

   private:
    State& state_;
    std::size_t position_;
    bool kept_ = false;
  };

 private:
  struct Decoded {
    Bytes from;
    std::any value;
  };
  static constexpr std::size_t kDecodedMax = 256;

  void remember(std::string_view key);
  void flush() const;

  Map entries_;
  std::vector<std::pair<std::string, std::optional<Bytes>>> journal_;  // old values, for savepoints
  std::size_t open_savepoints_ = 0;
  mutable std::set<std::string, std::less<>> touched_;  // keys that tree_ does not know of yet
  mutable SparseMerkleTree tree_;
  mutable std::map<std::string, Decoded, std::less<>> decoded_;
};

template <class T, class Decode>
const T* State::decoded(std::string_view key, const Decode& decode) const {
  const Bytes* bytes = get(key);
  if (bytes == nullptr) return nullptr;
  auto known = decoded_.find(key);
  if (known == decoded_.end()) {
    if (decoded_.size() >= kDecodedMax) decoded_.clear();
    known = decoded_.try_emplace(std::string(key)).first;
  }
  auto& [from, value] = known->second;
  if (value.type() != typeid(T) || from != *bytes) {
    value = decode(*bytes);
    from = *bytes;
  }
  return std::any_cast<T>(&value);
}

}  // namespace fedmesh::ledger
