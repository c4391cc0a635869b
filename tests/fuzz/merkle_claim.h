// What the target `merkle` reads: the arguments of all Merkle verifiers at once.
#pragma once

#include "coordinator/ledger/merkle.h"
#include "coordinator/ledger/sparse_merkle.h"

namespace fedmesh::fuzz {

struct MerkleClaim {
  std::uint64_t number = 0;  // index, or the older size
  std::uint64_t size = 0;
  Digest first;  // leaf, or the older root
  Digest root;
  ledger::MerkleProof path;
  std::string key;
  std::optional<Bytes> value;
  ledger::StateProof state;
  FM_FIELDS(number, size, first, root, path, key, value, state)
};

}  // namespace fedmesh::fuzz
