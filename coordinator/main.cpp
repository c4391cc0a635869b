// fedmesh-coordinator: consensus member, aggregator and meeting point of one network.
#include <cstdio>
#include <cstdlib>

#include "base/crypto/keys.h"
#include "base/heap.h"
#include "base/options.h"
#include "coordinator/host.h"

namespace {

fedmesh::Command command() {
  const char* user_home = std::getenv("HOME");
  fedmesh::Command root{
      .name = "fedmesh-coordinator",
      .help = "Runs a coordinator: it keeps the ledger, aggregates updates and serves workers.",
      .config_file = true};
  root.options = {
      {.name = "home",
       .value = "DIR",
       .fallback = std::string(user_home != nullptr ? user_home : ".") + "/.fedmesh/coordinator",
       .help = "where node.key and genesis.fm are (made by `fedmesh init`)"},
      {.name = "listen",
       .value = "HOST:PORT",
       .fallback = "127.0.0.1:7700",
       .help = "address to listen on; port 0 takes a free one"},
      {.name = "bulk-listen",
       .value = "HOST:PORT",
       .help = "address for models and updates, on the host of --listen; default: the next port"},
      {.name = "endpoint-file",
       .value = "FILE",
       .help = "write the bound HOST:PORT there once listening"},
      {.name = "confirm-restored",
       .kind = fedmesh::OptionKind::integer,
       .value = "HEIGHT",
       .help = "first start on a restored ledger: no newer copy of it exists or runs anywhere",
       .minimum = 0}};
  return root;
}

}  // namespace

int main(int argc, char** argv) {
  fedmesh::keep_freed_buffers();
  fedmesh::crypto::initialise();
  auto invocation =
      fedmesh::parse_options(command(), {argv + 1, argv + argc}, fedmesh::process_environment());
  if (!invocation.ok()) {
    std::fprintf(stderr, "fedmesh-coordinator: %s\n", invocation.error().detail.c_str());
    return fedmesh::kExitUsage;
  }
  if (invocation->print) {
    std::printf("%s", invocation->print->c_str());
    return fedmesh::kExitDone;
  }
  const auto& options = invocation->options;
  fedmesh::coordinator::HostConfig config{options.text("home"),
                                          options.text("listen"),
                                          options.text("bulk-listen"),
                                          options.text("endpoint-file"),
                                          {}};
  if (options.is_set("confirm-restored"))
    config.confirm_restored =
        fedmesh::Height{static_cast<std::uint64_t>(options.integer("confirm-restored"))};
  const auto result = fedmesh::coordinator::run(config);
  if (result.ok()) return fedmesh::kExitDone;
  std::fprintf(stderr, "fedmesh-coordinator: %s\n", result.error().to_string().c_str());
  return fedmesh::kExitFailed;
}
