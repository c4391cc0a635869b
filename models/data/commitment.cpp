#include "models/data/commitment.h"

#include <bit>
#include <vector>

#include "base/crypto/digest.h"

namespace fedmesh::models {
namespace {

Digest salt(const JobId& job, const crypto::Secret<32>& secret, std::uint64_t index) {
  return crypto::Blake2b("fedmesh/data/salt/v1")
      .add(secret.view())
      .add(job)
      .add_u64(index)
      .finish();
}

Bytes canonical_row(const Dataset& data, std::size_t row) {
  Bytes out(4 + 4 * data.features);
  const MutableByteView to(out);
  store_le32(to, static_cast<std::uint32_t>(data.labels[row]));
  const auto values = data.row(row);
  for (std::size_t i = 0; i < values.size(); ++i)
    store_le32(to.subspan(4 + 4 * i), std::bit_cast<std::uint32_t>(values[i]));
  return out;
}

Digest merkle_root(std::vector<Digest> level) {
  while (level.size() > 1) {
    for (std::size_t i = 0; i < level.size() / 2; ++i)
      level[i] =
          crypto::Blake2b("fedmesh/data/node/v1").add(level[2 * i]).add(level[2 * i + 1]).finish();
    level.resize(level.size() / 2);
  }
  return level[0];
}

}  // namespace

Digest data_root(const Dataset& data, const JobId& job, const crypto::Secret<32>& secret) {
  const std::size_t padded = std::bit_ceil(std::max<std::size_t>(data.rows(), 1));
  std::vector<Digest> leaves;
  leaves.reserve(padded);
  for (std::size_t i = 0; i < data.rows(); ++i)
    leaves.push_back(crypto::Blake2b("fedmesh/data/leaf/v1")
                         .add(salt(job, secret, i))
                         .add(canonical_row(data, i))
                         .finish());
  for (std::size_t i = data.rows(); i < padded; ++i)
    leaves.push_back(crypto::Blake2b("fedmesh/data/padding/v1").add(salt(job, secret, i)).finish());
  crypto::Blake2b root("fedmesh/data/root/v1");
  root.add_u64(data.rows()).add_u64(data.classes).add_u64(data.shape.size());
  for (const std::int64_t extent : data.shape) root.add_u64(static_cast<std::uint64_t>(extent));
  return root.add(merkle_root(std::move(leaves))).finish();
}

}  // namespace fedmesh::models
