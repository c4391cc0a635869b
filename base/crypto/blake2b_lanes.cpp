#include "base/crypto/blake2b_lanes.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

// The same code is compiled for several processors; the loader takes the best. The sanitizers'
// start-up does not bear such choices.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FEDMESH_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define FEDMESH_VECTOR_CLONES
#endif

namespace fedmesh::crypto {
namespace {

using Word = std::uint64_t;
using Words = Word __attribute__((vector_size(8 * kBlake2bLanes)));  // one of every lane
using Pointers = std::array<const std::uint8_t*, kBlake2bLanes>;

struct State {
  Words h[8];
  Word bytes = 0;  // hashed so far
};

constexpr Word kStart[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                            0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                            0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

constexpr std::uint8_t kOrder[12][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                         {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                         {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                         {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                         {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                         {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                         {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                         {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                         {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                         {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
                                         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                         {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

template <int kBits>
[[gnu::always_inline]] inline void rotate(Words& x) {
  x = (x >> kBits) | (x << (64 - kBits));
}

// RFC 7693, section 3.1.
[[gnu::always_inline]] inline void mix(Words* v, int a, int b, int c, int d, const Words& x,
                                       const Words& y) {
  v[a] += v[b] + x;
  v[d] ^= v[a];
  rotate<32>(v[d]);
  v[c] += v[d];
  v[b] ^= v[c];
  rotate<24>(v[b]);
  v[a] += v[b] + y;
  v[d] ^= v[a];
  rotate<16>(v[d]);
  v[c] += v[d];
  v[b] ^= v[c];
  rotate<63>(v[b]);
}

// Word i of every lane's block, for all i: rows of four words are read and transposed.
[[gnu::always_inline]] inline void load(Words* m, const Pointers& at) {
  for (int i = 0; i < 16; i += 4) {
    Words row[4];
    for (int lane = 0; lane < 4; ++lane) std::memcpy(&row[lane], at[lane] + 8 * i, sizeof(Words));
    const Words low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 2, 6);
    const Words high01 = __builtin_shufflevector(row[0], row[1], 1, 5, 3, 7);
    const Words low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 2, 6);
    const Words high23 = __builtin_shufflevector(row[2], row[3], 1, 5, 3, 7);
    m[i] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    m[i + 1] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    m[i + 2] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    m[i + 3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
  }
}

// Blocks of which the last one, if it is the message's, counts `last_bytes`.
FEDMESH_VECTOR_CLONES void compress(State& state, Pointers at, std::size_t blocks, bool is_last,
                                    std::size_t last_bytes) {
  for (std::size_t block = 0; block < blocks; ++block) {
    const bool last = is_last && block + 1 == blocks;
    state.bytes += last ? last_bytes : kBlake2bBlock;
    Words m[16];
    load(m, at);
    Words v[16];
    for (int i = 0; i < 8; ++i) {
      v[i] = state.h[i];
      v[i + 8] = Words{} + kStart[i];
    }
    v[12] ^= state.bytes;
    v[14] ^= last ? ~Word{0} : Word{0};
#pragma GCC unroll 12
    for (int round = 0; round < 12; ++round) {
      const std::uint8_t* s = kOrder[round];
      mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
      mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
      mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
      mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
      mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
      mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
      mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
      mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; ++i) state.h[i] ^= v[i] ^ v[i + 8];
    for (auto& lane : at) lane += kBlake2bBlock;
  }
}

using Blocks = std::array<std::array<std::uint8_t, kBlake2bBlock>, kBlake2bLanes>;

Pointers pointers(const Blocks& blocks) {
  return {blocks[0].data(), blocks[1].data(), blocks[2].data(), blocks[3].data()};
}

}  // namespace

std::array<Digest, kBlake2bLanes> blake2b_lanes(
    ByteView prefix, const std::array<ByteView, kBlake2bLanes>& messages) {
  const std::size_t size = messages[0].size();
  FM_CHECK(prefix.size() < kBlake2bBlock && size >= kBlake2bBlock &&
               std::all_of(messages.begin(), messages.end(),
                           [&](ByteView message) { return message.size() == size; }),
           "lanes have one length");
  State state;
  for (int i = 0; i < 8; ++i) state.h[i] = Words{} + kStart[i];
  state.h[0] ^= 0x01010000 ^ Digest::kSize;  // RFC 7693, section 2.5: no key

  const std::size_t head = kBlake2bBlock - prefix.size();  // of the message, in the first block
  const std::size_t rest = size - head;
  const std::size_t middle = rest == 0 ? 0 : (rest - 1) / kBlake2bBlock;  // blocks
  const std::size_t tail = rest - middle * kBlake2bBlock;
  Blocks edge{};
  for (std::size_t lane = 0; lane < kBlake2bLanes; ++lane) {
    const auto after = std::copy(prefix.begin(), prefix.end(), edge[lane].begin());
    std::copy_n(messages[lane].begin(), head, after);
  }
  compress(state, pointers(edge), 1, rest == 0, kBlake2bBlock);
  if (rest > 0) {
    Pointers at;
    for (std::size_t lane = 0; lane < kBlake2bLanes; ++lane)
      at[lane] = messages[lane].data() + head;
    compress(state, at, middle, false, 0);
    edge = {};
    for (std::size_t lane = 0; lane < kBlake2bLanes; ++lane)
      std::copy_n(messages[lane].end() - static_cast<std::ptrdiff_t>(tail), tail,
                  edge[lane].begin());
    compress(state, pointers(edge), 1, true, tail);
  }
  std::array<Digest, kBlake2bLanes> out;
  for (std::size_t lane = 0; lane < kBlake2bLanes; ++lane)
    for (std::size_t i = 0; i < Digest::kSize / 8; ++i)
      store_le64(MutableByteView(out[lane].bytes).subspan(8 * i), state.h[i][lane]);
  return out;
}

}  // namespace fedmesh::crypto
