// fedmesh-worker: contributes to learning jobs with data that never leaves this machine.
#include <cstdio>
#include <cstdlib>

#include "base/crypto/keys.h"
#include "base/heap.h"
#include "base/options.h"
#include "worker/host.h"

namespace {

using fedmesh::OptionKind;
using fedmesh::Result;

std::string default_home() {
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && *home != '\0' ? home : ".") + "/.fedmesh/worker";
}

fedmesh::Command command() {
  return {
      .name = "fedmesh-worker",
      .help =
          "Takes part in federated learning: trains on data that stays on this machine and\n"
          "sends updates to the aggregators of the jobs that its owner consents to.",
      .options =
          {{.name = "join", .value = "HOST:PORT", .help = "The coordinator.", .required = true},
           {.name = "data",
            .value = "URI",
            .help =
                "A CSV file, an image and label file (a,b), or made up: clinics:silo=0,silos=5.",
            .required = true},
           {.name = "home",
            .value = "DIR",
            .fallback = default_home(),
            .help = "Key, network, receipts and event log."},
           {.name = "network",
            .value = "GENESIS_FILE",
            .help = "The network; without it the coordinator's is trusted on first use."},
           {.name = "chain", .value = "HEX", .help = "The id of the only network to take part in."},
           {.name = "coordinator",
            .value = "NODE_ID",
            .help = "The only node to talk to; without it whoever answers."},
           {.name = "device",
            .value = "NAME",
            .fallback = "auto",
            .help = "Where training runs.",
            .choices = {"cpu", "cuda", "auto"}},
           {.name = "threads",
            .kind = OptionKind::integer,
            .value = "N",
            .fallback = "1",
            .help = "Threads of the trainer.",
            .minimum = 1,
            .maximum = 256},
           {.name = "memory-mb",
            .kind = OptionKind::integer,
            .value = "MB",
            .help = "Memory offered to jobs; without it all of the machine's.",
            .minimum = 1,
            .maximum = 1 << 30},
           {.name = "name", .value = "TEXT", .help = "What to call this worker on its terminal."},
           {.name = "allow-submitter",
            .kind = OptionKind::list,
            .value = "HEX",
            .help = "Only jobs of these keys or node ids."},
           {.name = "require-privacy",
            .kind = OptionKind::flag,
            .help = "Only jobs that release noisy sums."},
           {.name = "max-epsilon",
            .kind = OptionKind::decimal,
            .value = "E",
            .help = "Privacy budget of all jobs together.",
            .minimum = 1},
           {.name = "max-epsilon-per-job",
            .kind = OptionKind::decimal,
            .value = "E",
            .help = "Privacy budget of one job.",
            .minimum = 1},
           {.name = "hours",
            .value = "HH:MM-HH:MM",
            .help = "take part in rounds only at this time of day, in UTC"},
           {.name = "allow-architecture",
            .kind = OptionKind::list,
            .value = "NAME",
            .help = "Only these models.",
            .choices = {"logistic", "mlp", "cnn"}},
           {.name = "trainer",
            .value = "PATH",
            .help = "The trainer; default: beside this program."}},
      .config_file = true};
}

Result<fedmesh::worker::HostConfig> host_config(const fedmesh::Options& options) {
  fedmesh::worker::HostConfig config;
  config.join = options.text("join");
  config.data = options.text("data");
  config.home = options.text("home");
  config.network = options.text("network");
  if (options.is_set("chain")) {
    const auto chain = fedmesh::ChainId::from_hex(options.text("chain"));
    if (!chain.ok()) return chain.error().with_context("--chain");
    config.chain = *chain;
  }
  if (options.is_set("coordinator")) {
    const auto node = fedmesh::NodeId::from_hex(options.text("coordinator"));
    if (!node.ok()) return node.error().with_context("--coordinator");
    config.coordinator = *node;
  }
  config.device = options.text("device");
  config.threads = static_cast<int>(options.integer("threads"));
  config.memory_mb = static_cast<std::uint32_t>(options.integer("memory-mb"));
  config.name = options.text("name");
  config.trainer = options.text("trainer");
  config.consent.require_privacy = options.flag("require-privacy");
  if (options.is_set("max-epsilon")) config.consent.max_epsilon_nano = options.nano("max-epsilon");
  if (options.is_set("max-epsilon-per-job"))
    config.consent.max_epsilon_per_job_nano = options.nano("max-epsilon-per-job");
  for (const auto& hex : options.list("allow-submitter"))
    if (const auto added = config.consent.allow_submitter(hex); !added.ok())
      return added.error().with_context("--allow-submitter");
  if (options.is_set("hours"))
    if (const auto set = config.consent.set_hours(options.text("hours")); !set.ok())
      return set.error().with_context("--hours");
  for (const auto& name : options.list("allow-architecture"))
    if (const auto added = config.consent.allow_architecture(name); !added.ok())
      return added.error().with_context("--allow-architecture");
  return config;
}

}  // namespace

int main(int argc, char** argv) {
  fedmesh::keep_freed_buffers();
  fedmesh::crypto::initialise();
  const auto invocation =
      fedmesh::parse_options(command(), {argv + 1, argv + argc}, fedmesh::process_environment());
  if (!invocation.ok()) {
    std::fprintf(stderr, "fedmesh-worker: %s\n", invocation.error().detail.c_str());
    return fedmesh::kExitUsage;
  }
  if (invocation->print) {
    std::fputs(invocation->print->c_str(), stdout);
    return fedmesh::kExitDone;
  }
  const auto config = host_config(invocation->options);
  if (!config.ok()) {
    std::fprintf(stderr, "fedmesh-worker: %s\n", config.error().detail.c_str());
    return fedmesh::kExitUsage;
  }
  const auto result = fedmesh::worker::run(*config);
  if (result.ok()) return fedmesh::kExitDone;
  std::fprintf(stderr, "fedmesh-worker: %s\n", result.error().to_string().c_str());
  // What a flag says (or what it names) is not allowed; everything else is not the caller's fault.
  return result.error().code == fedmesh::ErrorCode::invalid_argument ? fedmesh::kExitUsage
                                                                     : fedmesh::kExitFailed;
}
