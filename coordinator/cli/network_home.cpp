#include "coordinator/cli/network_home.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fedmesh::cli {
namespace {

constexpr std::array<std::pair<const char*, std::uint32_t>, 5> kRoles = {
    {{"coordinator", ledger::kCoordinator},
     {"aggregator", ledger::kAggregator},
     {"worker", ledger::kWorker},
     {"validator", ledger::kValidator},
     {"submitter", ledger::kSubmitter}}};

std::vector<std::string> split(const std::string& text, char separator, std::size_t parts_max) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator && parts.size() < parts_max) {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

}  // namespace

Result<std::uint32_t> parse_roles(const std::string& text) {
  std::uint32_t roles = 0;
  std::string separated = text;
  std::replace(separated.begin(), separated.end(), '+', ',');
  for (const std::string& part : split(separated, ',', 64)) {
    if (part == "none") continue;
    std::uint32_t role = 0;
    for (const auto& [name, bit] : kRoles)
      if (part == name) role = bit;
    if (role == 0)
      return invalid_argument("unknown role '" + part +
                              "'; allowed: coordinator, aggregator, worker, validator, submitter, "
                              "none, joined by ',' or '+'");
    roles |= role;
  }
  return roles;
}

std::string roles_text(std::uint32_t roles) {
  std::string text;
  for (const auto& [name, bit] : kRoles)
    if ((roles & bit) != 0) text += (text.empty() ? "" : ",") + std::string(name);
  return text.empty() ? "none" : text;
}

Result<ledger::Participant> parse_participant(const std::string& text) {
  const auto parts = split(text, ':', 3);
  if (parts.size() < 2)
    return invalid_argument("a participant is PUBLICKEY:ROLES[:NAME], for example 3f…:worker:anna");
  auto key = crypto::PublicKey::from_hex(parts[0]);
  if (!key.ok()) return key.error().with_context("participant's public key");
  FM_TRY(const auto roles, parse_roles(parts[1]));
  return ledger::Participant{*key, roles, parts.size() > 2 ? parts[2] : ""};
}

Result<ledger::Genesis> create_network(const std::filesystem::path& home,
                                       const std::string& network_name,
                                       std::vector<ledger::Participant> participants,
                                       SecureRandom& random, std::int64_t now_ms) {
  const auto path = home / "genesis.fm";
  if (std::filesystem::exists(path))
    return invalid_argument(path.string() + " exists: this is a network's home already");
  FM_TRY(const auto node, crypto::load_or_create_key(home / "node.key", random));
  FM_TRY(const auto operators, crypto::load_or_create_key(home / "operator.key", random));
  FM_TRY(const auto owner, crypto::load_or_create_key(home / "owner.key", random));
  ledger::Genesis genesis;
  genesis.network_name = network_name;
  genesis.created_ms = now_ms;
  genesis.committee = {node.public_key()};
  genesis.operators = {operators.public_key()};
  genesis.participants = {
      {node.public_key(), ledger::kCoordinator | ledger::kAggregator, "coordinator"},
      {owner.public_key(), ledger::kSubmitter, "owner"}};
  for (auto& participant : participants) genesis.participants.push_back(std::move(participant));
  genesis.nonce = random.array<32>();
  FM_TRY_VOID(ledger::validate(genesis));
  FM_TRY_VOID(ledger::store_genesis(path, genesis));
  return genesis;
}

}  // namespace fedmesh::cli
