#include "models/data/commitment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <functional>

#include "base/crypto/digest.h"

namespace fedmesh::models {
namespace {

crypto::Secret<32> secret(std::uint8_t value = 7) {
  std::array<std::uint8_t, 32> bytes;
  bytes.fill(value);
  return crypto::Secret<32>(bytes);
}

const JobId kJob{{1}};

Dataset three_rows() { return {2, {2}, 2, {1, 2, 3, 4, 5, 6}, {0, 1, 0}}; }

TEST(CommitmentTest, ChangesWithEverythingItCovers) {
  const Digest root = data_root(three_rows(), kJob, secret());
  EXPECT_EQ(root, data_root(three_rows(), kJob, secret()));
  EXPECT_NE(root, data_root(three_rows(), JobId{{2}}, secret()));
  EXPECT_NE(root, data_root(three_rows(), kJob, secret(8)));
  const std::vector<std::function<void(Dataset&)>> changes{
      [](Dataset& d) { d.inputs[5] = std::nextafter(6.0f, 7.0f); },
      [](Dataset& d) { d.inputs[0] = -d.inputs[0]; },
      [](Dataset& d) { d.labels[1] = 0; },
      [](Dataset& d) { d.classes = 3; },
      [](Dataset& d) {
        d.shape = {1, 1, 2};
      },
      [](Dataset& d) { std::swap(d.inputs[0], d.inputs[1]); },
      [](Dataset& d) {
        d = d.subset(std::vector<std::size_t>{1, 0, 2});
      },
      [](Dataset& d) {
        d = d.subset(std::vector<std::size_t>{0, 1});
      },
      [](Dataset& d) {
        d = d.subset(std::vector<std::size_t>{0, 1, 2, 2});
      },
      [](Dataset& d) { d = d.subset(std::vector<std::size_t>{}); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Dataset other = three_rows();
    changes[i](other);
    EXPECT_NE(data_root(other, kJob, secret()), root) << "change " << i;
  }
}

// The construction of the header, written out once more for three rows.
TEST(CommitmentTest, IsTheTreeOfTheHeader) {
  const Dataset data = three_rows();
  const auto salt = [&](std::uint64_t i) {
    return crypto::Blake2b("fedmesh/data/salt/v1")
        .add(secret().view())
        .add(kJob)
        .add_u64(i)
        .finish();
  };
  const auto leaf = [&](std::size_t i) {
    Bytes row(12);
    store_le32(row, static_cast<std::uint32_t>(data.labels[i]));
    store_le32(MutableByteView(row).subspan(4), std::bit_cast<std::uint32_t>(data.inputs[2 * i]));
    store_le32(MutableByteView(row).subspan(8),
               std::bit_cast<std::uint32_t>(data.inputs[2 * i + 1]));
    return crypto::Blake2b("fedmesh/data/leaf/v1").add(salt(i)).add(row).finish();
  };
  const auto node = [](const Digest& a, const Digest& b) {
    return crypto::Blake2b("fedmesh/data/node/v1").add(a).add(b).finish();
  };
  const Digest padding = crypto::Blake2b("fedmesh/data/padding/v1").add(salt(3)).finish();
  const Digest top = node(node(leaf(0), leaf(1)), node(leaf(2), padding));
  const Digest root = crypto::Blake2b("fedmesh/data/root/v1")
                          .add_u64(3)
                          .add_u64(2)
                          .add_u64(1)
                          .add_u64(2)
                          .add(top)
                          .finish();
  EXPECT_EQ(data_root(data, kJob, secret()), root);
}

}  // namespace
}  // namespace fedmesh::models
