// A worker's signed receipts: state entries with their proofs, verified offline against nothing but
// a genesis. Whoever holds the genesis can check a receipt of anybody's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/proof.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::cli {

// What a receipt proves.
struct Receipt {
  protocol::Contribution contribution;
  Height height;  // of the block under which it is proven; the round ended there or earlier
  std::int64_t timestamp_ms = 0;
  Bytes proof;  // as the worker stores it
};

// Certificate, state proof, and that the entry is the contribution that its key names. Errors say
// what does not hold and what to do.
Result<Receipt> verify_receipt(const ledger::Genesis& genesis, ByteView proof);

// A receipt as it was found, verified or not.
struct FoundReceipt {
  std::string file;  // a collection adds the place in it: "all.json, receipt 3"
  std::optional<Receipt> receipt;
  std::string problem;  // where there is none
};

// Every receipt in a worker's home, in the order of the file names. Also wrong: a receipt of
// another worker than `worker`, or under the name of another round. not_found: there is no such
// folder.
Result<std::vector<FoundReceipt>> receipts_in(const std::filesystem::path& home,
                                              const ledger::Genesis& genesis,
                                              const std::optional<NodeId>& worker);
// One file from anybody: a receipt, or a collection of them.
std::vector<FoundReceipt> receipts_of(const std::filesystem::path& file,
                                      const ledger::Genesis& genesis);

// A collection: {"fedmesh_receipts": 1, "chain_id": hex, "receipts": [{job, round, ..., proof}]}.
// What stands beside a proof is for readers; verifying compares it with the proof.
std::string to_collection(const ledger::Genesis& genesis,
                          const std::vector<FoundReceipt>& receipts);

std::string receipts_table(const std::vector<FoundReceipt>& receipts);
std::string receipts_json(const ledger::Genesis& genesis,
                          const std::vector<FoundReceipt>& receipts);

}  // namespace fedmesh::cli
