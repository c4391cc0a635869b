// A blob from one store to another over loopback, with sessions, hashing and both disks, against
// the same bytes encrypted by one thread while another one decrypts and hashes them.
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/crypto/aead.h"
#include "base/crypto/blob_hash.h"
#include "base/random.h"
#include "net/bulk_plane.h"
#include "tests/bench/operations.h"

namespace fedmesh::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kBlobBytes = std::size_t{192} << 20;

fs::path new_folder() {
  std::string pattern = (fs::temp_directory_path() / "fedmesh-bench-XXXXXX").string();
  FM_CHECK(::mkdtemp(pattern.data()) != nullptr, "a temporary folder can be made");
  return pattern;
}

class Node {
 public:
  Node() : folder_(new_folder()) {
    store = net::BlobStore::open(disk_, folder_).value();
    plane = net::BulkPlane::create(
        crypto::SigningKey::generate(random_), *store, net::BulkConfig(), clock_, random_,
        [this](const net::BulkEvent& event) {
          const std::lock_guard lock(mutex_);
          arrived_ += std::holds_alternative<net::bulk::Arrived>(event) ? 1 : 0;
          linked_ += std::holds_alternative<net::bulk::PeerUp>(event) ? 1 : 0;
          changed_.notify_all();
        },
        [](const NodeId&) { return true; });
  }
  ~Node() {
    plane.reset();
    store.reset();
    fs::remove_all(folder_);
  }
  void wait_linked() { wait(linked_, 1); }
  void wait_arrived(int count) { wait(arrived_, count); }

  std::unique_ptr<net::BlobStore> store;
  std::unique_ptr<net::BulkPlane> plane;

 private:
  void wait(const int& value, int until) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(120), [&] { return value >= until; });
    FM_CHECK(came, "the other node answers");
  }

  fs::path folder_;
  SystemDisk disk_;
  SystemClock clock_;
  SystemRandom random_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0, linked_ = 0;
};

Bytes random_blob(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  crypto::chacha20_stream(Bytes(32, 1), seed, 0, out);
  return out;
}

// Another blob each time: what the holder knows of one it has just served does not count.
void transfer(benchmark::State& state) {
  Node from, to;
  FM_CHECK(to.plane->dial(from.plane->listen("127.0.0.1:0").value()).ok(), "loopback is there");
  to.wait_linked();
  int arrived = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const Digest root =
        from.store->put(random_blob(kBlobBytes, static_cast<std::uint64_t>(arrived))).value();
    state.ResumeTiming();
    to.plane->want(root, kBlobBytes, {}, net::Flush::no);  // as updates and models are fetched
    to.wait_arrived(++arrived);
    state.PauseTiming();
    to.store->remove(root);
    from.store->remove(root);
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBlobBytes));
}

void ceiling(benchmark::State& state) {
  const auto suite = crypto::aes256_gcm_available() ? crypto::AeadSuite::aes256_gcm
                                                    : crypto::AeadSuite::chacha20_poly1305;
  const crypto::Secret<32> key;
  const Bytes blob = random_blob(std::size_t{8} << 20, 0);
  const std::size_t pieces = blob.size() / kPiece, rounds = kBlobBytes / blob.size();
  std::vector<Bytes> sealed;
  for (std::size_t i = 0; i < pieces; ++i)
    sealed.push_back(
        crypto::aead_encrypt(suite, key, i, {}, ByteView(blob).subspan(i * kPiece, kPiece)));
  for (auto _ : state) {
    std::thread sender([&] {
      for (std::size_t i = 0; i < rounds * pieces; ++i)
        benchmark::DoNotOptimize(crypto::aead_encrypt(
            suite, key, i % pieces, {}, ByteView(blob).subspan(i % pieces * kPiece, kPiece)));
    });
    for (std::size_t i = 0; i < rounds * pieces; ++i) {
      const Bytes plain =
          crypto::aead_decrypt(suite, key, i % pieces, {}, sealed[i % pieces]).value();
      benchmark::DoNotOptimize(crypto::blob_leaves(plain));
    }
    sender.join();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBlobBytes));
}

}  // namespace

void register_bulk() {
  for (const auto& [name, run] :
       {std::pair{"bulk/transfer", &transfer}, {"bulk/ceiling", &ceiling}})
    benchmark::RegisterBenchmark(name, run)
        ->Iterations(2)
        ->MeasureProcessCPUTime()
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

}  // namespace fedmesh::bench
