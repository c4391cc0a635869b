#include "coordinator/ledger/state.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/crypto/digest.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::ElementsAre;
using toy::text;

Digest hash_with(std::string_view domain, const Digest& a, const Digest& b) {
  return crypto::Sha256().add(as_bytes(domain)).add(a.view()).add(b.view()).finish();
}

// The definition: empty is zero, one leaf is itself, more are split by the next bit.
Digest naive_root(const std::vector<StateLeaf>& leaves, std::size_t depth = 0) {
  if (leaves.empty()) return {};
  if (leaves.size() == 1)
    return hash_with("fedmesh/state-leaf/v1", leaves[0].key_hash, leaves[0].value_hash);
  std::vector<StateLeaf> half[2];
  for (const StateLeaf& leaf : leaves)
    half[(leaf.key_hash.bytes[depth / 8] >> (7 - depth % 8)) & 1].push_back(leaf);
  return hash_with("fedmesh/state-node/v1", naive_root(half[0], depth + 1),
                   naive_root(half[1], depth + 1));
}

Digest random_digest(SeededRandom& random) {
  Digest digest;
  for (auto& byte : digest.bytes) byte = static_cast<std::uint8_t>(random.next_u64());
  return digest;
}

TEST(SparseMerkleTest, RootDependsOnTheSetOfLeavesOnly) {
  SeededRandom random(1);
  for (const std::size_t count : {0, 1, 2, 3, 17, 300}) {
    std::vector<StateLeaf> leaves, others;
    for (std::size_t i = 0; i < count; ++i) {
      leaves.push_back({random_digest(random), random_digest(random)});
      others.push_back({random_digest(random), random_digest(random)});
    }
    // Some keys share long prefixes.
    for (std::size_t i = 1; i < count; i += 5) {
      leaves[i].key_hash = leaves[i - 1].key_hash;
      leaves[i].key_hash.bytes[31 - i % 30] ^= 1;
    }
    const Digest expected = naive_root(leaves);
    for (int order = 0; order < 4; ++order) {
      for (std::size_t i = leaves.size(); i > 1; --i)
        std::swap(leaves[i - 1], leaves[random.below(i)]);
      SparseMerkleTree tree;
      for (std::size_t i = 0; i < count; ++i) {
        tree.put(others[i]);
        tree.put({leaves[i].key_hash, Digest{}});
        if (i % 3 == 0) tree.root();
      }
      for (std::size_t i = 0; i < count; ++i) {
        tree.erase(others[i].key_hash);
        tree.erase(others[i].key_hash);
        tree.put(leaves[i]);
        if (i % 7 == 0) tree.root();
      }
      EXPECT_EQ(tree.root(), expected);
    }
  }
}

TEST(StateProofTest, ProvesMembersAndNonMembersAndNothingElse) {
  for (const int count : {0, 1, 2, 5, 100, 3000}) {
    State state;
    for (int i = 0; i < count; ++i) state.put("key " + std::to_string(i), text(std::to_string(i)));
    const Digest root = state.root();
    for (int i = 0; i < std::max(count, 20); i += 1 + count / 50) {
      const std::string name = "key " + std::to_string(i);
      const Bytes value = text(std::to_string(i)), other = text("another value");
      const StateProof proof = state.prove(name);
      EXPECT_EQ(verify_state_proof(root, name, value, proof).ok(), i < count);
      EXPECT_EQ(verify_state_proof(root, name, std::nullopt, proof).ok(), i >= count);
      EXPECT_FALSE(verify_state_proof(root, name, other, proof).ok());
      EXPECT_FALSE(verify_state_proof(root, name + "x", value, proof).ok());
    }
  }
}

TEST(StateProofTest, FailsWithAnyByteFlipped) {
  State state;
  for (int i = 0; i < 40; ++i) state.put("key " + std::to_string(i), text("v"));
  const Digest root = state.root();
  const Bytes value = text("v");
  for (const char* name : {"key 3", "key 39", "absent", "missing", "none", "key 40"}) {
    const bool member = state.contains(name);
    const auto claim = member ? std::optional<ByteView>(value) : std::nullopt;
    const StateProof proof = state.prove(name);
    ASSERT_TRUE(verify_state_proof(root, name, claim, proof).ok());
    EXPECT_EQ(toy::accepted_corruptions(
                  codec::encode(proof),
                  [&](ByteView bytes) {
                    const auto decoded = codec::decode<StateProof>(bytes);
                    return decoded.ok() && verify_state_proof(root, name, claim, *decoded).ok();
                  }),
              0);
    for (int bit = 0; bit < 256; ++bit) {
      Digest other = root;
      other.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
      EXPECT_FALSE(verify_state_proof(other, name, claim, proof).ok());
    }
  }
}

TEST(StateProofTest, RefusesForgedAbsence) {
  State state;
  state.put("here", text("v"));
  const Digest root = state.root();
  EXPECT_FALSE(verify_state_proof(root, "here", std::nullopt, {}).ok());
  const StateLeaf itself{crypto::sha256(as_bytes("here")), crypto::sha256(as_bytes("v"))};
  EXPECT_FALSE(verify_state_proof(root, "here", std::nullopt, {{}, itself}).ok());
  EXPECT_FALSE(verify_state_proof(root, "here", text("v"), {{}, itself}).ok());
  EXPECT_FALSE(
      verify_state_proof(root, "x", std::nullopt, {std::vector<Digest>(257), std::nullopt}).ok());
}

TEST(StateTest, SavepointsUndoEverythingUnlessKept) {
  State state;
  state.put("a", text("1"));
  state.put("b", text("1"));
  const Digest before = state.root();
  {
    State::Savepoint outer(state);
    state.put("a", text("2"));
    {
      State::Savepoint kept(state);
      state.erase("b");
      kept.keep();
    }
    {
      State::Savepoint undone(state);
      state.put("c", text("3"));
      state.put("a", text("3"));
      state.root();
    }
    EXPECT_EQ(as_text(*state.get("a")), "2");
    EXPECT_FALSE(state.contains("b"));
    EXPECT_FALSE(state.contains("c"));
    EXPECT_NE(state.root(), before);
    const State::Changes changes = outer.changes();
    EXPECT_EQ(changes.size(), 2u);
    EXPECT_EQ(changes.at("a"), text("2"));
    EXPECT_EQ(changes.at("b"), std::nullopt);
  }
  EXPECT_EQ(as_text(*state.get("a")), "1");
  EXPECT_TRUE(state.contains("b"));
  EXPECT_EQ(state.root(), before);
}

TEST(StateTest, PrefixesAreRangesInByteOrder) {
  State state;
  for (const char* key : {"job/b", "job/a", "joc", "job", "jo\xff", "jo\xff\xff", "\xff"})
    state.put(key, {});
  std::vector<std::string> found;
  for (const auto& [key, value] : state.prefix("job/")) found.push_back(key);
  EXPECT_THAT(found, ElementsAre("job/a", "job/b"));
  found.clear();
  for (const auto& [key, value] : state.prefix("jo\xff")) found.push_back(key);
  EXPECT_THAT(found, ElementsAre("jo\xff", "jo\xff\xff"));
  found.clear();
  for (const auto& [key, value] : state.prefix("\xff")) found.push_back(key);
  EXPECT_THAT(found, ElementsAre("\xff"));
  EXPECT_TRUE(state.prefix("zzz").empty());
  EXPECT_EQ(std::distance(state.prefix("").begin(), state.prefix("").end()), 7);
}

TEST(StateTest, RandomHistoriesMatchAModel) {
  SeededRandom random(5);
  State state;
  State::Map model;
  for (int step = 0; step < 300; ++step) {
    State::Map tentative = model;
    const bool keep = random.below(2) == 0;
    State::Changes changes;
    {
      State::Savepoint savepoint(state);
      for (std::uint64_t n = random.below(8); n > 0; --n) {
        const std::string key = "k" + std::to_string(random.below(60));
        if (random.below(3) == 0) {
          EXPECT_EQ(state.erase(key), tentative.erase(key) == 1);
        } else {
          const Bytes value = text(std::to_string(random.below(4)));
          state.put(key, value);
          tentative[key] = value;
        }
      }
      if (random.below(2) == 0) state.root();
      changes = savepoint.changes();
    }
    if (keep) {
      state.apply(changes);
      model = tentative;
    }
    State fresh;
    for (const auto& [key, value] : model) fresh.put(key, value);
    ASSERT_EQ(state.root(), fresh.root()) << "step " << step;
    ASSERT_EQ(state.size(), model.size());
  }
}

}  // namespace
}  // namespace fedmesh::ledger
