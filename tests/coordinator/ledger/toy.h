// A tiny state machine, a chain around it and ways to corrupt bytes, for the tests of the ledger
// and of the consensus.
#pragma once

#include <gtest/gtest.h>

#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/memory_store.h"

namespace fedmesh::ledger::toy {

inline crypto::SigningKey key(std::uint8_t number) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = number;
  return crypto::SigningKey::from_seed(crypto::Secret<32>(seed));
}

inline Bytes text(std::string_view value) { return to_bytes(as_bytes(value)); }

inline JobId job(std::uint8_t number) {
  JobId id;
  id.bytes.fill(number);
  return id;
}

// enrol "key=value" sets, stop "key" erases, decline "ms" sets a deadline that counts up "fired"
// when it is due, commit changes something and fails if its payload is "bad". Others do nothing.
class Machine : public StateMachine {
 public:
  Result<void> init(const Genesis& genesis, State& state) const override {
    state.put("name", text(genesis.network_name));
    return {};
  }

  Result<void> apply(const BlockContext&, const Record& record, State& state) const override {
    const std::string payload(as_text(record.payload));
    if (record.kind == RecordKind::enrol) {
      const auto equals = payload.find('=');
      if (equals == std::string::npos) return invalid_argument("payload is not key=value");
      state.put("kv/" + payload.substr(0, equals), text(payload.substr(equals + 1)));
    } else if (record.kind == RecordKind::stop) {
      if (!state.erase("kv/" + payload)) return not_found("no key " + payload);
    } else if (record.kind == RecordKind::decline) {
      state.put("deadline", record.payload);
    } else if (record.kind == RecordKind::commit) {
      state.put("half", text("done"));
      if (payload == "bad") return invalid_argument("a bad commit");
    }
    return {};
  }

  void end_block(const BlockContext& context, State& state) const override {
    const auto deadline = next_deadline(state);
    if (!deadline || *deadline > context.timestamp || never_clears) return;
    state.erase("deadline");
    const Bytes* fired = state.get("fired");
    state.put("fired", text(fired ? std::string(as_text(*fired)) + "+" : "+"));
  }

  std::optional<Instant> next_deadline(const State& state) const override {
    const Bytes* value = state.get("deadline");
    if (value == nullptr) return std::nullopt;
    Instant at;
    const auto digits = as_text(*value);
    std::from_chars(digits.data(), digits.data() + digits.size(), at.ms);
    return at;
  }

  bool never_clears = false;
};

inline Genesis genesis(std::size_t members = 1) {
  Genesis genesis;
  genesis.network_name = "toy";
  genesis.created_ms = 1000;
  for (std::size_t i = 0; i < members; ++i)
    genesis.committee.push_back(key(static_cast<std::uint8_t>(100 + i)).public_key());
  genesis.operators.push_back(key(1).public_key());
  genesis.participants.push_back({key(2).public_key(), kWorker | kSubmitter, "clinic-a"});
  genesis.nonce.fill(7);
  return genesis;
}

// A certificate by the members with numbers [first, first + count).
inline Certificate certify(const Genesis& genesis, const Header& header, std::size_t count,
                           std::size_t first = 0, VoteType type = VoteType::finalize) {
  const Digest session =
      session_id(chain_id(genesis), 0, Digest{}, committee_hash(genesis.committee));
  const Digest hash = header_hash(header);
  const Bytes message = vote_signed_bytes(type, session, header.height.value, header.height, hash);
  std::vector<MemberVote> votes;
  for (std::size_t i = first; i < first + count; ++i)
    votes.push_back({i, key(static_cast<std::uint8_t>(100 + i)).sign(message)});
  return make_certificate(type, session, header.height.value, header.height, hash,
                          genesis.committee.size(), votes);
}

// A chain with its store; author number n signs with key(n) and counts its own sequence numbers.
struct Network {
  explicit Network(std::size_t members = 1) : founding(genesis(members)) {
    auto opened = Chain::open(founding, machine, store);
    EXPECT_TRUE(opened.ok());
    chain = std::move(*opened);
  }

  Record record(RecordKind kind, std::string_view payload, const JobId& about = {},
                std::uint8_t author = 2) {
    return sign_record(key(author), kind, chain->id(), about, ++seq[{author, about}],
                       text(payload));
  }
  Proposal propose(const std::vector<Record>& records, std::int64_t now) {
    auto proposal = chain->propose({now}, records, founding.committee[0]);
    EXPECT_TRUE(proposal.ok()) << proposal.error().to_string();
    return std::move(*proposal);
  }
  CertifiedBlock certified(Block block) const {
    Certificate certificate = certify(founding, block.header, quorum(founding.committee.size()));
    return {std::move(block), std::move(certificate)};
  }
  // Proposes, certifies and commits; every record must be admissible.
  CertifiedBlock extend(const std::vector<Record>& records, std::int64_t now) {
    Proposal proposal = propose(records, now);
    for (const auto& refusal : proposal.refused) ADD_FAILURE() << refusal.reason.to_string();
    CertifiedBlock block = certified(std::move(proposal.block));
    const auto done = chain->commit(block);
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    return block;
  }
  // Blocks with records of two jobs and of none.
  void grow(int blocks) {
    for (int i = 0; i < blocks; ++i) {
      const std::string pair = "k" + std::to_string(i) + "=v" + std::to_string(i);
      extend({record(RecordKind::enrol, pair), record(RecordKind::commit, pair, job(1)),
              record(RecordKind::reveal, "r", job(1), 3), record(RecordKind::job, "j", job(2))},
             2000 + 100 * i);
    }
  }

  Genesis founding;
  Machine machine;
  MemoryStore store;
  std::unique_ptr<Chain> chain;
  std::map<std::pair<std::uint8_t, JobId>, std::uint64_t> seq;
};

// Every single-byte change of `bytes` (by `masks`), every truncation, one byte more, and `random`
// seeded mutations of up to four places. `accepts` is asked about each; returns how many it took.
inline int accepted_corruptions(const Bytes& bytes, const std::function<bool(ByteView)>& accepts,
                                int random = 3000,
                                std::initializer_list<std::uint8_t> masks = {0x01, 0x80, 0xff}) {
  int accepted = 0;
  Bytes changed = bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const std::uint8_t mask : masks) {
      changed[i] = bytes[i] ^ mask;
      accepted += accepts(changed);
    }
    changed[i] = bytes[i];
  }
  for (std::size_t length = 0; length < bytes.size(); ++length)
    accepted += accepts(ByteView(bytes).first(length));
  changed.push_back(0);
  accepted += accepts(changed);
  SeededRandom random_numbers(bytes.size());
  for (int i = 0; i < random; ++i) {
    changed = bytes;
    for (std::uint64_t n = 1 + random_numbers.below(4); n > 0; --n) {
      const std::size_t at = random_numbers.below(changed.size());
      const auto value = static_cast<std::uint8_t>(random_numbers.next_u64());
      switch (random_numbers.below(3)) {
        case 0:
          changed[at] = value;
          break;
        case 1:
          changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(at), value);
          break;
        default:
          if (changed.size() > 1) changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    if (changed != bytes) accepted += accepts(changed);
  }
  return accepted;
}

}  // namespace fedmesh::ledger::toy
