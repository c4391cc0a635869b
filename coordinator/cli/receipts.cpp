#include "coordinator/cli/receipts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/report_text.h"
#include "models/data/file.h"

namespace fedmesh::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kCollectionBytes = std::size_t{256} << 20;
constexpr const char* kPrefix = "receipt-";
constexpr const char* kDamaged =
    "; the file is damaged or no receipt: restore it from a backup, or remove it (a worker asks "
    "for "
    "a receipt only once, when the round ends)";

std::string round_text(const protocol::Contribution& contribution) {
  return std::to_string(contribution.slot.round.value);
}

Json facts(const Receipt& receipt) {
  const auto& contribution = receipt.contribution;
  return {{"job", contribution.job.hex()},
          {"round", contribution.slot.round.value},
          {"attempt", contribution.slot.attempt.value},
          {"worker", contribution.worker.hex()},
          {"commitment", contribution.commitment.hex()},
          {"records", contribution.record_count},
          {"revealed", contribution.revealed},
          {"counted", contribution.in_set},
          {"height", receipt.height.value},
          {"timestamp_ms", receipt.timestamp_ms}};
}

FoundReceipt found(const std::string& file, Result<Receipt> receipt) {
  if (!receipt.ok()) return {file, std::nullopt, receipt.error().detail};
  return {file, std::move(receipt).value(), ""};
}

// One entry of a collection: the proof decides, and what stands beside it must say the same.
Result<Receipt> verify_entry(const ledger::Genesis& genesis, const nlohmann::json& entry) {
  if (!entry.is_object() || !entry.contains("proof") || !entry["proof"].is_string())
    return corruption("it has no proof");
  auto proof = from_hex(entry["proof"].get<std::string>());
  if (!proof.ok()) return proof.error().with_context("its proof");
  FM_TRY(Receipt receipt, verify_receipt(genesis, *proof));
  const nlohmann::json expected = facts(receipt);
  for (const auto& [name, value] : expected.items())
    if (entry.contains(name) && entry[name] != value)
      return corruption("its '" + name + "' is not what the proof says; trust the proof alone");
  return receipt;
}

std::vector<FoundReceipt> read_collection(const std::string& file, const Bytes& bytes,
                                          const ledger::Genesis& genesis) {
  const auto json = nlohmann::json::parse(bytes.begin(), bytes.end(), nullptr, false);
  const bool known = json.is_object() && json.contains("fedmesh_receipts") &&
                     json["fedmesh_receipts"] == 1 && json.contains("receipts") &&
                     json["receipts"].is_array();
  if (!known)
    return {{file, std::nullopt,
             std::string("it is JSON, but no collection of receipts of this version") + kDamaged}};
  std::vector<FoundReceipt> out;
  for (const auto& entry : json["receipts"])
    out.push_back(
        found(file + ", receipt " + std::to_string(out.size() + 1), verify_entry(genesis, entry)));
  return out;
}

Result<Receipt> verify_own(const std::filesystem::path& file, const ledger::Genesis& genesis,
                           const std::optional<NodeId>& worker) {
  FM_TRY(const Bytes bytes, models::read_file(file, ledger::kMaxProofBytes));
  FM_TRY(Receipt receipt, verify_receipt(genesis, bytes));
  const auto& contribution = receipt.contribution;
  const std::string name = kPrefix + contribution.job.hex() + "-" + round_text(contribution);
  if (file.filename() != name)
    return corruption("it is genuine, but of job " + contribution.job.short_hex() + " round " +
                      round_text(contribution) + ": rename it to " + name);
  if (worker && contribution.worker != *worker)
    return unauthenticated("it is genuine, but of worker " + contribution.worker.short_hex() +
                           ", not of this one, " + worker->short_hex() +
                           ": move it to that worker's home");
  return receipt;
}

}  // namespace

Result<Receipt> verify_receipt(const ledger::Genesis& genesis, ByteView proof) {
  auto decoded = ledger::decode_state_entry_proof(proof);
  if (!decoded.ok()) return corruption(decoded.error().detail + kDamaged);
  const ChainId chain = ledger::chain_id(genesis);
  if (decoded->header.chain != chain)
    return invalid_argument("it is of network " + decoded->header.chain.short_hex() +
                            ", the genesis is of " + chain.short_hex() +
                            ": give that network's genesis with --genesis FILE");
  const auto value = ledger::verify_proof(genesis, *decoded);
  if (!value.ok()) return unauthenticated(value.error().detail + kDamaged);
  if (!value->has_value())
    return unauthenticated("it proves that there is no entry " + decoded->entry.key);
  auto contribution = protocol::decode_state<protocol::Contribution>(**value);
  const bool named =
      contribution.ok() &&
      decoded->entry.key == protocol::contribution_key(contribution->job, contribution->slot.round,
                                                       contribution->worker);
  if (!named) return unauthenticated("it proves another entry than a contribution");
  return Receipt{std::move(contribution).value(), decoded->header.height,
                 decoded->header.timestamp_ms, to_bytes(proof)};
}

Result<std::vector<FoundReceipt>> receipts_in(const std::filesystem::path& home,
                                              const ledger::Genesis& genesis,
                                              const std::optional<NodeId>& worker) {
  const auto folder = home / "items";
  std::error_code error;
  std::vector<std::filesystem::path> files;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(kPrefix) && !name.ends_with(".part")) files.push_back(at->path());
  }
  if (error)
    return not_found("cannot list " + folder.string() + ": " + error.message() +
                     "; name the worker's folder with --home");
  std::sort(files.begin(), files.end());
  std::vector<FoundReceipt> out;
  for (const auto& file : files)
    out.push_back(found(file.string(), verify_own(file, genesis, worker)));
  const auto order = [](const FoundReceipt& receipt) {
    const bool ok = receipt.receipt.has_value();
    return ok ? std::pair(receipt.receipt->contribution.job,
                          receipt.receipt->contribution.slot.round.value)
              : std::pair(JobId{}, std::uint64_t{0});
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const auto& a, const auto& b) { return order(a) < order(b); });
  return out;
}

std::vector<FoundReceipt> receipts_of(const std::filesystem::path& file,
                                      const ledger::Genesis& genesis) {
  const auto bytes = models::read_file(file, kCollectionBytes);
  if (!bytes.ok()) return {{file.string(), std::nullopt, bytes.error().detail}};
  if (!bytes->empty() && bytes->front() == '{')
    return read_collection(file.string(), *bytes, genesis);
  return {found(file.string(), verify_receipt(genesis, *bytes))};
}

std::string to_collection(const ledger::Genesis& genesis,
                          const std::vector<FoundReceipt>& receipts) {
  Json out = {{"fedmesh_receipts", 1},
              {"chain_id", ledger::chain_id(genesis).hex()},
              {"network", repaired_utf8(genesis.network_name)},
              {"receipts", Json::array()}};
  for (const auto& receipt : receipts) {
    if (!receipt.receipt) continue;
    Json entry = facts(*receipt.receipt);
    entry["proof"] = to_hex(receipt.receipt->proof);
    out["receipts"].push_back(std::move(entry));
  }
  return out.dump(2) + "\n";
}

std::string receipts_table(const std::vector<FoundReceipt>& receipts) {
  std::vector<std::vector<std::string>> rows = {
      {"JOB", "ROUND", "WORKER", "RECORDS", "COUNTED", "BLOCK", "TIME", "VERIFIED"}};
  std::string problems;
  for (const auto& found_one : receipts) {
    if (!found_one.receipt) {
      problems += "does not verify: " + for_terminal(found_one.file) + ": " +
                  for_terminal(found_one.problem) + "\n";
      continue;
    }
    const auto& receipt = *found_one.receipt;
    const auto& contribution = receipt.contribution;
    rows.push_back({contribution.job.hex().substr(0, 12), round_text(contribution),
                    contribution.worker.short_hex(), std::to_string(contribution.record_count),
                    contribution.in_set     ? "yes"
                    : contribution.revealed ? "no: update not kept"
                                            : "no: not revealed",
                    std::to_string(receipt.height.value), time_text(receipt.timestamp_ms), "yes"});
  }
  return (rows.size() > 1 ? table(rows) : "") + problems;
}

std::string receipts_json(const ledger::Genesis& genesis,
                          const std::vector<FoundReceipt>& receipts) {
  Json out = {{"receipts_version", 1},
              {"chain_id", ledger::chain_id(genesis).hex()},
              {"receipts", Json::array()}};
  for (const auto& receipt : receipts) {
    Json entry = receipt.receipt ? facts(*receipt.receipt) : Json::object();
    entry["file"] = receipt.file;
    entry["verified"] = receipt.receipt.has_value();
    entry["problem"] = receipt.problem;
    out["receipts"].push_back(std::move(entry));
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fedmesh::cli
