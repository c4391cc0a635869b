#include "coordinator/ledger/memory_store.h"

#include <string>

namespace fedmesh::ledger {

Result<void> MemoryStore::add(const CertifiedBlock& block) {
  const Height height = block.block.header.height;
  if (height != head().next())
    return invalid_argument("the store expects block " + std::to_string(head().next().value) +
                            ", not " + std::to_string(height.value));
  blocks_.push_back(block);
  return {};
}

Result<CertifiedBlock> MemoryStore::get(Height height) const {
  if (height.value == 0 || height > head())
    return not_found("block " + std::to_string(height.value) + " of " +
                     std::to_string(head().value));
  return blocks_[height.value - 1];
}

}  // namespace fedmesh::ledger
