// What one core does of each primitive that bulk data pass through, and the noise.
#include "base/crypto/aead.h"
#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "privacy/noise.h"
#include "tests/bench/operations.h"

namespace fedmesh::bench {
namespace {

constexpr std::size_t kPiece = 256 * 1024;  // of a bulk message

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void leaf_hash(benchmark::State& state) {
  const Bytes piece(kPiece, 7);
  for (auto _ : state) benchmark::DoNotOptimize(crypto::blob_leaves(piece));
  count_bytes(state, piece.size());
}

void model_hash(benchmark::State& state) {
  const Bytes piece(kPiece, 7);
  for (auto _ : state) benchmark::DoNotOptimize(crypto::sha256(piece));
  count_bytes(state, piece.size());
}

void encrypt(benchmark::State& state, crypto::AeadSuite suite) {
  const crypto::Secret<32> key;
  const Bytes piece(kPiece, 7);
  std::uint64_t counter = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(crypto::aead_encrypt(suite, key, counter++, {}, piece));
  count_bytes(state, piece.size());
}

void decrypt(benchmark::State& state, crypto::AeadSuite suite) {
  const crypto::Secret<32> key;
  const Bytes sealed = crypto::aead_encrypt(suite, key, 0, {}, Bytes(kPiece, 7));
  for (auto _ : state) benchmark::DoNotOptimize(crypto::aead_decrypt(suite, key, 0, {}, sealed));
  count_bytes(state, kPiece);
}

void laplace(benchmark::State& state) {
  const auto noise = privacy::DiscreteLaplace::create({1 << 14, 90'000'000});
  std::vector<std::int64_t> values(1 << 16);
  Digest seed;
  for (auto _ : state) {
    noise->add(values, seed);
    ++seed.bytes[0];
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(values.size()));
}

}  // namespace

void register_crypto() {
  benchmark::RegisterBenchmark("crypto/leaf_hash", leaf_hash);
  benchmark::RegisterBenchmark("crypto/sha256", model_hash);
  benchmark::RegisterBenchmark("crypto/chacha20_poly1305/decrypt", decrypt,
                               crypto::AeadSuite::chacha20_poly1305);
  if (crypto::aes256_gcm_available()) {
    benchmark::RegisterBenchmark("crypto/aes256_gcm/encrypt", encrypt,
                                 crypto::AeadSuite::aes256_gcm);
    benchmark::RegisterBenchmark("crypto/aes256_gcm/decrypt", decrypt,
                                 crypto::AeadSuite::aes256_gcm);
  }
  benchmark::RegisterBenchmark("noise/laplace", laplace);
}

}  // namespace fedmesh::bench
