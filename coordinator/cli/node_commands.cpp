// fedmesh init, key show, node admit, node list
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/network_home.h"
#include "coordinator/protocol/state.h"
#include "coordinator/rounds/conduct.h"

namespace fedmesh::cli {
namespace {

// Before the first block nothing is proven yet, and the network is what its genesis says.
Result<std::map<NodeId, protocol::NodeState>> nodes_of(Client& client) {
  std::map<NodeId, protocol::NodeState> out;
  FM_TRY(const auto entries, client.entries(protocol::kNodePrefix));
  for (const auto& [key, value] : entries) {
    FM_TRY(auto node, protocol::decode_state<protocol::NodeState>(value));
    out.emplace(crypto::node_id_of(node.key.view()), std::move(node));
  }
  if (client.height().value > 0) return out;
  for (const auto& participant : client.genesis().participants)
    out.emplace(crypto::node_id_of(participant.key.view()),
                protocol::NodeState{participant.key, participant.roles, participant.name,
                                    rounds::kConductListed, 0});
  return out;
}

}  // namespace

Result<int> run_init(const Options& options) {
  const std::filesystem::path home = options.text("home");
  std::vector<ledger::Participant> participants;
  for (const auto& text : options.list("participant")) {
    FM_TRY(auto participant, parse_participant(text));
    participants.push_back(std::move(participant));
  }
  SystemRandom random;
  FM_TRY(const auto genesis, create_network(home, options.text("network"), std::move(participants),
                                            random, SystemClock().now().ms));
  std::printf(
      "network %s, chain %s\n"
      "made in %s: node.key (coordinator), operator.key (admits nodes), owner.key (submits jobs), "
      "genesis.fm\n"
      "next: fedmesh-coordinator --home %s\n",
      genesis.network_name.c_str(), ledger::chain_id(genesis).hex().c_str(), home.c_str(),
      home.c_str());
  return kExitDone;
}

Result<int> run_key_show(const Options& options) {
  FM_TRY(const auto key, crypto::load_key(options.argument("FILE")));
  std::printf("public key  %s\nnode id     %s\n", key.public_key().hex().c_str(),
              key.node_id().hex().c_str());
  return kExitDone;
}

Result<int> run_node_admit(const Options& options) {
  protocol::Admit admit;
  auto key = crypto::PublicKey::from_hex(options.argument("PUBLICKEY"));
  if (!key.ok()) return key.error().with_context("PUBLICKEY");
  admit.key = *key;
  FM_TRY(admit.roles, parse_roles(options.text("roles")));
  admit.name = options.text("name");
  FM_TRY(const auto client, connect(options));
  FM_TRY(const Height height,
         client->submit(ledger::RecordKind::admit, JobId{}, codec::encode(admit)));
  std::printf("node %s has the roles %s, final in block %llu\n",
              crypto::node_id_of(key->view()).short_hex().c_str(), roles_text(admit.roles).c_str(),
              static_cast<unsigned long long>(height.value));
  return kExitDone;
}

Result<int> run_node_list(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const auto nodes, nodes_of(*client));
  FM_TRY(const auto status, client->status());
  std::vector<std::vector<std::string>> rows = {
      {"NODE", "NAME", "ROLES", "CONDUCT", "CONNECTED", "PUBLIC KEY"}};
  auto json = nlohmann::json::array();
  for (const auto& [id, node] : nodes) {
    const bool here =
        std::any_of(status.peers.begin(), status.peers.end(),
                    [&, here_id = id](const auto& peer) { return peer.node == here_id; });
    rows.push_back({id.short_hex(), node.name, roles_text(node.roles),
                    nano_text(node.conduct_micro * 1000, 2), here ? "yes" : "no", node.key.hex()});
    json.push_back({{"node", id.hex()},
                    {"name", node.name},
                    {"roles", roles_text(node.roles)},
                    {"conduct_micro", node.conduct_micro},
                    {"connected", here},
                    {"public_key", node.key.hex()}});
  }
  std::printf("%s", wants_json(options) ? (json.dump(2) + "\n").c_str() : table(rows).c_str());
  return kExitDone;
}

}  // namespace fedmesh::cli
