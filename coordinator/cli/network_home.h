// The files that a new network starts from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/crypto/keys.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/ledger/genesis.h"

namespace fedmesh::cli {

// Makes in `home`: node.key (the coordinator: consensus committee and aggregator), operator.key
// (admits nodes), owner.key (may submit jobs) and genesis.fm, which names them and `participants`.
// Existing keys are kept; an existing genesis is an error.
Result<ledger::Genesis> create_network(const std::filesystem::path& home,
                                       const std::string& network_name,
                                       std::vector<ledger::Participant> participants,
                                       SecureRandom& random, std::int64_t now_ms);

// "worker,validator" or "worker+validator" -> bits; the error lists the roles.
Result<std::uint32_t> parse_roles(const std::string& text);
std::string roles_text(std::uint32_t roles);

// "PUBLICKEYHEX:ROLES[:NAME]". Several roles are joined by '+' here: a list option splits at
// commas.
Result<ledger::Participant> parse_participant(const std::string& text);

}  // namespace fedmesh::cli
