// The rules for blocks that need no execution: form, order, roots of the body and the global log,
// signatures. Shared by the chain and by the verification of exports.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/merkle.h"

namespace fedmesh::ledger {

// What a block is judged against: the block before it, or the genesis.
struct Tip {
  Height height;
  Digest hash;
  std::int64_t timestamp_ms = 0;
  MerkleFrontier log;
};

Tip genesis_tip(const Genesis& genesis);

// "block 12"; "block 12, record 3 (commit)", records counted from 0.
std::string describe(Height height);
std::string describe(Height height, std::size_t index, const Record& record);

// The header extends `tip` on this chain, in epoch 0 with the genesis' committee.
Result<void> check_header(const Genesis& genesis, const ChainId& chain, const Tip& tip,
                          const Header& header);

// What a valid body makes.
struct BodyResult {
  Tip tip;
  std::vector<Digest> record_hashes;
};

// Sizes, every record (by `check_record`, which also gets its record_hash; errors name the record),
// body root, log size and log root.
Result<BodyResult> check_body(
    const Tip& tip, const Block& block,
    const std::function<Result<void>(const Record&, const Digest&)>& check_record);

}  // namespace fedmesh::ledger
