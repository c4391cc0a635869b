#include "tests/e2e/crash/rehearsal.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include "coordinator/protocol/state.h"

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Deadlines that nobody meets: phases end because everybody has answered.
JobText job_of(Scenario scenario) {
  JobText job{.name = "rehearsed"};
  job.federation =
      "rounds = 2\nmax_participants = 2\nmin_updates = 2\ncommit_deadline = \"1h\"\n"
      "reveal_deadline = \"1h\"\ncommittee_deadline = \"1h\"\nevaluation_deadline = \"1h\"\n";
  job.federation +=
      scenario == Scenario::too_few ? "enrol_deadline = \"100ms\"\n" : "enrol_deadline = \"1h\"\n";
  const std::string noisy =
      "[privacy]\nunit = \"record\"\nmechanism = \"laplace\"\nclip_l1 = 1.0\n"
      "epsilon_per_round = 0.25\nepsilon_total = 1.0\n"
      "[preprocessing]\nstandardise = \"private\"\nepsilon = 0.5\n";
  if (scenario == Scenario::noisy) job.rest = noisy;
  job.rest +=
      "[evaluation]\ndata = \"public\"\nblob = \"evaluation.csv\"\n[verification]\nvalidators = "
      "2\n";
  return job;
}

std::string events(const Federation& net) {
  return read_text(net.path(".fedmesh/coordinator/events.jsonl"));
}

bool reaches(const Federation& net, protocol::JobPhase phase) {
  const std::string event = std::string("\"job.") + to_string(phase) + "\"";
  return eventually([&] { return events(net).find(event) != std::string::npos; });
}

std::set<std::string> files_below(const fs::path& folder) {
  std::set<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out.insert(entry.path().filename().string());
  return out;
}

// Starts the real trainer, the first time with the variable: it is the worker that starts it again.
std::string deadly_trainer(const Federation& net, const std::string& point) {
  const std::string path =
      net.write("trainer.sh", "#!/bin/sh\nif mkdir '" + net.path("died") +
                                  "' 2>/dev/null; then\n  export FEDMESH_CRASH_AT='" + point +
                                  "'\nfi\nexec '" + program("fedmesh-trainer") + "' \"$@\"\n");
  ::chmod(path.c_str(), 0700);
  return path;
}

}  // namespace

void Rehearsal::prepare() {
  ASSERT_NO_FATAL_FAILURE(origin_.init({kCrashing, kSteady}));
  for (const auto& [name, seed] : {std::pair("anna.csv", 1), {"bert.csv", 2}})
    origin_.write_table(name, seed);
  origin_.write_table("evaluation.csv", 3);
  ASSERT_NO_FATAL_FAILURE(origin_.start_coordinator());
  const Ran listed = origin_.online({"node", "list", "--format", "json"});
  for (const auto& node : json::parse(listed.out, nullptr, false)) {
    if (node.at("roles").get<std::string>().find("coordinator") != std::string::npos)
      coordinator_key_ = node.at("public_key");
  }
  if (scenario_ == Scenario::no_aggregator) {
    const Ran ran = origin_.online(admit("coordinator"));
    ASSERT_EQ(ran.code, 0) << ran.err;
  }
  job_ = origin_.submit(job_of(scenario_));
  ASSERT_FALSE(job_.empty());
  if (scenario_ == Scenario::too_few) {
    ASSERT_TRUE(reaches(origin_, protocol::JobPhase::waiting_for_workers));
  }
  origin_.coordinator().signal(SIGTERM);
  ASSERT_EQ(origin_.coordinator().wait(), 0);
}

std::vector<std::string> Rehearsal::admit(const std::string& roles) const {
  return {"node", "admit", coordinator_key_, "--name", "coordinator", "--roles", roles};
}

void Rehearsal::run(Ended& ended) const {
  Federation net;
  net.adopt(origin_);
  ASSERT_NO_FATAL_FAILURE(start(net, nullptr));
  if (scenario_ == Scenario::no_aggregator) {
    ASSERT_NO_FATAL_FAILURE(give_role_back(net, nullptr));
  }
  finish(net, ended);
}

void Rehearsal::run(const CrashPoint& point, Ended& ended) const {
  Federation net;
  net.adopt(origin_);
  ASSERT_NO_FATAL_FAILURE(start(net, &point));
  if (scenario_ == Scenario::no_aggregator) {
    ASSERT_NO_FATAL_FAILURE(give_role_back(net, &point));
  } else {
    ASSERT_NO_FATAL_FAILURE(resume(net, point));
  }
  finish(net, ended);
}

void Rehearsal::start(Federation& net, const CrashPoint* point) const {
  const auto victim = [&](Victim kind) { return point != nullptr && point->victim == kind; };
  if (victim(Victim::coordinator)) net.crash_next_at(point->name);
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  std::vector<std::string> flags = {"--threads", "1"};
  net.start_worker(kSteady, flags);
  if (victim(Victim::worker)) net.crash_next_at(point->name);
  if (victim(Victim::trainer))
    flags.insert(flags.end(), {"--trainer", deadly_trainer(net, point->name)});
  net.start_worker(kCrashing, flags);
}

// Waits for the death, and starts again what died.
void Rehearsal::resume(Federation& net, const CrashPoint& point) const {
  if (point.victim == Victim::trainer) {
    ASSERT_TRUE(net.worker(kCrashing).says("was killed by signal 9")) << "never reached";
    return;
  }
  const bool worker = point.victim == Victim::worker;
  Process& process = worker ? net.worker(kCrashing) : net.coordinator();
  ASSERT_EQ(process.wait(), 128 + SIGKILL) << "never reached";
  if (worker) {
    net.start_worker(kCrashing, {"--threads", "1"});
  } else {
    net.restart_coordinator();
  }
}

// The coordinator dies over the very record that ends the waiting; then it is sent again.
void Rehearsal::give_role_back(Federation& net, const CrashPoint* point) const {
  ASSERT_TRUE(reaches(net, protocol::JobPhase::waiting_for_aggregators));
  if (point != nullptr && point->victim == Victim::worker) {
    ASSERT_NO_FATAL_FAILURE(resume(net, *point));
  }
  auto arguments = admit("coordinator,aggregator");
  arguments.insert(arguments.end(), {"--coordinator", net.endpoint()});
  const auto asked = net.begin(arguments);
  if (point != nullptr && point->victim == Victim::coordinator) {
    ASSERT_NO_FATAL_FAILURE(resume(net, *point));
    if (asked->wait() != 0) {
      const Ran again = net.fedmesh(arguments);
      ASSERT_EQ(again.code, 0) << again.err;
    }
    return;
  }
  ASSERT_EQ(asked->wait(), 0) << asked->errors();
}

void Rehearsal::finish(Federation& net, Ended& ended) const {
  const Ran watched = net.online({"job", "watch", job_, "--timeout", "60"});
  ASSERT_EQ(watched.code, 0) << watched.out << watched.err;
  const Ran fetched = net.online({"job", "fetch", job_, "--out", net.path("out")});
  ASSERT_EQ(fetched.code, 0) << fetched.err;
  EXPECT_NE(fetched.out.find("the audit holds"), std::string::npos) << fetched.out;
  ended.model = read_text(net.path("out/model.safetensors"));
  ended.report = json::parse(read_text(net.path("out/report.json")), nullptr, false);
  for (const std::string name : {kCrashing, kSteady}) {
    const fs::path items = net.home() / name / "items";
    const auto settled = [&] {
      int receipts = 0;
      for (const auto& file : files_below(items)) {
        if (file.starts_with("receipt-")) ++receipts;
        for (const char* prefix : {"opening-", "score-", "wanted-"})
          if (file.starts_with(prefix)) return false;
      }
      return receipts == kRounds + (scenario_ == Scenario::noisy ? 1 : 0);
    };
    EXPECT_TRUE(eventually(settled, std::chrono::seconds(20)))
        << name << " keeps " << ::testing::PrintToString(files_below(items));
    EXPECT_TRUE(eventually([&] { return files_below(net.home() / name / "blobs").empty(); },
                           std::chrono::seconds(20)))
        << name << " keeps " << ::testing::PrintToString(files_below(net.home() / name / "blobs"));
  }
  const fs::path home = net.home() / ".fedmesh/coordinator";
  EXPECT_TRUE(files_below(home / "items").empty())
      << ::testing::PrintToString(files_below(home / "items"));
  ended.blobs = files_below(home / "blobs");
}

}  // namespace fedmesh::e2e
