// Where final blocks are kept.
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"

namespace fedmesh::ledger {

// Not thread-safe: owned by the host, used by one chain.
class Store {
 public:
  virtual ~Store() = default;

  // Block and certificate together or not at all, durable on return. invalid_argument unless the
  // height is head() + 1. Any other error is final: the host stops the node rather than retry.
  virtual Result<void> append(const CertifiedBlock& block) = 0;
  virtual Result<CertifiedBlock> get(Height height) const = 0;  // not_found; corruption
  virtual Height head() const = 0;                              // 0 where no block is stored
};

}  // namespace fedmesh::ledger
