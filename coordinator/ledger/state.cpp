#include "coordinator/ledger/state.h"

#include "base/check.h"
#include "base/crypto/digest.h"

namespace fedmesh::ledger {

const Bytes* State::get(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

// Called before every change of a key.
void State::remember(std::string_view key) {
  FM_CHECK(!key.empty() && key.size() <= kMaxStateKeyBytes, "a state key has 1 to 512 bytes");
  if (open_savepoints_ > 0) {
    const Bytes* old = get(key);
    journal_.emplace_back(key, old ? std::optional<Bytes>(*old) : std::nullopt);
  }
  touched_.emplace(key);
}

void State::put(std::string_view key, Bytes value) {
  remember(key);
  const auto found = entries_.lower_bound(key);
  if (found != entries_.end() && found->first == key) {
    found->second = std::move(value);
  } else {
    entries_.emplace_hint(found, key, std::move(value));
  }
}

bool State::erase(std::string_view key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  remember(key);
  entries_.erase(found);
  return true;
}

State::Range State::prefix(std::string_view prefix) const {
  std::string after(prefix);
  while (!after.empty() && static_cast<unsigned char>(after.back()) == 0xff) after.pop_back();
  if (after.empty()) return {entries_.lower_bound(prefix), entries_.end()};
  after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) + 1);
  return {entries_.lower_bound(prefix), entries_.lower_bound(after)};
}

void State::flush() const {
  for (const std::string& key : touched_) {
    const Digest key_hash = crypto::sha256(as_bytes(key));
    if (const Bytes* value = get(key)) {
      tree_.put({key_hash, crypto::sha256(*value)});
    } else {
      tree_.erase(key_hash);
    }
  }
  touched_.clear();
}

Digest State::root() const {
  flush();
  return tree_.root();
}

StateProof State::prove(std::string_view key) const {
  flush();
  return tree_.prove(crypto::sha256(as_bytes(key)));
}

void State::apply(const Changes& changes) {
  for (const auto& [key, value] : changes) {
    if (value) {
      put(key, *value);
    } else {
      erase(key);
    }
  }
}

State::Savepoint::Savepoint(State& state) : state_(state), position_(state.journal_.size()) {
  ++state_.open_savepoints_;
}

State::Savepoint::~Savepoint() {
  auto& journal = state_.journal_;
  if (!kept_) {
    for (; journal.size() > position_; journal.pop_back()) {
      auto& [key, old] = journal.back();
      state_.touched_.insert(key);
      if (old) {
        state_.entries_[key] = std::move(*old);
      } else {
        state_.entries_.erase(key);
      }
    }
  }
  if (--state_.open_savepoints_ == 0) journal.clear();
}

State::Changes State::Savepoint::changes() const {
  Changes changes;
  for (std::size_t i = position_; i < state_.journal_.size(); ++i) {
    const std::string& key = state_.journal_[i].first;
    const Bytes* value = state_.get(key);
    changes[key] = value ? std::optional<Bytes>(*value) : std::nullopt;
  }
  return changes;
}

}  // namespace fedmesh::ledger
