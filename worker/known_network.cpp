#include "worker/known_network.h"

namespace fedmesh::worker {
namespace {

std::filesystem::path stored_file(const NetworkChoice& choice) {
  return choice.home / "genesis.fm";
}

}  // namespace

Result<void> check_pin(const NetworkChoice& choice, const ledger::Genesis& genesis,
                       const std::string& where) {
  const ChainId chain = ledger::chain_id(genesis);
  if (choice.chain && *choice.chain != chain)
    return invalid_argument(where + " is network " + chain.hex() + ", but --chain pins " +
                            choice.chain->hex());
  return {};
}

Result<std::optional<ledger::Genesis>> known_network(const NetworkChoice& choice) {
  std::optional<ledger::Genesis> stored;
  std::error_code ignored;
  if (std::filesystem::exists(stored_file(choice), ignored)) {
    FM_TRY(stored, ledger::load_genesis(stored_file(choice)));
  }
  if (choice.file.empty()) {
    if (stored) FM_TRY_VOID(check_pin(choice, *stored, stored_file(choice).string()));
    return stored;
  }
  FM_TRY(auto named, ledger::load_genesis(choice.file));
  FM_TRY_VOID(check_pin(choice, named, choice.file.string()));
  const ChainId chain = ledger::chain_id(named);
  if (stored && ledger::chain_id(*stored) != chain)
    return invalid_argument(
        "--network " + choice.file.string() + " is network " + chain.hex() + ", but " +
        choice.home.string() + " belongs to network " + ledger::chain_id(*stored).hex() +
        "; give this network a folder of its own with --home, or, to move this worker with its "
        "key, remove " +
        stored_file(choice).string());
  if (!stored) FM_TRY_VOID(remember_network(choice, named));
  return std::optional(std::move(named));
}

Result<void> remember_network(const NetworkChoice& choice, const ledger::Genesis& genesis) {
  return ledger::store_genesis(stored_file(choice), genesis);
}

}  // namespace fedmesh::worker
