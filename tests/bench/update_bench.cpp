// The aggregator's work on sealed updates that lie on the disk, against the two decryptions of
// every byte that it cannot do without: one to check an update, one to sum it.
#include <filesystem>

#include "aggregation/fedavg.h"
#include "base/check.h"
#include "base/crypto/aead.h"
#include "base/random.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/rounds/compute.h"
#include "tests/bench/operations.h"

namespace fedmesh::bench {
namespace {

namespace fs = std::filesystem;

struct SealedBlob {
  explicit SealedBlob(std::size_t values) {
    std::string pattern = (fs::temp_directory_path() / "fedmesh-bench-XXXXXX").string();
    FM_CHECK(::mkdtemp(pattern.data()) != nullptr, "a temporary folder can be made");
    folder = pattern;
    SystemRandom random;
    key = protocol::ContentKey::random(random);
    protocol::UpdateHeader header;
    header.values = values;
    const auto update = random_values(values, 1);
    sealed = protocol::seal_update(
        key, header, {reinterpret_cast<const std::uint8_t*>(update.data()), values * 4});
    store = net::BlobStore::open(disk, folder).value();
    root = store->put(sealed).value();
  }
  ~SealedBlob() {
    store.reset();
    fs::remove_all(folder);
  }

  SystemDisk disk;
  fs::path folder;
  std::unique_ptr<net::BlobStore> store;
  protocol::ContentKey key;
  Bytes sealed;
  Digest root;
};

void sweep(benchmark::State& state) {
  const auto values = static_cast<std::size_t>(state.range(0));
  SealedBlob blob(values);
  std::vector<std::int64_t> sum(values);
  for (auto _ : state) {
    const auto source = rounds::open_blob(*blob.store, blob.root, net::Verify::no).value();
    auto update = protocol::SealedUpdate::open(*source, blob.key);
    for (std::uint64_t i = 0; i < update->chunks(); ++i) {
      const auto chunk = update->chunk(i);
      aggregation::add_weighted(
          std::span(sum).subspan(protocol::SealedUpdate::first_value(i), chunk->size()), *chunk, 1);
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values * 4));
}

void decryption(benchmark::State& state) {
  const auto values = static_cast<std::size_t>(state.range(0));
  const Bytes plain(protocol::kSealedPlainBytes, 7);
  const crypto::Secret<32> key;
  const Bytes sealed =
      crypto::aead_encrypt(crypto::AeadSuite::chacha20_poly1305, key, 0, {}, plain);
  const std::size_t chunks = (values * 4 + plain.size() - 1) / plain.size();
  for (auto _ : state)
    for (std::size_t i = 0; i < chunks; ++i)
      benchmark::DoNotOptimize(
          crypto::aead_decrypt(crypto::AeadSuite::chacha20_poly1305, key, 0, {}, sealed));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values * 4));
}

}  // namespace

void register_updates() {
  for (const auto& [size, count] : {std::pair{"1M", 1'000'000}, {"10M", 10'000'000}}) {
    benchmark::RegisterBenchmark((std::string("update/") + size).c_str(), sweep)
        ->Arg(count)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark((std::string("update/ceiling/") + size).c_str(), decryption)
        ->Arg(count)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace fedmesh::bench
