// One job, run as often as wanted from the same start: keys, data, ledger and job id are copied, so
// that two runs differ in nothing but what happens to their processes.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/e2e/crash/crash_points.h"
#include "tests/e2e/federation.h"

namespace fedmesh::e2e {

// What a run ended with.
struct Ended {
  std::string model;            // bytes
  nlohmann::json report;        // report.json of `job fetch`
  std::set<std::string> blobs;  // files of the coordinator's blob store
};

class Rehearsal {
 public:
  static constexpr const char* kCrashing = "anna";  // of the workers, the one that dies
  static constexpr const char* kSteady = "bert";
  static constexpr int kRounds = 2;

  explicit Rehearsal(Scenario scenario) : scenario_(scenario) {}
  // Makes the network and submits the job; nobody trains yet.
  void prepare();

  // The whole job without a crash.
  void run(Ended& ended) const;
  // With a crash: fails unless the process dies there by SIGKILL.
  void run(const CrashPoint& point, Ended& ended) const;

 private:
  void start(Federation& net, const CrashPoint* point) const;
  void resume(Federation& net, const CrashPoint& point) const;
  void give_role_back(Federation& net, const CrashPoint* point) const;
  void finish(Federation& net, Ended& ended) const;
  std::vector<std::string> admit(const std::string& roles) const;

  Scenario scenario_;
  Federation origin_;
  std::string job_;
  std::string coordinator_key_;
};

}  // namespace fedmesh::e2e
