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

  // Block and certificate together or not at all, durable after flush(). invalid_argument unless
  // the height is head() + 1. Any other error, of both functions, is final: the host stops the node
  // rather than retry.
  virtual Result<void> add(const CertifiedBlock& block) = 0;
  // What was added is durable on return; after a crash before that, any first part of it.
  virtual Result<void> flush() = 0;
  Result<void> append(const CertifiedBlock& block);             // both
  virtual Result<CertifiedBlock> get(Height height) const = 0;  // not_found; corruption
  virtual Height head() const = 0;                              // 0 where no block is stored
};

inline Result<void> Store::append(const CertifiedBlock& block) {
  FM_TRY_VOID(add(block));
  return flush();
}

}  // namespace fedmesh::ledger
