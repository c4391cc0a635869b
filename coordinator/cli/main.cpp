// fedmesh: the command line.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/crypto/keys.h"
#include "base/heap.h"
#include "base/options.h"
#include "coordinator/cli/commands.h"

namespace {

using fedmesh::Command;
using fedmesh::Option;
using fedmesh::OptionKind;
using namespace fedmesh::cli;

std::string user_path(const char* rest) {
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.fedmesh/" + rest;
}

std::vector<Option> network_options(const char* key = "coordinator/owner.key") {
  return {{.name = "coordinator",
           .value = "HOST:PORT",
           .fallback = "127.0.0.1:7700",
           .help = "where the coordinator listens"},
          {.name = "key",
           .value = "FILE",
           .fallback = user_path(key),
           .help = "the key that signs for you"},
          {.name = "chain", .value = "HEX", .help = "refuse any other network than this chain id"}};
}

std::vector<Option> with(std::vector<Option> options, std::vector<Option> more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

Option format_option() {
  return {.name = "format",
          .fallback = "table",
          .help = "how the answer is printed",
          .choices = {"table", "json"}};
}

Option timeout_option(const char* fallback) {
  return {.name = "timeout",
          .kind = OptionKind::integer,
          .value = "SECONDS",
          .fallback = fallback,
          .help = "give up waiting after this long; 0: never",
          .minimum = 0,
          .maximum = 31'536'000};
}

Option device_option() {
  return {.name = "device",
          .fallback = "cpu",
          .help = "where models are trained and evaluated",
          .choices = {"cpu", "cuda", "auto"}};
}

Option data_option(const char* help) {
  return {.name = "data", .kind = OptionKind::list, .value = "URI", .help = help, .commas = false};
}

Option integer_option(const char* name, const char* fallback, const char* help) {
  return {.name = name,
          .kind = OptionKind::integer,
          .value = "N",
          .fallback = fallback,
          .help = help,
          .minimum = 0,
          .maximum = 1'000'000};
}

Command job_commands() {
  Command job{.name = "job", .help = "Submit, follow and fetch federated jobs."};
  job.commands = {
      {.name = "submit",
       .help = "Submit the job that a TOML file describes.",
       .options = with(
           network_options(),
           {{.name = "watch", .kind = OptionKind::flag, .help = "follow it"}, timeout_option("0")}),
       .positionals = {{.name = "FILE", .help = "job file; see `fedmesh job reference`"}}},
      {.name = "list", .help = "List jobs.", .options = with(network_options(), {format_option()})},
      {.name = "show",
       .help = "Show a job: what it waits for, who takes part, every round.",
       .options = with(network_options(), {format_option()}),
       .positionals = {{.name = "JOB", .help = "name, id, or the id's first digits"}}},
      {.name = "watch",
       .help = "Follow a job until it ends.",
       .options = with(network_options(), {timeout_option("0")}),
       .positionals = {{.name = "JOB", .help = "name, id, or the id's first digits"}}},
      {.name = "stop",
       .help = "Stop a job of yours.",
       .options = with(network_options(),
                       {{.name = "reason", .value = "TEXT", .help = "kept on the ledger"}}),
       .positionals = {{.name = "JOB", .help = "name, id, or the id's first digits"}}},
      {.name = "fetch",
       .help = "Fetch the newest model, the ledger and the report, and audit them.",
       .options = with(network_options(), {{.name = "out",
                                            .value = "DIR",
                                            .fallback = "fedmesh-job",
                                            .help = "folder for the files"}}),
       .positionals = {{.name = "JOB", .help = "name, id, or the id's first digits"}}},
      {.name = "reference", .help = "Print every key of a job file."}};
  return job;
}

Command backup_command() {
  return {.name = "backup",
          .help =
              "Copy a coordinator's genesis and ledger to a new folder, also while it runs. "
              "Every block is verified. operator.key and owner.key are never copied.",
          .options = {{.name = "home",
                       .value = "DIR",
                       .fallback = user_path("coordinator"),
                       .help = "the coordinator's folder"},
                      {.name = "with-key",
                       .kind = OptionKind::flag,
                       .help = "copy node.key too: whoever has it can be this coordinator"},
                      {.name = "blobs",
                       .kind = OptionKind::flag,
                       .help = "copy the stored models and other bulk data too"}},
          .positionals = {{.name = "DIR", .help = "the folder to make"}}};
}

Command restore_command() {
  return {.name = "restore",
          .help =
              "Verify a backup and put it into a coordinator's folder that has no ledger. Its "
              "first start then asks for a confirmation.",
          .options = {{.name = "home",
                       .value = "DIR",
                       .help = "the coordinator's folder, made where there is none",
                       .required = true}},
          .positionals = {{.name = "DIR", .help = "a backup"}}};
}

Command ledger_commands() {
  Command ledger{.name = "ledger", .help = "Look at the ledger, export it, verify an export."};
  ledger.commands = {{.name = "head",
                      .help = "Show the newest block.",
                      .options = with(network_options(), {format_option()})},
                     {.name = "show",
                      .help = "Show a block.",
                      .options = with(network_options(), {format_option()}),
                      .positionals = {{.name = "HEIGHT", .help = "from 1"}}},
                     {.name = "export",
                      .help = "Write the whole ledger to a file.",
                      .options = network_options(),
                      .positionals = {{.name = "FILE", .help = "the file to write"}}},
                     {.name = "verify",
                      .help = "Verify an export offline, by executing every block again.",
                      .positionals = {{.name = "FILE", .help = "a ledger export"}}},
                     backup_command(),
                     restore_command()};
  return ledger;
}

Command node_commands() {
  Command node{.name = "node", .help = "Admit nodes to the network and list them."};
  node.commands = {
      {.name = "admit",
       .help = "Give a key roles on this network (signed by an operator).",
       .options = with(network_options("coordinator/operator.key"),
                       {{.name = "roles",
                         .value = "ROLES",
                         .fallback = "worker",
                         .help = "worker, validator, submitter, aggregator; none removes"},
                        {.name = "name", .value = "TEXT", .help = "a name for people"}}),
       .positionals = {{.name = "PUBLICKEY", .help = "in hex, as the node prints it"}}},
      {.name = "list",
       .help = "List the network's nodes.",
       .options = with(network_options(), {format_option()})}};
  return node;
}

Command local_commands() {
  Command demo{.name = "demo",
               .help = "Run a whole federation on this machine and audit its model."};
  demo.options = {{.name = "task",
                   .fallback = "clinics",
                   .help = "clinics: private risk model; digits: image classifier without noise",
                   .choices = {"clinics", "digits"}},
                  {.name = "job", .value = "FILE", .help = "run this job file instead"},
                  data_option("a worker's data, once per worker (with --job)"),
                  {.name = "workers",
                   .kind = OptionKind::integer,
                   .value = "N",
                   .fallback = "5",
                   .help = "how many worker processes",
                   .minimum = 1,
                   .maximum = 50},
                  {.name = "home",
                   .value = "DIR",
                   .help = "keep everything here instead of a temporary folder"},
                  device_option(),
                  timeout_option("900")};
  return demo;
}

Option home_option(const char* fallback, const char* help) {
  return {.name = "home", .value = "DIR", .fallback = user_path(fallback), .help = help};
}

Command explain_command() {
  auto network = network_options();
  network[0].fallback = "";  // asked only if it is named
  network[0].help = "take the round from this coordinator's blocks, verified";
  Command explain{.name = "explain",
                  .help = "Tell the timeline of a round: who answered when, who was waited for."};
  explain.options =
      with(std::move(network),
           {home_option("coordinator", "the coordinator's folder, for its event log"),
            {.name = "log",
             .kind = OptionKind::list,
             .value = "FILE",
             .help = "one more event log, a worker's for example",
             .commas = false},
            {.name = "ledger", .value = "FILE", .help = "take the round from this ledger export"},
            {.name = "attempt",
             .kind = OptionKind::integer,
             .value = "N",
             .help = "of the round, from 0 (default: the newest)",
             .minimum = 0,
             .maximum = 1'000'000},
            format_option()});
  explain.positionals = {{.name = "JOB", .help = "name, id, or the id's first digits"},
                         {.name = "ROUND", .help = "its number; 0 is the standardisation"}};
  return explain;
}

Command doctor_command() {
  Command doctor{.name = "doctor",
                 .help = "Check this machine: clock, disk, keys, trainer, GPU, network."};
  doctor.options = {
      home_option("", "the folder of a coordinator or worker, or what holds both"),
      {.name = "listen", .value = "HOST:PORT", .help = "can a coordinator listen there?"},
      {.name = "coordinator", .value = "HOST:PORT", .help = "can that coordinator be reached?"},
      format_option()};
  return doctor;
}

Command receipts_command() {
  Command receipts{.name = "receipts",
                   .help =
                       "List a worker's receipts, each verified offline. `fedmesh receipts "
                       "verify` takes anybody's."};
  receipts.options = {
      home_option("worker", "the worker's folder"),
      {.name = "genesis", .value = "FILE", .help = "the network's genesis (default: in --home)"},
      {.name = "export", .value = "FILE", .help = "also write those that verify to one JSON file"},
      format_option()};
  receipts.commands = {
      {.name = "verify",
       .help = "Verify receipts from anybody against --genesis, offline.",
       .positionals = {
           {.name = "FILE", .help = "receipts, or exports of them", .repeated = true}}}};
  receipts.standalone = true;
  return receipts;
}

Command root_command() {
  Command root{.name = "fedmesh", .help = "Federated learning that shows where a model came from."};
  Command key{.name = "key", .help = "Keys."};
  key.commands = {{.name = "show",
                   .help = "Print a key file's public key and node id.",
                   .positionals = {{.name = "FILE", .help = "a key file"}}}};
  Command init{.name = "init", .help = "Make the keys and the genesis of a new network."};
  init.options = {
      {.name = "home",
       .value = "DIR",
       .fallback = user_path("coordinator"),
       .help = "folder of the new coordinator"},
      {.name = "network", .value = "NAME", .fallback = "fedmesh", .help = "its name"},
      {.name = "participant",
       .kind = OptionKind::list,
       .value = "KEY:ROLES[:NAME]",
       .help = "admit a key from the start, roles joined by + (others later: node admit)"}};
  for (auto& option : init.options)
    if (option.kind == OptionKind::list) option.env = "FEDMESH_PARTICIPANTS";
  Command audit{.name = "audit",
                .help = "Check offline how a model came to be, from a ledger export alone."};
  audit.options = {
      {.name = "ledger", .value = "FILE", .help = "the ledger export", .required = true},
      {.name = "genesis", .value = "FILE", .help = "accept only this network's ledger"},
      {.name = "chain", .value = "HEX", .help = "accept only this chain id"},
      format_option()};
  audit.positionals = {{.name = "MODEL", .help = "a model.safetensors"}};
  Command evaluate{.name = "evaluate", .help = "Evaluate a fetched model on data of yours."};
  evaluate.options = {
      {.name = "job", .value = "FILE", .help = "the model's job file", .required = true},
      data_option("data to evaluate on; may be repeated"),
      {.name = "standardisation",
       .value = "FILE",
       .help = "constants of a private standardisation (default: beside the model)"},
      device_option()};
  evaluate.positionals = {{.name = "MODEL", .help = "a model.safetensors"}};
  Command simulate{.name = "simulate", .help = "Run a job's federation in one process."};
  simulate.options = {integer_option("workers", "5", "how many workers"),
                      integer_option("seed", "1", "the first seed"),
                      integer_option("seeds", "1", "how many runs with consecutive seeds"),
                      data_option("a worker's data, once per worker, or once with {worker} "
                                  "(from 0) in it; else generated"),
                      {.name = "test",
                       .kind = OptionKind::list,
                       .value = "URI",
                       .help = "held-out data to score released models on; {seed} in it or in "
                               "--data is the run's seed",
                       .commas = false},
                      {.name = "baselines",
                       .kind = OptionKind::flag,
                       .help = "score training without a federation too: per worker, and on all "
                               "data in one place"},
                      {.name = "set",
                       .kind = OptionKind::list,
                       .value = "SECTION.KEY=VALUE",
                       .help = "another value for a key of the job file",
                       .commas = false},
                      format_option()};
  simulate.positionals = {{.name = "FILE", .help = "job file"}};
  root.commands = {local_commands(),    std::move(init),   std::move(key),   node_commands(),
                   job_commands(),      ledger_commands(), std::move(audit), std::move(evaluate),
                   std::move(simulate), explain_command(), doctor_command(), receipts_command()};
  return root;
}

using Run = fedmesh::Result<int> (*)(const fedmesh::Options&);

const std::map<std::vector<std::string>, Run> kRuns = {
    {{"init"}, run_init},
    {{"key", "show"}, run_key_show},
    {{"node", "admit"}, run_node_admit},
    {{"node", "list"}, run_node_list},
    {{"job", "submit"}, run_job_submit},
    {{"job", "list"}, run_job_list},
    {{"job", "show"}, run_job_show},
    {{"job", "watch"}, run_job_watch},
    {{"job", "stop"}, run_job_stop},
    {{"job", "fetch"}, run_job_fetch},
    {{"job", "reference"}, run_job_reference},
    {{"ledger", "head"}, run_ledger_head},
    {{"ledger", "show"}, run_ledger_show},
    {{"ledger", "export"}, run_ledger_export},
    {{"ledger", "verify"}, run_ledger_verify},
    {{"ledger", "backup"}, run_ledger_backup},
    {{"ledger", "restore"}, run_ledger_restore},
    {{"audit"}, run_audit},
    {{"evaluate"}, run_evaluate},
    {{"simulate"}, run_simulate},
    {{"demo"}, run_demo},
    {{"explain"}, run_explain},
    {{"doctor"}, run_doctor},
    {{"receipts"}, run_receipts},
    {{"receipts", "verify"}, run_receipts_verify},
};

}  // namespace

int main(int argc, char** argv) {
  fedmesh::keep_freed_buffers();
  fedmesh::crypto::initialise();
  auto invocation = fedmesh::parse_options(root_command(), {argv + 1, argv + argc},
                                           fedmesh::process_environment());
  if (!invocation.ok()) {
    std::fprintf(stderr, "fedmesh: %s\n", invocation.error().detail.c_str());
    return fedmesh::kExitUsage;
  }
  if (invocation->print) {
    std::printf("%s", invocation->print->c_str());
    return fedmesh::kExitDone;
  }
  const auto result = kRuns.at(invocation->path)(invocation->options);
  if (result.ok()) return *result;
  std::fprintf(stderr, "fedmesh: %s\n", result.error().to_string().c_str());
  return result.error().code == fedmesh::ErrorCode::unavailable ? fedmesh::kExitWaiting
                                                                : fedmesh::kExitFailed;
}
