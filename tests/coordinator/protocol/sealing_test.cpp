// Sealed updates and sealed keys: what goes in comes out, and nothing else does.
#include "coordinator/protocol/sealing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/crypto/aead.h"
#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "base/random.h"
#include "sample_job.h"

namespace fedmesh::protocol {
namespace {

constexpr std::uint64_t kFirst = (kSealedPlainBytes - kUpdateHeaderBytes) / 4;  // of chunk 0
constexpr std::uint64_t kMore = kSealedPlainBytes / 4;                          // of the others

// Counts what is read, so that a test sees how much of an update is in memory at once.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, MutableByteView to) const override {
    longest = std::max(longest, to.size());
    ++reads;
    return bytes_.read(offset, to);
  }
  mutable std::size_t longest = 0;
  mutable std::size_t reads = 0;

 private:
  MemorySource bytes_;
};

struct Plain {
  UpdateHeader header;
  std::vector<std::int32_t> values;

  Bytes bytes() const {
    Bytes out(4 * values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      store_le32(MutableByteView(out).subspan(4 * i), static_cast<std::uint32_t>(values[i]));
    return out;
  }
};

Plain plain_of(std::uint64_t values, std::uint64_t seed = 1) {
  SeededRandom random(seed);
  Plain out;
  out.header.examples = 700;
  out.header.values = values;
  out.header.seed_share = sample_id(3).bytes;
  out.header.trace_root = sample_id(4);
  out.header.salt = sample_id(5).bytes;
  out.values.resize(values);
  for (auto& value : out.values) value = static_cast<std::int32_t>(random.next_u64());
  return out;
}

ContentKey content_key() { return ContentKey(sample_id(9).bytes); }

Bytes sealed(const Plain& plain) { return seal_update(content_key(), plain.header, plain.bytes()); }

// Whether every chunk opens; the reason where one does not.
Result<std::vector<std::int32_t>> read_all(ByteView ciphertext, const ContentKey& key) {
  const MemorySource source(ciphertext);
  FM_TRY(auto update, SealedUpdate::open(source, key));
  std::vector<std::int32_t> out;
  for (std::uint64_t i = 0; i < update.chunks(); ++i) {
    FM_TRY(const auto values, update.chunk(i));
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

TEST(SealingTest, EverySizeComesBack) {
  for (const std::uint64_t values : std::initializer_list<std::uint64_t>{
           0, 1, 31, kFirst - 1, kFirst, kFirst + 1, kFirst + kMore - 1, kFirst + kMore,
           kFirst + kMore + 1, kFirst + 3 * kMore + 5}) {
    const Plain plain = plain_of(values);
    const Bytes ciphertext = sealed(plain);
    EXPECT_EQ(ciphertext.size(), sealed_bytes(values));
    const MemorySource source(ciphertext);
    const auto update = SealedUpdate::open(source, content_key());
    ASSERT_TRUE(update.ok()) << values << ": " << update.error().to_string();
    EXPECT_EQ(update->header().examples, 700u);
    EXPECT_EQ(update->header().values, values);
    EXPECT_EQ(update->header().seed_share, plain.header.seed_share);
    EXPECT_EQ(update->header().trace_root, plain.header.trace_root);
    EXPECT_EQ(update->header().salt, plain.header.salt);
    EXPECT_EQ(update->chunks(), crypto::blob_leaf_count(ciphertext.size()));
    const auto back = read_all(ciphertext, content_key());
    ASSERT_TRUE(back.ok()) << values;
    EXPECT_EQ(*back, plain.values);
  }
}

TEST(SealingTest, ChunksAreReadInAnyOrderOneAtATime) {
  const Plain plain = plain_of(kFirst + 2 * kMore + 7);
  const Bytes ciphertext = sealed(plain);
  const CountingSource source(ciphertext);
  auto update = SealedUpdate::open(source, content_key());
  ASSERT_TRUE(update.ok());
  ASSERT_EQ(update->chunks(), 4u);
  for (const std::uint64_t index : {3, 0, 2, 2, 1, 3}) {
    const auto values = update->chunk(index);
    ASSERT_TRUE(values.ok()) << index;
    const auto first = SealedUpdate::first_value(index);
    ASSERT_LE(first + values->size(), plain.values.size());
    EXPECT_TRUE(std::equal(values->begin(), values->end(),
                           plain.values.begin() + static_cast<std::ptrdiff_t>(first)));
  }
  EXPECT_EQ(source.reads, 6u) << "opening reads one chunk, chunk() one unless it is at hand";
  EXPECT_LE(source.longest, kSealedChunkBytes);
}

TEST(SealingTest, CiphertextsTellNothingOfEqualValues) {
  Plain plain = plain_of(kFirst + kMore + 10);
  std::fill(plain.values.begin(), plain.values.end(), 0);
  const Bytes one = sealed(plain);
  const Bytes two = seal_update(ContentKey(sample_id(10).bytes), plain.header, plain.bytes());
  EXPECT_NE(one, two);
  EXPECT_FALSE(std::equal(one.begin() + kUpdateHeaderBytes, one.begin() + 1000,
                          one.begin() + kSealedChunkBytes + kUpdateHeaderBytes));
}

TEST(SealingTest, AnotherKeyOpensNothing) {
  const Bytes ciphertext = sealed(plain_of(100));
  for (std::size_t byte = 0; byte < 32; ++byte) {
    auto key = sample_id(9).bytes;
    key[byte] ^= 0x40;
    const auto opened = read_all(ciphertext, ContentKey(key));
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::unauthenticated);
  }
}

TEST(SealingTest, AFlippedBitIsFoundWhereverItIs) {
  const Bytes honest = sealed(plain_of(kFirst + 20));
  const auto refused = [&](std::size_t at, std::uint8_t mask) {
    Bytes flipped = honest;
    flipped[at] = static_cast<std::uint8_t>(flipped[at] ^ mask);
    return !read_all(flipped, content_key()).ok();
  };
  // Around every boundary all bytes, elsewhere one in 97.
  for (std::size_t at = 0; at < honest.size(); ++at) {
    const bool near = at < 160 || honest.size() - at < 120 ||
                      (at > kSealedChunkBytes - 40 && at < kSealedChunkBytes + 40);
    if (!near && at % 97 != 0) continue;
    EXPECT_TRUE(refused(at, 0x01)) << at;
    if (near) {
      EXPECT_TRUE(refused(at, 0x80)) << at;
    }
  }
}

TEST(SealingTest, ShortenedAndExtendedOnesAreRefused) {
  const Bytes honest = sealed(plain_of(kFirst + kMore + 20));
  for (const std::size_t size : std::initializer_list<std::size_t>{
           0, 1, 16, 127, 128, 143, 144, kSealedChunkBytes - 1, kSealedChunkBytes,
           kSealedChunkBytes + 1, kSealedChunkBytes + 16, kSealedChunkBytes + 20,
           2 * kSealedChunkBytes, honest.size() - 80, honest.size() - 17, honest.size() - 16,
           honest.size() - 4, honest.size() - 1})
    EXPECT_FALSE(read_all(ByteView(honest).first(size), content_key()).ok()) << size;
  for (const std::size_t more :
       std::initializer_list<std::size_t>{1, 4, 16, 20, 36, kSealedChunkBytes}) {
    Bytes longer = honest;
    longer.resize(longer.size() + more);
    EXPECT_FALSE(read_all(longer, content_key()).ok()) << more;
  }
}

TEST(SealingTest, ChunksCannotBeMovedOrTakenFromElsewhere) {
  const auto chunk = [](const Bytes& of, std::size_t index) {
    return ByteView(of).subspan(index * kSealedChunkBytes,
                                std::min(kSealedChunkBytes, of.size() - index * kSealedChunkBytes));
  };
  const auto joined = [](std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts) append(out, part);
    return out;
  };
  const Bytes honest = sealed(plain_of(kFirst + 2 * kMore + 20));  // four chunks
  EXPECT_TRUE(
      read_all(joined({chunk(honest, 0), chunk(honest, 1), chunk(honest, 2), chunk(honest, 3)}),
               content_key())
          .ok());
  const Bytes spoilt[] = {
      joined({chunk(honest, 0), chunk(honest, 2), chunk(honest, 1), chunk(honest, 3)}),
      joined({chunk(honest, 1), chunk(honest, 0), chunk(honest, 2), chunk(honest, 3)}),
      joined({chunk(honest, 0), chunk(honest, 1), chunk(honest, 1), chunk(honest, 3)}),
      joined({chunk(honest, 0), chunk(honest, 1), chunk(honest, 3)}),
      joined({chunk(honest, 0), chunk(honest, 1), chunk(honest, 2)}),
      joined({chunk(honest, 0), chunk(honest, 1), chunk(honest, 2), chunk(honest, 2),
              chunk(honest, 3)}),
  };
  for (const Bytes& bytes : spoilt) EXPECT_FALSE(read_all(bytes, content_key()).ok());
  // Of another length under the same key: the length is authenticated with every chunk.
  const Bytes other = sealed(plain_of(kFirst + 2 * kMore + 21));
  EXPECT_FALSE(
      read_all(joined({chunk(honest, 0), chunk(other, 1), chunk(honest, 2), chunk(honest, 3)}),
               content_key())
          .ok());
}

// The cipher as PROTOCOL.md describes it, over a plaintext of one chunk.
Bytes encrypt(const Bytes& plain) {
  Bytes associated = to_bytes(as_bytes("fedmesh/sealed/v1"));
  Bytes length(8);
  store_le64(length, plain.size());
  append(associated, length);
  associated.push_back(1);
  return aead_encrypt(crypto::AeadSuite::chacha20_poly1305, content_key(), 0, associated, plain);
}

TEST(SealingTest, WhatAWorkerEncryptsAmissIsCorrupt) {
  Bytes plain(kUpdateHeaderBytes + 8);
  std::ranges::copy(as_bytes("fmupdate"), plain.begin());
  plain[16] = 2;  // values
  EXPECT_TRUE(read_all(encrypt(plain), content_key()).ok());
  const auto code = [&](std::size_t at, std::uint8_t value) {
    Bytes changed = plain;
    changed[at] = value;
    const auto opened = read_all(encrypt(changed), content_key());
    return opened.ok() ? ErrorCode::exhausted : opened.error().code;
  };
  EXPECT_EQ(code(0, 'F'), ErrorCode::corruption) << "magic";
  EXPECT_EQ(code(16, 1), ErrorCode::corruption) << "fewer values than there are";
  EXPECT_EQ(code(23, 1), ErrorCode::corruption) << "2^56 values more";
  EXPECT_EQ(code(120, 1), ErrorCode::corruption) << "reserved";
  EXPECT_EQ(code(127, 1), ErrorCode::corruption) << "reserved";
  EXPECT_EQ(code(8, 1), ErrorCode::exhausted) << "examples are the round's to judge";
  EXPECT_EQ(read_all({}, content_key()).error().code, ErrorCode::corruption);
}

TEST(SealingTest, SealedUpdatesAreAsPinned) {
  const Bytes small = sealed(plain_of(5));
  EXPECT_EQ(crypto::blake2b(small).hex(),
            "6e757d1a89d52b82df00e946910364ca78b322187ab2566879184d2d97ceeb38");
  const Bytes large = sealed(plain_of(kFirst + kMore + 3));
  EXPECT_EQ(crypto::blob_root(large).hex(),
            "dd66f52757b9783f472e0b41f0f01ab984b6ee498ce0d55c34c7610ab736ed28");
  EXPECT_EQ(update_digest(crypto::blob_root(small), small.size(), content_key()).hex(),
            "246058b199c7919048301767dc90652e243f4a82f786a268c18c91adbb9b4ec8");
}

class SealedKeyTest : public testing::Test {
 protected:
  SealContext context_{ChainId{sample_id(1).bytes},
                       JobId{sample_id(2).bytes},
                       {RoundNumber{3}, Attempt{1}},
                       NodeId{sample_id(4).bytes}};
  NodeId member_{sample_id(5).bytes};
  crypto::X25519Secret secret_{sample_id(6).bytes};
  Digest root_ = sample_id(7);

  Result<SealedKey> seal() const {
    return seal_key(content_key(), context_, member_, crypto::x25519_public(secret_), root_);
  }
  Result<ContentKey> open(const SealedKey& sealed_key) const {
    return open_key(secret_, crypto::x25519_public(secret_), context_, sealed_key, root_);
  }
};

TEST_F(SealedKeyTest, TheMemberOpensIt) {
  const auto box = seal();
  ASSERT_TRUE(box.ok());
  EXPECT_EQ(box->member, member_);
  EXPECT_EQ(box->box.size(), kBoxBytes);
  const auto opened = open(*box);
  ASSERT_TRUE(opened.ok()) << opened.error().to_string();
  EXPECT_EQ(to_bytes(opened->view()), to_bytes(content_key().view()));
}

// Whoever holds the content key finds the same box, for this member and no other.
TEST_F(SealedKeyTest, BoxesFollowFromTheContentKey) {
  const SealedKey box = *seal();
  EXPECT_EQ(seal()->box, box.box);
  const auto differs = [&](const auto& change) {
    SealContext context = context_;
    NodeId member = member_;
    Digest root = root_;
    auto round_key = crypto::x25519_public(secret_);
    change(context, member, root, round_key);
    return seal_key(content_key(), context, member, round_key, root)->box != box.box;
  };
  EXPECT_FALSE(differs([](auto&, auto&, auto&, auto&) {}));
  EXPECT_TRUE(
      differs([](auto& context, auto&, auto&, auto&) { context.slot.attempt = Attempt{2}; }));
  EXPECT_TRUE(differs([](auto&, auto& member, auto&, auto&) { member.bytes[0] ^= 1; }));
  EXPECT_TRUE(differs([](auto&, auto&, auto& root, auto&) { root.bytes[0] ^= 1; }));
  EXPECT_TRUE(differs([](auto&, auto&, auto&, auto& key) {
    key = crypto::x25519_public(crypto::X25519Secret(sample_id(61).bytes));
  }));
  const auto other = seal_key(ContentKey(sample_id(8).bytes), context_, member_,
                              crypto::x25519_public(secret_), root_);
  EXPECT_NE(other->box, box.box);
}

// An opened box of which another one's holder would find other bytes is recognised.
TEST_F(SealedKeyTest, AnOpenedBoxFollowsFromItsKeyOrIsNoBoxOfIt) {
  const SealedKey box = *seal();
  const auto round_key = crypto::x25519_public(secret_);
  const auto is_box = [&](const ContentKey& key, const SealedKey& opened) {
    return is_box_of(key, context_, round_key, opened, root_);
  };
  EXPECT_TRUE(is_box(content_key(), box));
  EXPECT_FALSE(is_box(ContentKey(sample_id(8).bytes), box));
  SealedKey other = box;
  other.box[0] ^= 1;
  EXPECT_FALSE(is_box(content_key(), other));
  other = box;
  other.member.bytes[0] ^= 1;
  EXPECT_FALSE(is_box(content_key(), other));
}

TEST_F(SealedKeyTest, ItIsBoundToEverything) {
  const SealedKey box = *seal();
  const auto code = [&](const SealContext& context, const SealedKey& sealed_key,
                        const Digest& root) {
    const auto opened =
        open_key(secret_, crypto::x25519_public(secret_), context, sealed_key, root);
    return opened.ok() ? ErrorCode::exhausted : opened.error().code;
  };
  const auto moved = [&](auto change) {
    SealContext context = context_;
    change(context);
    return code(context, box, root_);
  };
  const auto refused = ErrorCode::unauthenticated;
  EXPECT_EQ(moved([](SealContext& c) { c.chain.bytes[0] ^= 1; }), refused);
  EXPECT_EQ(moved([](SealContext& c) { c.job.bytes[0] ^= 1; }), refused);
  EXPECT_EQ(moved([](SealContext& c) { c.slot.round = RoundNumber{4}; }), refused);
  EXPECT_EQ(moved([](SealContext& c) { c.slot.attempt = Attempt{0}; }), refused);
  EXPECT_EQ(moved([](SealContext& c) { c.worker.bytes[0] ^= 1; }), refused);
  SealedKey other = box;
  other.member.bytes[0] ^= 1;
  EXPECT_EQ(code(context_, other, root_), refused);
  Digest root = root_;
  root.bytes[31] ^= 1;
  EXPECT_EQ(code(context_, box, root), refused);
  const crypto::X25519Secret stranger(sample_id(60).bytes);
  EXPECT_EQ(open_key(stranger, crypto::x25519_public(stranger), context_, box, root_).error().code,
            refused);
}

TEST_F(SealedKeyTest, EveryFlippedBitAndOtherLengthIsRefused) {
  const SealedKey box = *seal();
  for (std::size_t at = 0; at < box.box.size(); ++at) {
    SealedKey flipped = box;
    flipped.box[at] = static_cast<std::uint8_t>(flipped.box[at] ^ 1);
    EXPECT_FALSE(open(flipped).ok()) << at;
  }
  for (const std::size_t size :
       std::initializer_list<std::size_t>{0, 31, 32, 48, kBoxBytes - 1, kBoxBytes + 1, 1000}) {
    SealedKey resized = box;
    resized.box.resize(size);
    const auto opened = open(resized);
    ASSERT_FALSE(opened.ok()) << size;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  }
}

// The encodings of points whose order divides eight, on the curve and on its twist (Bernstein,
// "Curve25519", and the non-canonical ones); the topmost bit is ignored (RFC 7748, section 5).
std::vector<crypto::X25519Public> low_order_points() {
  std::vector<crypto::X25519Public> out;
  for (const char* hex : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    crypto::X25519Public point;
    const auto bytes = from_hex(hex);
    std::copy(bytes->begin(), bytes->end(), point.bytes.begin());
    out.push_back(point);
    point.bytes[31] |= 0x80;
    out.push_back(point);
  }
  return out;
}

TEST_F(SealedKeyTest, NothingIsSealedToAKeyOfLowOrder) {
  for (const auto& point : low_order_points()) {
    EXPECT_FALSE(is_usable_round_key(point)) << point.hex();
    const auto box = seal_key(content_key(), context_, member_, point, root_);
    ASSERT_FALSE(box.ok()) << point.hex();
    EXPECT_EQ(box.error().code, ErrorCode::unauthenticated);
    SealedKey forged{member_, Bytes(kBoxBytes)};
    std::copy(point.bytes.begin(), point.bytes.end(), forged.box.begin());
    EXPECT_FALSE(open(forged).ok()) << point.hex();
  }
  SeededRandom random(4);
  for (int i = 0; i < 50; ++i) {
    crypto::X25519Secret secret;
    for (auto& byte : secret.mutable_view()) byte = static_cast<std::uint8_t>(random.next_u64());
    EXPECT_TRUE(is_usable_round_key(crypto::x25519_public(secret)));
  }
  crypto::X25519Public base_point;
  base_point.bytes[0] = 9;
  EXPECT_TRUE(is_usable_round_key(base_point));
}

TEST_F(SealedKeyTest, BoxesAreAsPinned) {
  EXPECT_EQ(crypto::blake2b(seal()->box).hex(),
            "7edd954a5858df85fb48d8341c395febbf2997f19d7e011a70d08579dccdd6a0");
}

}  // namespace
}  // namespace fedmesh::protocol
