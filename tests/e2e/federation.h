// One network of a test: a temporary home with keys, data and logs, a coordinator, workers and the
// command line, all of them the programs that users run.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/process.h"
#include "tests/e2e/sockets.h"

namespace fedmesh::e2e {

// What a command printed and how it ended. `code` is -1 where it did not end in time.
struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

// A job on the tables that write_table() makes. Sections may be replaced as a whole.
struct JobText {
  std::string name = "small";
  std::string training = "learning_rate = 0.5\n";
  std::string federation =
      "rounds = 2\nmax_participants = 3\nmin_updates = 2\nenrol_deadline = \"60s\"\n";
  std::string rest =
      "[privacy]\nunit = \"worker\"\nmechanism = \"none\"\n"
      "[preprocessing]\nstandardise = \"public\"\n";

  std::string text() const;
};

class Federation {
 public:
  Federation();
  // Ends every process of the test, shows the logs where it failed, removes the home.
  ~Federation();
  Federation(const Federation&) = delete;
  Federation& operator=(const Federation&) = delete;

  const std::filesystem::path& home() const { return home_; }
  std::string path(const std::string& name) const { return (home_ / name).string(); }
  const std::string& endpoint() const { return endpoint_; }
  const std::string& bulk_endpoint() const { return bulk_endpoint_; }
  // What another one left, keys, data, ledger and all; before anything is started here.
  void adopt(const Federation& other);
  // The next process that is started dies there (base/crash_point.h), and no later one.
  void crash_next_at(const std::string& point) { crash_next_at_ = point; }

  std::string write(const std::string& name, const std::string& text) const;  // its path
  // Rows patient,age,dose,dose_again,ill with an age and doses that predict ill.
  std::string write_table(const std::string& name, int seed, const std::string& last_rows = "");
  std::string write_job(const JobText& job) const;

  // `fedmesh` with HOME in the home.
  std::unique_ptr<Process> begin(const std::vector<std::string>& arguments);
  Ran fedmesh(const std::vector<std::string>& arguments);
  // With --coordinator; the key is $HOME/.fedmesh/coordinator/owner.key.
  Ran online(std::vector<std::string> arguments);

  // `fedmesh init` with a worker and validator of each name admitted from the start.
  void init(const std::vector<std::string>& worker_names = {});
  void start_coordinator(const std::string& listen = "127.0.0.1:0",
                         const std::vector<std::string>& flags = {});
  void restart_coordinator(const std::vector<std::string>& flags = {});  // same addresses
  // Home and table are named after it; the table is made where there is none.
  Process& start_worker(const std::string& name, const std::vector<std::string>& flags = {},
                        const std::string& join = "");
  Process& coordinator() { return *processes_.at("coordinator"); }
  Process& worker(const std::string& name) { return *processes_.at(name); }
  // init(), the coordinator, and a linked worker of each name.
  void start(const std::vector<std::string>& worker_names);

  // Submits and returns the job's id.
  std::string submit(const JobText& job);

 private:
  Process& launch(const std::string& name, const std::vector<std::string>& command);
  void show_logs() const;

  std::filesystem::path home_;
  std::vector<std::string> environment_;
  std::string endpoint_;
  std::string bulk_endpoint_;
  std::string crash_next_at_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  int failures_before_ = 0;
  int runs_ = 0;
  int started_workers_ = 0;
};

// A port of the loopback interface on which nobody listens, kept from others until a program binds
// it with SO_REUSEADDR, as ZeroMQ does.
class ReservedPort {
 public:
  ReservedPort();
  std::string endpoint() const;

 private:
  Socket socket_;
};

}  // namespace fedmesh::e2e
