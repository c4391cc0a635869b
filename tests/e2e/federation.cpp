#include "tests/e2e/federation.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "base/crypto/keys.h"
#include "base/random.h"

extern char** environ;

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;

// Settings of whoever runs the tests must not reach the programs.
std::vector<std::string> clean_environment(const fs::path& home) {
  std::vector<std::string> out = {"HOME=" + home.string()};
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string entry = *at;
    if (entry.starts_with("FEDMESH_") || entry.starts_with("HOME=")) continue;
    out.push_back(entry);
  }
  return out;
}

// So far in the test that runs, or in the set-up of its suite.
int failures() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return ::testing::Test::HasFailure();
  int failed = 0;
  for (int i = 0; i < test->result()->total_part_count(); ++i)
    if (test->result()->GetTestPartResult(i).failed()) ++failed;
  return failed;
}

}  // namespace

std::string JobText::text() const {
  return "name = \"" + name +
         "\"\n[model]\narchitecture = \"logistic\"\n"
         "[data]\nlabel = \"ill\"\n"
         "[[data.columns]]\nname = \"age\"\nmin = 0\nmax = 100\n"
         "[[data.columns]]\nname = \"dose\"\nmin = -1000000\nmax = 1000000\n"
         "[[data.columns]]\nname = \"dose_again\"\nmin = -1000000\nmax = 1000000\n"
         "[training]\n" +
         training + "[federation]\n" + federation + rest;
}

Federation::Federation() : failures_before_(failures()) {
  adopt_orphans();
  std::string pattern = (fs::temp_directory_path() / "fedmesh-e2e-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "cannot make " << pattern;
  home_ = pattern;
  environment_ = clean_environment(home_);
  fs::create_directory(home_ / "logs");
}

Federation::~Federation() {
  if (failures() > failures_before_) show_logs();
  processes_.clear();
  end_descendants("HOME=" + home_.string());
  std::error_code ignored;
  fs::remove_all(home_, ignored);
}

void Federation::show_logs() const {
  for (const auto& [name, process] : processes_)
    std::fprintf(stderr, "--- %s\n%s%s", name.c_str(), process->output().c_str(),
                 process->errors().c_str());
}

std::string Federation::write(const std::string& name, const std::string& text) const {
  std::ofstream(home_ / name, std::ios::binary) << text;
  return path(name);
}

std::string Federation::write_table(const std::string& name, int seed,
                                    const std::string& last_rows) {
  SeededRandom random(static_cast<std::uint64_t>(seed));
  std::string text = "patient,age,dose,dose_again,ill\n";
  for (int row = 0; row < 60; ++row) {
    const auto age = random.below(100);
    const auto dose = random.below(2000);
    text += "p" + std::to_string(row) + "," + std::to_string(age) + "," + std::to_string(dose) +
            "," + std::to_string(dose) + "," + (age > 50 ? "1" : "0") + "\n";
  }
  return write(name, text + last_rows);
}

std::string Federation::write_job(const JobText& job) const {
  return write(job.name + ".toml", job.text());
}

std::unique_ptr<Process> Federation::begin(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {program("fedmesh")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return std::make_unique<Process>(command, home_ / "logs" / ("command-" + std::to_string(++runs_)),
                                   environment_);
}

Ran Federation::fedmesh(const std::vector<std::string>& arguments) {
  const auto process = begin(arguments);
  const auto code = process->wait();
  return {code.value_or(-1), process->output(), process->errors()};
}

Ran Federation::online(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--coordinator", endpoint_});
  return fedmesh(arguments);
}

void Federation::init(const std::vector<std::string>& worker_names) {
  crypto::initialise();
  SystemRandom random;
  std::vector<std::string> arguments = {"init", "--network", "test"};
  for (const auto& name : worker_names) {
    const auto key = crypto::load_or_create_key(home_ / name / "node.key", random);
    ASSERT_TRUE(key.ok()) << key.error().to_string();
    arguments.insert(arguments.end(),
                     {"--participant", key->public_key().hex() + ":worker+validator:" + name});
  }
  const Ran ran = fedmesh(arguments);
  ASSERT_EQ(ran.code, 0) << ran.err;
}

Process& Federation::launch(const std::string& name, const std::vector<std::string>& command) {
  auto& slot = processes_[name];
  slot.reset();
  auto environment = environment_;
  if (!crash_next_at_.empty())
    environment.push_back("FEDMESH_CRASH_AT=" + std::exchange(crash_next_at_, ""));
  slot = std::make_unique<Process>(command, home_ / "logs" / name, environment);
  return *slot;
}

void Federation::start_coordinator(const std::string& listen,
                                   const std::vector<std::string>& flags) {
  const fs::path file = home_ / "endpoint";
  fs::remove(file);
  std::vector<std::string> command = {program("fedmesh-coordinator"), "--listen", listen,
                                      "--endpoint-file", file.string()};
  command.insert(command.end(), flags.begin(), flags.end());
  Process& process = launch("coordinator", command);
  ASSERT_TRUE(process.says(", blobs on ")) << process.errors();
  endpoint_ = read_text(file);
  ASSERT_FALSE(endpoint_.empty()) << process.errors();
  endpoint_.pop_back();  // the line's end
  const std::string said = process.output();
  const auto at = said.find(", blobs on ") + 11;
  bulk_endpoint_ = said.substr(at, said.find('\n', at) - at);
}

void Federation::restart_coordinator(const std::vector<std::string>& flags) {
  std::vector<std::string> all = {"--bulk-listen", bulk_endpoint_};
  all.insert(all.end(), flags.begin(), flags.end());
  start_coordinator(endpoint_, all);
}

void Federation::adopt(const Federation& other) {
  fs::copy(other.home(), home_, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

Process& Federation::start_worker(const std::string& name, const std::vector<std::string>& flags,
                                  const std::string& join) {
  const std::string table = name + ".csv";
  if (!fs::exists(home_ / table)) write_table(table, ++started_workers_);
  std::vector<std::string> command = {program("fedmesh-worker"), "--join",
                                      join.empty() ? endpoint_ : join};
  command.insert(command.end(), {"--data", path(table), "--home", path(name), "--name", name});
  command.insert(command.end(), flags.begin(), flags.end());
  return launch(name, command);
}

void Federation::start(const std::vector<std::string>& worker_names) {
  ASSERT_NO_FATAL_FAILURE(init(worker_names));
  ASSERT_NO_FATAL_FAILURE(start_coordinator());
  for (const auto& name : worker_names) start_worker(name);
  for (const auto& name : worker_names)
    ASSERT_TRUE(worker(name).says("connected to coordinator")) << name;
}

std::string Federation::submit(const JobText& job) {
  const Ran ran = online({"job", "submit", write_job(job)});
  EXPECT_EQ(ran.code, 0) << ran.err;
  return ran.out.starts_with("job ") ? ran.out.substr(4, 64) : "";
}

ReservedPort::ReservedPort() {
  if (!socket_.bind(0)) ADD_FAILURE() << "no free port on the loopback interface";
}

std::string ReservedPort::endpoint() const {
  return "127.0.0.1:" + std::to_string(socket_.bound_port());
}

}  // namespace fedmesh::e2e
