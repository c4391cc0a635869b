// fedmesh receipts, receipts verify
#include <algorithm>
#include <cstdio>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/receipts.h"

namespace fedmesh::cli {
namespace {

// The genesis that was named, else the one that the worker took on first use.
Result<ledger::Genesis> genesis_for(const Options& options) {
  if (options.is_set("genesis")) return ledger::load_genesis(options.text("genesis"));
  const auto path = std::filesystem::path(options.text("home")) / "genesis.fm";
  auto genesis = ledger::load_genesis(path);
  if (!genesis.ok() && genesis.error().code == ErrorCode::not_found)
    return not_found("there is no " + path.string() +
                     "; name the network's genesis with --genesis FILE, or a worker's folder with "
                     "--home DIR");
  return genesis;
}

int finish(const Options& options, const ledger::Genesis& genesis,
           const std::vector<FoundReceipt>& receipts) {
  const auto wrong = std::count_if(receipts.begin(), receipts.end(),
                                   [](const auto& receipt) { return !receipt.receipt; });
  if (wants_json(options)) {
    std::printf("%s", receipts_json(genesis, receipts).c_str());
  } else {
    std::printf("%s%zu receipts, %zu verify against network %s, chain %s\n",
                receipts_table(receipts).c_str(), receipts.size(),
                receipts.size() - static_cast<std::size_t>(wrong), genesis.network_name.c_str(),
                ledger::chain_id(genesis).hex().c_str());
  }
  return wrong == 0 ? kExitDone : kExitFailed;
}

}  // namespace

Result<int> run_receipts(const Options& options) {
  const std::filesystem::path home = options.text("home");
  FM_TRY(const auto genesis, genesis_for(options));
  std::optional<NodeId> worker;
  const auto key = crypto::load_key(home / "node.key");
  if (key.ok()) {
    worker = key->node_id();
  } else if (key.error().code != ErrorCode::not_found) {
    return key.error();
  }
  FM_TRY(const auto receipts, receipts_in(home, genesis, worker));
  if (options.is_set("export")) {
    const std::filesystem::path path = options.text("export");
    FM_TRY_VOID(write_file(path, as_bytes(to_collection(genesis, receipts))));
    if (!wants_json(options))
      std::printf("wrote %s; check it anywhere with: fedmesh receipts verify %s --genesis FILE\n",
                  path.c_str(), path.c_str());
  }
  return finish(options, genesis, receipts);
}

Result<int> run_receipts_verify(const Options& options) {
  FM_TRY(const auto genesis, genesis_for(options));
  std::vector<FoundReceipt> all;
  for (const auto& file : options.arguments("FILE"))
    for (auto& receipt : receipts_of(file, genesis)) all.push_back(std::move(receipt));
  return finish(options, genesis, all);
}

}  // namespace fedmesh::cli
