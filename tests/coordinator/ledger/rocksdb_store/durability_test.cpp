// Power failures, full disks and kills, at every moment.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "coordinator/ledger/rocksdb_store/head_mark.h"
#include "tests/base/needed_flushes.h"
#include "tests/coordinator/ledger/rocksdb_store/ledger_fixture.h"
#include "tests/coordinator/ledger/rocksdb_store/power_loss_files.h"

namespace fedmesh::ledger {
namespace {

using rocksdb::IOStatus;
using ::testing::HasSubstr;

class LedgerDurabilityTest : public LedgerTest {
 protected:
  LedgerDurabilityTest() : made_(blocks(8)) {}

  void begin_anew() {
    std::filesystem::remove_all(folder());
    std::filesystem::remove(RocksDbStore::head_file(folder()));
  }
  // Nothing that the closing store does reaches the disk any more.
  static void power_failure(PowerLossFiles& files, std::unique_ptr<RocksDbStore> store) {
    files.fail_after(0, IOStatus::IOError("no power"));
    store.reset();
    files.crash();
    files.repair();
  }
  bool holds(const RocksDbStore& store, std::size_t count) const {
    if (store.head() != Height{count}) return false;
    for (std::size_t i = 0; i < count; ++i)
      if (const auto got = store.get({i + 1}); !got.ok() || *got != made_[i]) return false;
    return true;
  }

  // What a coordinator relies on; true only if every flush is done: what was appended is there
  // after the power failed, and if the database loses it all the same, the ledger does not open.
  bool blocks_are_durable(const std::set<SyncPoint>& drop) {
    begin_anew();
    const auto files = std::make_shared<PowerLossFiles>();
    for (std::size_t i = 0; i < 3; ++i) {
      auto store = open({files, drop});
      if (!store.ok() || !holds(**store, i) || !(*store)->append(made_[i]).ok()) return false;
      power_failure(*files, std::move(*store));
    }
    auto store = open({files, drop});
    if (!store.ok() || !holds(**store, 3) || !(*store)->append(made_[3]).ok()) return false;
    power_failure(*files, std::move(*store));
    for (const auto& log : this->files(".log")) std::filesystem::resize_file(log, 0);
    const auto after_damage = open({files, drop});
    return !after_damage.ok() && after_damage.error().code == ErrorCode::corruption;
  }

  std::vector<CertifiedBlock> made_;
};

TEST_F(LedgerDurabilityTest, SurvivesPowerLossAndEveryFlushIsNeededForIt) {
  EXPECT_TRUE(blocks_are_durable({}));
  for (const SyncPoint point : kLedgerFlushes)
    EXPECT_FALSE(blocks_are_durable({point})) << to_string(point) << " is not needed";
}

TEST_F(LedgerDurabilityTest, ManyAtOnceSurvivePowerLoss) {
  const auto files = std::make_shared<PowerLossFiles>();
  auto store = must_open({files, {}});
  ASSERT_TRUE(store->append_all(made_).ok());
  power_failure(*files, std::move(store));
  EXPECT_TRUE(holds(*must_open({files, {}}), made_.size()));
}

TEST_F(LedgerDurabilityTest, OfWhatWasNotFlushedAnyFirstPartMayBeThere) {
  for (std::size_t flushed = 0; flushed <= made_.size(); ++flushed) {
    begin_anew();
    const auto files = std::make_shared<PowerLossFiles>();
    auto store = must_open({files, {}});
    for (std::size_t i = 0; i < made_.size(); ++i) {
      ASSERT_TRUE(store->add(made_[i]).ok());
      if (i + 1 == flushed) {
        ASSERT_TRUE(store->flush().ok());
      }
    }
    EXPECT_EQ(store->head(), Height{made_.size()});
    power_failure(*files, std::move(store));
    store = must_open({files, {}});
    EXPECT_GE(store->head(), Height{flushed});
    EXPECT_TRUE(holds(*store, store->head().value));
  }
}

TEST_F(LedgerDurabilityTest, ATornMarkLeavesTheOneBeforeItHoweverManyBlocksLieBetween) {
  auto store = must_open();
  for (std::size_t i = 0; i < made_.size(); ++i) {
    ASSERT_TRUE(store->add(made_[i]).ok());
    if (i % 2 == 1) {
      ASSERT_TRUE(store->flush().ok());
    }
  }
  store.reset();
  const auto mark = RocksDbStore::head_file(folder());
  const std::string whole = file_contents(mark);
  std::set<std::uint64_t> read;
  for (const std::size_t slot : {0u, 4096u}) {
    std::string torn = whole;
    torn[slot + 20] = static_cast<char>(torn[slot + 20] ^ 1);
    set_contents(mark, torn);
    read.insert((*HeadMark::read(*rocksdb::FileSystem::Default(), mark))->height.value);
  }
  EXPECT_EQ(read, (std::set<std::uint64_t>{6, 8}));
}

struct Failure {
  const char* name;
  IOStatus error;
  ErrorCode code;
  bool once;
  bool power;  // fails as well
};
std::vector<Failure> failures() {
  return {
      {"full", IOStatus::NoSpace("No space left on device"), ErrorCode::exhausted, false, false},
      {"full, then lost", IOStatus::NoSpace("No space left"), ErrorCode::exhausted, false, true},
      {"full for a moment", IOStatus::NoSpace("No space left"), ErrorCode::exhausted, true, true},
      {"broken", IOStatus::IOError("Input/output error"), ErrorCode::unavailable, false, true},
      {"broken for a moment", IOStatus::IOError("Input/output error"), ErrorCode::unavailable, true,
       false}};
}

TEST_F(LedgerDurabilityTest, AFailureAtAnyMomentOfAppendingIsFinalAndLosesNothing) {
  for (const Failure& failure : failures()) {
    int failed = 0;
    for (std::uint64_t moment = 0;; ++moment) {
      SCOPED_TRACE(std::string(failure.name) + ", operation " + std::to_string(moment));
      begin_anew();
      const auto files = std::make_shared<PowerLossFiles>();
      auto store = must_open({files, {}});
      ASSERT_TRUE(store->append(made_[0]).ok());
      files->fail_after(moment, failure.error, failure.once);
      std::size_t acknowledged = 1;
      while (acknowledged < 4 && store->append(made_[acknowledged]).ok()) ++acknowledged;
      const bool reached = files->has_failed();
      files->repair();
      if (acknowledged < 4) {
        ++failed;
        const auto again = store->append(made_[acknowledged]);
        ASSERT_FALSE(again.ok()) << "went on after a failure";
        EXPECT_EQ(again.error().code, failure.code) << again.error().to_string();
        EXPECT_THAT(again.error().detail, HasSubstr("nothing that was final is lost"));
        if (failure.code == ErrorCode::exhausted) {
          EXPECT_THAT(again.error().detail, HasSubstr("free space"));
        }
        EXPECT_FALSE(store->get({1}).ok());
      }
      if (failure.power) {
        power_failure(*files, std::move(store));
      } else {
        store.reset();
      }
      store = must_open({files, {}});
      ASSERT_TRUE(store);
      // The block that failed may be there: nobody was told of it, and it is as good as any.
      const std::size_t there = store->head().value;
      EXPECT_TRUE(there == acknowledged || there == acknowledged + 1);
      EXPECT_TRUE(holds(*store, there));
      EXPECT_TRUE(store->append(made_[there]).ok());
      if (!reached) break;
    }
    EXPECT_GE(failed, 9) << failure.name;  // three blocks: log, flush, mark, flush
  }
}

TEST_F(LedgerDurabilityTest, AFailureAtAnyMomentOfOpeningLosesNothing) {
  for (const std::size_t before : {0u, 3u}) {
    for (const Failure& failure : failures()) {
      if (!failure.power) continue;  // the milder half
      int failed = 0;
      for (std::uint64_t moment = 0;; ++moment) {
        SCOPED_TRACE(std::string(failure.name) + ", operation " + std::to_string(moment));
        begin_anew();
        const auto files = std::make_shared<PowerLossFiles>();
        if (before > 0) {
          auto store = must_open({files, {}});
          for (std::size_t i = 0; i < before; ++i) ASSERT_TRUE(store->append(made_[i]).ok());
          power_failure(*files, std::move(store));
        }
        files->fail_after(moment, failure.error, failure.once);
        auto store = open({files, {}});
        const bool reached = files->has_failed();
        if (!store.ok()) {
          ++failed;
          EXPECT_NE(store.error().code, ErrorCode::corruption) << store.error().to_string();
        }
        files->repair();
        if (failure.power) {
          power_failure(*files, store.ok() ? std::move(*store) : nullptr);
        } else if (store.ok()) {
          store->reset();
        }
        const auto after = must_open({files, {}});
        ASSERT_TRUE(after);
        EXPECT_TRUE(holds(*after, before));
        ASSERT_TRUE(after->append(made_[before]).ok());
        if (!reached) break;
      }
      EXPECT_GE(failed, 5) << failure.name;
    }
  }
}

// The program under test of the next one; ends when it is killed.
TEST(LedgerWriter, DISABLED_AppendsAndReports) {
  const char* folder = std::getenv("FEDMESH_TEST_LEDGER");
  ASSERT_NE(folder, nullptr);
  toy::Network network;
  auto store = RocksDbStore::open(folder, network.chain->id());
  ASSERT_TRUE(store.ok()) << store.error().to_string();
  for (int i = 0; i < 20'000; ++i) {
    const auto block =
        network.extend({network.record(RecordKind::commit, std::to_string(i))}, 5000 + i);
    if (Height{static_cast<std::uint64_t>(i) + 1} <= (*store)->head()) continue;
    ASSERT_TRUE((*store)->append(block).ok());
    const char byte = '.';
    if (::write(STDERR_FILENO, &byte, 1) != 1) return;
  }
}

// Starts that program and kills it after it reported `reports` more blocks; how many it reported.
std::size_t append_until_killed(const std::filesystem::path& folder, std::size_t reports) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::setenv("FEDMESH_TEST_LEDGER", folder.c_str(), 1);
    ::execl("/proc/self/exe", "writer", "--gtest_also_run_disabled_tests",
            "--gtest_filter=LedgerWriter.*", nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::size_t seen = 0;
  char bytes[256];
  bool killed = false;
  for (ssize_t got; (got = ::read(ends[0], bytes, sizeof(bytes))) > 0;) {
    seen += static_cast<std::size_t>(std::count(bytes, bytes + got, '.'));
    if (seen >= reports && !killed) killed = ::kill(child, SIGKILL) == 0;
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return seen;
}

TEST_F(LedgerDurabilityTest, AKilledProcessLosesNothingThatItReported) {
  std::uint64_t reported = 0;
  for (const std::size_t reports : {1u, 13u, 40u}) {
    reported += append_until_killed(folder(), reports);
    const auto reader = RocksDbStore::open_read_only(folder(), chain());
    ASSERT_TRUE(reader.ok()) << reader.error().to_string();
    EXPECT_GE((*reader)->head().value, reported);
    reported = (*reader)->head().value;
  }
  const auto store = must_open();
  EXPECT_GE(store->head().value, reported);
  EXPECT_LE(store->head().value, reported + 1);  // a last one, killed before its mark was written
  toy::Network other;
  const auto chain = Chain::open(other.founding, other.machine, *store);
  ASSERT_TRUE(chain.ok()) << chain.error().to_string();
  EXPECT_EQ((*chain)->height(), store->head());
}

}  // namespace
}  // namespace fedmesh::ledger
