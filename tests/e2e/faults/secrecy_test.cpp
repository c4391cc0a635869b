// Once a private job has ended, what opens its updates is gone: from disks, logs, the ledger and
// the memory of the processes that had it.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "coordinator/ledger/export.h"
#include "coordinator/protocol/round_records.h"
#include "tests/e2e/federation.h"
#include "worker/job_view.h"

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) out.push_back(entry.path());
  return out;
}

// Every readable page of a process.
std::string memory_of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::istringstream maps(read_text(folder + "/maps"));
  std::ifstream memory(folder + "/mem", std::ios::binary);
  std::string out, line;
  while (std::getline(maps, line)) {
    std::uint64_t from = 0, to = 0;
    char dash = 0;
    std::string rights;
    std::istringstream(line) >> std::hex >> from >> dash >> to >> rights;
    if (!rights.starts_with("rw") || line.find("[v") != std::string::npos) continue;
    std::string part(to - from, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(from));
    memory.read(part.data(), static_cast<std::streamsize>(part.size()));
    out.append(part, 0, static_cast<std::size_t>(memory.gcount()));
  }
  return out;
}

class Secrecy : public ::testing::Test {
 protected:
  // The opening that "one" has on its disk in a round that cannot end, because "two" stands still.
  std::optional<worker::StoredOpening> opening_of_one() {
    const fs::path items = net_.home() / "one/items";
    std::string raw;
    const bool found = eventually([&] {
      for (const auto& file : files_below(items)) {
        if (!file.filename().string().starts_with("opening-") || file.extension() == ".part")
          continue;
        raw = read_text(file);
        return !raw.empty();
      }
      return false;
    });
    if (!found) return std::nullopt;
    const auto opening = codec::decode<worker::StoredOpening>(
        as_bytes(raw).first(raw.size() < 32 ? 0 : raw.size() - 32));  // a digest stands behind it
    if (!opening.ok()) return std::nullopt;
    return *opening;
  }

  std::vector<Digest> revealed_roots(const std::string& file) {
    std::vector<Digest> out;
    const auto ledger = ledger::read_export(fs::path(file));
    if (!ledger.ok()) return out;
    for (const auto& block : ledger->blocks)
      for (const auto& record : block.block.records) {
        if (record.kind != ledger::RecordKind::reveal) continue;
        const auto reveal = protocol::decode_payload<protocol::Reveal>(record.payload);
        if (reveal.ok()) out.push_back(reveal->ciphertext_root);
      }
    return out;
  }

  void run_job_and_take_key() {
    ASSERT_NO_FATAL_FAILURE(net_.start({"one", "two"}));
    JobText job{.name = "secret"};
    job.rest =
        "[privacy]\nunit = \"record\"\nmechanism = \"laplace\"\nclip_l1 = 1.0\n"
        "epsilon_per_round = 0.25\nepsilon_total = 1.0\n"
        "[preprocessing]\nstandardise = \"private\"\nepsilon = 0.5\n";
    job.federation =
        "rounds = 2\nmax_participants = 2\nmin_updates = 2\nenrol_deadline = \"1h\"\n"
        "commit_deadline = \"1h\"\nreveal_deadline = \"1h\"\ncommittee_deadline = \"1h\"\n";
    ASSERT_FALSE(net_.submit(job).empty());
    Process& two = net_.worker("two");
    ASSERT_TRUE(two.says("computing the sums"));
    two.signal(SIGSTOP);
    const auto opening = opening_of_one();
    // While the round is open the search finds it where it must be: it works.
    if (opening) {
      key_.assign(opening->content_key.begin(), opening->content_key.end());
      EXPECT_NE(memory_of(net_.worker("one").pid()).find(key_), std::string::npos);
    }
    two.signal(SIGCONT);
    ASSERT_TRUE(opening.has_value()) << "no opening was seen";
    const Ran watched = net_.online({"job", "watch", "secret"});
    ASSERT_EQ(watched.code, 0) << watched.out << watched.err;
    for (const char* name : {"one", "two"})
      ASSERT_TRUE(net_.worker(name).says("secret: finished")) << name;
    ASSERT_EQ(net_.online({"ledger", "export", net_.path("all.export")}).code, 0);
  }

  Federation net_;
  std::string key_;
};

TEST_F(Secrecy, NothingThatOpensAnUpdateIsLeft) {
  ASSERT_NO_FATAL_FAILURE(run_job_and_take_key());
  const auto roots = revealed_roots(net_.path("all.export"));
  ASSERT_EQ(roots.size(), 6u) << "two workers, a query and two rounds";
  const auto left = [&] {
    std::string names;
    for (const auto& file : files_below(net_.home())) {
      const std::string name = file.filename().string();
      bool bad = name.starts_with("opening-") || name.starts_with("round-key-");
      for (const Digest& root : roots) bad = bad || name.find(root.hex()) != std::string::npos;
      if (bad) names += file.string() + "\n";
    }
    return names;
  };
  EXPECT_TRUE(eventually([&] { return left().empty(); }, std::chrono::seconds(20))) << left();

  int files = 0;
  for (const auto& file : files_below(net_.home())) {
    ++files;
    EXPECT_EQ(read_text(file).find(key_), std::string::npos) << file << " holds the key";
  }
  EXPECT_GT(files, 20);
  for (const auto& [name, process] :
       {std::pair<std::string, Process*>("coordinator", &net_.coordinator()),
        {"one", &net_.worker("one")},
        {"two", &net_.worker("two")}}) {
    const std::string memory = memory_of(process->pid());
    EXPECT_GT(memory.size(), 1'000'000u) << name;
    std::size_t found = 0;
    for (auto at = memory.find(key_); at != std::string::npos; at = memory.find(key_, at + 1))
      ++found;
    EXPECT_EQ(found, 0u) << "the memory of " << name << " holds the key";
  }
}

}  // namespace
}  // namespace fedmesh::e2e
