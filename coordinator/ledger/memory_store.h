// A store for tests, the simulator and embedded runs: nothing survives the process.
#pragma once

#include <vector>

#include "coordinator/ledger/store.h"

namespace fedmesh::ledger {

class MemoryStore final : public Store {
 public:
  Result<void> add(const CertifiedBlock& block) override;
  Result<void> flush() override { return {}; }
  Result<CertifiedBlock> get(Height height) const override;
  Height head() const override { return {blocks_.size()}; }

 private:
  std::vector<CertifiedBlock> blocks_;
};

}  // namespace fedmesh::ledger
