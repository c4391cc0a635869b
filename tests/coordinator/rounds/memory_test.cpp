// What a round of large updates costs an aggregator in memory: its own, not the disk's cache.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "coordinator/rounds/compute.h"
#include "models/data/safetensors.h"
#include "tests/coordinator/rounds/machine_fixture.h"
#include "tests/coordinator/rounds/sealed_fixture.h"

namespace fedmesh::rounds {
namespace {

namespace fs = std::filesystem;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasurable = false;
#else
constexpr bool kMeasurable = true;
#endif

constexpr std::size_t kParameters = 2'000'000;
constexpr std::int64_t kModelKb = kParameters * 4 / 1024;  // as it is released
// Blocks of files, of noise and of the Merkle trees, and the code that runs for the first time.
constexpr std::int64_t kRestKb = 6 * 1024;

std::int64_t status_kb(const std::string& field) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(field)) return std::atoll(line.c_str() + field.size());
  return -1;
}

// By how much a process that does nothing but `work` grows at its peak; negative if that fails.
std::int64_t peak_kb_of(const std::function<bool()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  ::malloc_trim(0);  // what is free here would hide what is taken there
  const pid_t child = ::fork();
  if (child == 0) {
    const std::int64_t before = status_kb("VmRSS:");
    const bool good = work();
    const std::int64_t grown = good ? status_kb("VmHWM:") - before : -1;
    ::_exit(::write(ends[1], &grown, sizeof(grown)) == sizeof(grown) ? 0 : 1);
  }
  ::close(ends[1]);
  std::int64_t grown = -1;
  if (::read(ends[0], &grown, sizeof(grown)) != sizeof(grown)) grown = -1;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return grown;
}

// A round with noise, and sealed updates of it on the disk.
class RoundMemoryTest : public testing::Test {
 protected:
  static constexpr std::size_t kWorkersMax = 12;

  RoundMemoryTest() {
    std::string pattern = (fs::temp_directory_path() / "fedmesh-memory-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    blobs_ = std::move(net::BlobStore::open(disk_, folder_).value());
    spec_ = small_spec();
    spec_.architecture.input_shape = {kParameters - 1};
    spec_.privacy.clip_granules = 1 << 30;
    spec_.training.average_iterates = true;  // the longest files
    round_.job = JobId{{1}};
    round_.slot.round = RoundNumber{1};
    round_.config_hash = spec_.config_hash();
    round_.epsilon_nano = spec_.privacy.epsilon_per_round_nano;
    round_.reveal_set_root = crypto::blake2b(as_bytes("S"));
    round_.members.push_back({key_.member, crypto::x25519_public(key_.secret), false, {}});
    round_.base_root = blobs_
                           ->put(models::encode_safetensors(
                               models::initial_parameters(spec_.architecture, spec_.initial_seed)))
                           .value();
    for (std::uint8_t i = 0; i < kWorkersMax; ++i) seal(i);
  }
  ~RoundMemoryTest() override {
    blobs_.reset();
    fs::remove_all(folder_);
  }

  void seal(std::uint8_t number) {
    PlainUpdate update;
    update.worker = NodeId{{number}};
    update.examples = 50;
    update.content_key.fill(static_cast<std::uint8_t>(number + 1));
    update.values.resize(kParameters);
    for (std::size_t i = 0; i < kParameters; ++i)
      update.values[i] = static_cast<std::int32_t>((i + number) % 101) - 50;
    const Bytes ciphertext = update.seal();
    protocol::CohortSlot slot;
    slot.worker = update.worker;
    slot.record_count = update.examples;
    slot.commitment = update.commitment(chain_, round_, slot, ciphertext);
    round_.cohort.push_back(slot);
    reveals_.push_back(update.reveal(chain_, round_, ciphertext));
    ASSERT_TRUE(blobs_->put(ciphertext).ok());
  }
  // Checks every update, one after the other as they arrive, then aggregates them.
  bool carry_out(std::size_t workers) {
    const auto view = std::make_shared<const RoundView>(RoundView{chain_, spec_, round_});
    AggregateTask all{view, {}};
    for (std::size_t i = 0; i < workers; ++i) {
      auto done = compute(CheckTask{view, round_.cohort[i].worker, reveals_[i],
                                    RoundKey{key_.member, key_.secret.clone()}},
                          *blobs_);
      auto& checked = std::get<Checked>(done);
      if (!checked.update.ok()) return false;
      all.updates.push_back(std::move(checked.update).value());
    }
    const auto done = compute(std::move(all), *blobs_);
    return std::get<Aggregated>(done).attest.ok();
  }
  std::int64_t peak_kb(std::size_t workers) {
    return peak_kb_of([&] { return carry_out(workers); });
  }

  SystemDisk disk_;
  fs::path folder_;
  std::unique_ptr<net::BlobStore> blobs_;
  ChainId chain_{{7}};
  protocol::JobSpec spec_;
  protocol::RoundState round_;
  RoundKey key_{NodeId{{99}}, crypto::X25519Secret(std::array<std::uint8_t, 32>{77})};
  std::vector<protocol::Reveal> reveals_;
};

TEST_F(RoundMemoryTest, ARoundTakesTwoModelsAtMostHoweverManyWorkersThereAre) {
  if (!kMeasurable) GTEST_SKIP() << "a sanitizer's own memory is most of what would be measured";
  const std::int64_t of_two = peak_kb(2);
  const std::int64_t of_all = peak_kb(kWorkersMax);
  RecordProperty("peak_kb_of_2", std::to_string(of_two));
  RecordProperty("peak_kb_of_12", std::to_string(of_all));
  std::printf("a model of %lld KB: %lld KB with 2 workers, %lld KB with %zu\n",
              static_cast<long long>(kModelKb), static_cast<long long>(of_two),
              static_cast<long long>(of_all), kWorkersMax);
  ASSERT_GT(of_two, kModelKb) << "the sum is in memory: nothing was measured";
  EXPECT_LE(of_two, 2 * kModelKb + kRestKb);
  EXPECT_LE(of_all, 2 * kModelKb + kRestKb);
  EXPECT_LE(of_all, of_two + 1024) << "it grows with the number of workers";
}

}  // namespace
}  // namespace fedmesh::rounds
