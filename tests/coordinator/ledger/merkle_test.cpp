#include "coordinator/ledger/merkle.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace fedmesh::ledger {
namespace {

constexpr std::uint64_t kSizes = 70;

// The definition in RFC 9162, section 2.1.1, word for word.
Digest naive_root(std::span<const Digest> leaves) {
  if (leaves.empty()) return merkle_empty_root();
  if (leaves.size() == 1) return leaves[0];
  const std::size_t k = std::bit_floor(leaves.size() - 1);
  return merkle_node(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

struct LogFixture {
  std::vector<Digest> leaves;
  MerkleLog log;
  LogFixture() {
    for (std::uint64_t i = 0; i < kSizes; ++i) {
      const std::string name = "leaf " + std::to_string(i);
      leaves.push_back(merkle_leaf(as_bytes(name)));
      log.append(leaves.back());
    }
  }
};

TEST(MerkleTest, ReproducesTheCertificateTransparencyVectors) {
  const char* inputs[] = {"",
                          "00",
                          "10",
                          "2021",
                          "3031",
                          "40414243",
                          "5051525354555657",
                          "606162636465666768696a6b6c6d6e6f"};
  const char* roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                         "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                         "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                         "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  MerkleLog log;
  std::vector<Bytes> leaves;
  EXPECT_EQ(log.root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::size_t i = 0; i < 8; ++i) {
    leaves.push_back(*from_hex(inputs[i]));
    log.append(merkle_leaf(leaves.back()));
    EXPECT_EQ(log.root().hex(), roots[i]);
    EXPECT_EQ(merkle_root(leaves).hex(), roots[i]);
  }
}

TEST(MerkleTest, RootsAtEverySizeFollowTheDefinition) {
  const LogFixture fixture;
  MerkleFrontier frontier;
  for (std::uint64_t size = 0; size <= kSizes; ++size) {
    const auto prefix = std::span(fixture.leaves).first(size);
    EXPECT_EQ(*fixture.log.root_at(size), naive_root(prefix));
    EXPECT_EQ(frontier.root(), naive_root(prefix));
    EXPECT_EQ(merkle_root_of_hashes(prefix), naive_root(prefix));
    if (size < kSizes) frontier.append(fixture.leaves[size]);
  }
}

TEST(MerkleTest, InclusionHoldsForEveryLeafAndSize) {
  const LogFixture fixture;
  for (std::uint64_t size = 1; size <= kSizes; ++size) {
    const Digest root = *fixture.log.root_at(size);
    for (std::uint64_t index = 0; index < size; ++index) {
      const auto proof = fixture.log.inclusion_proof(index, size);
      ASSERT_TRUE(proof.ok());
      const Digest& leaf = fixture.leaves[index];
      EXPECT_TRUE(verify_inclusion(leaf, index, size, *proof, root).ok());
      EXPECT_FALSE(verify_inclusion(leaf, index + 1, size, *proof, root).ok());
      EXPECT_FALSE(verify_inclusion(leaf, index ^ 1, size, *proof, root).ok() && size > 1);
      MerkleProof longer = *proof;
      longer.push_back(root);
      EXPECT_FALSE(verify_inclusion(leaf, index, size, longer, root).ok());
      if (proof->empty()) continue;
      MerkleProof shorter = *proof;
      shorter.pop_back();
      EXPECT_FALSE(verify_inclusion(leaf, index, size, shorter, root).ok());
      MerkleProof flipped = *proof;
      flipped[index % flipped.size()].bytes[size % 32] ^= 1;
      EXPECT_FALSE(verify_inclusion(leaf, index, size, flipped, root).ok());
    }
  }
}

TEST(MerkleTest, ConsistencyHoldsForEveryPairOfSizes) {
  const LogFixture fixture;
  for (std::uint64_t later = 0; later <= kSizes; ++later) {
    for (std::uint64_t earlier = 0; earlier <= later; ++earlier) {
      const auto proof = fixture.log.consistency_proof(earlier, later);
      ASSERT_TRUE(proof.ok());
      const Digest old_root = *fixture.log.root_at(earlier);
      const Digest new_root = *fixture.log.root_at(later);
      EXPECT_TRUE(verify_consistency(earlier, old_root, later, new_root, *proof).ok());
      Digest other = old_root;
      other.bytes[5] ^= 1;
      EXPECT_FALSE(verify_consistency(earlier, other, later, new_root, *proof).ok());
      MerkleProof longer = *proof;
      longer.push_back(new_root);
      EXPECT_FALSE(verify_consistency(earlier, old_root, later, new_root, longer).ok());
      for (std::size_t i = 0; i < proof->size(); ++i) {
        MerkleProof flipped = *proof;
        flipped[i].bytes[i % 32] ^= 0x80;
        EXPECT_FALSE(verify_consistency(earlier, old_root, later, new_root, flipped).ok());
        MerkleProof shorter = *proof;
        shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(verify_consistency(earlier, old_root, later, new_root, shorter).ok());
      }
    }
  }
}

TEST(MerkleTest, RefusesWhatIsOutOfRange) {
  const LogFixture fixture;
  EXPECT_FALSE(fixture.log.root_at(kSizes + 1).ok());
  EXPECT_FALSE(fixture.log.leaf(kSizes).ok());
  EXPECT_FALSE(fixture.log.inclusion_proof(5, 5).ok());
  EXPECT_FALSE(fixture.log.inclusion_proof(0, kSizes + 1).ok());
  EXPECT_FALSE(fixture.log.consistency_proof(6, 5).ok());
  EXPECT_FALSE(fixture.log.consistency_proof(6, kSizes + 1).ok());
  EXPECT_FALSE(verify_inclusion({}, 0, 0, {}, merkle_empty_root()).ok());
  EXPECT_FALSE(verify_consistency(2, {}, 1, {}, {}).ok());
  const MerkleProof long_proof(100);
  EXPECT_FALSE(verify_inclusion({}, UINT64_MAX - 1, UINT64_MAX, long_proof, {}).ok());
  EXPECT_FALSE(verify_consistency(UINT64_MAX - 1, {}, UINT64_MAX, {}, long_proof).ok());
}

}  // namespace
}  // namespace fedmesh::ledger
