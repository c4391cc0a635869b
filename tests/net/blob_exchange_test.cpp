#include "net/blob_exchange.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "blob_swarm.h"
#include "net/blob_messages.h"

namespace fedmesh::net {
namespace {

using crypto::kBlobLeafBytes;
using test::blob_of;
using test::leaf_of;
using test::manifest_of;
using test::Swarm;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Duration kMinute{60'000};

bool has(Swarm& swarm, std::size_t node, const Digest& root) {
  return swarm[node].store->holds(root);
}

// --- messages ---

TEST(BlobMessagesTest, EncodeAsDocumented) {
  const Digest root = crypto::blake2b(as_bytes("a root"));
  Bytes chunks = begin_chunks(root, 70000, 3);
  std::fill(chunks.end() - 3, chunks.end(), std::uint8_t{7});
  // Computed with an independent implementation (python, hashlib).
  const std::pair<const char*, Bytes> golden[] = {
      {"b721ee8b868a5b68505b4ed0be63bd0a69828fe758bec5bc337e5e83f2c66c88",
       encode_bulk(ManifestRequest{root, 4096})},
      {"886ce16243d8928862939e3da92eb1845bdc7fad97892c40835a0df4c41a6748",
       encode_bulk(ChunkRequest{root, 12, 4})},
      {"4b6cd554d48cc1e1cb9bb6c1a401a550cb73bc6e4b7c106bb2aa8c1f49b6fabb",
       encode_bulk(ChunkRequest{root, 12, 4, true})},
      {"c8b66d15d16aa9765ed54082266110f1f3abc096e932df0a440919f446074c4f",
       encode_bulk(ManifestPage{root, 70000, 0, {root, root}})},
      {"08ced664d1c6f85c2277458ee8eed468f02ecb9d14d73bf087e6781ace590d80",
       encode_bulk(ManifestPage{root, 3, 0, {root}, to_bytes(as_bytes("abc"))})},
      {"4a3569e68a18add9d3cd64e91b9571bec273210d9ed01a83362f90ef5ebf137c", chunks},
      {"3514f1b104c90100ce98f4a57156d951efc278c53d8f5d76bd9102cac5efa9fc",
       encode_bulk(Missing{root})},
  };
  for (const auto& [digest, bytes] : golden) {
    EXPECT_EQ(crypto::sha256(bytes).hex(), digest);
    EXPECT_TRUE(decode_bulk(bytes).ok());
  }
}

TEST(BlobMessagesTest, RefusesWhatIsNotOne) {
  const Digest root;
  EXPECT_FALSE(decode_bulk({}).ok());
  EXPECT_FALSE(decode_bulk(Bytes{0}).ok());
  EXPECT_FALSE(decode_bulk(Bytes{6}).ok());
  for (const Bytes& whole :
       {encode_bulk(ManifestRequest{root, 1}), encode_bulk(ChunkRequest{root, 1, 1}),
        encode_bulk(ManifestPage{root, 1, 0, {root}}), encode_bulk(Missing{root})}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(decode_bulk(ByteView(whole).first(size)).ok());
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(decode_bulk(longer).ok());
  }
  EXPECT_FALSE(decode_bulk(begin_chunks(root, 0, 0)).ok());
  EXPECT_FALSE(decode_bulk(begin_chunks(root, 0, kPieceBytes + 1)).ok());
  EXPECT_FALSE(
      decode_bulk(encode_bulk(ManifestPage{root, 1, 0, std::vector<Digest>(kPageLeavesMax + 1)}))
          .ok());
  EXPECT_TRUE(
      decode_bulk(encode_bulk(ManifestPage{root, 1, 0, std::vector<Digest>(kPageLeavesMax)})).ok());
}

// --- fetching and serving ---

TEST(BlobExchangeTest, FetchesBlobsOfEverySize) {
  Swarm swarm(1, 2);
  swarm.link(0, 1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kBlobLeafBytes,
                                 4 * kBlobLeafBytes + 1, 37 * kBlobLeafBytes + 5}) {
    const Bytes blob = blob_of(size, size);
    const Digest root = swarm[0].store->put(blob).value();
    swarm.want(1, root);
    ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); })) << size;
    EXPECT_EQ(*swarm[1].store->read_all(root, size), blob);
    EXPECT_EQ(swarm[1].arrived.back(), root);
    EXPECT_FALSE(swarm[1].exchange->wants(root));
  }
  swarm.want(1, crypto::blob_root({}));  // held: told at once
  EXPECT_THAT(swarm[1].arrived, SizeIs(6));
  EXPECT_TRUE(swarm.run(kMinute, [&] { return swarm[0].exchange->stats().readers == 0; }));
  EXPECT_EQ(swarm[1].exchange->next_wake(), std::nullopt);
}

TEST(BlobExchangeTest, AManifestOfSeveralPages) {
  Swarm swarm(1, 2);
  swarm.link(0, 1);
  const Bytes blob = blob_of(1, (kPageLeavesMax + 3) * kBlobLeafBytes - 1);
  const Digest root = swarm[0].store->put(blob).value();
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
}

TEST(BlobExchangeTest, SeveralHoldersShareTheWork) {
  Swarm swarm(2, 5);
  const Bytes blob = blob_of(2, 400 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  for (std::size_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(swarm[i].store->put(blob).ok());
    swarm[i].bytes_per_ms = 1000;
    swarm.link(i, 4);
  }
  swarm.want(4, root);
  const Instant start = swarm.now();
  ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 4, root); }));
  // 26 MB at 1 MB/s each: alone 26 s.
  EXPECT_LT((swarm.now() - start).count(), 9000);
  std::uint64_t sent = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_GT(swarm[i].sent_bytes, blob.size() / 8);
    sent += swarm[i].sent_bytes;
  }
  EXPECT_LT(sent, blob.size() * 11 / 10) << "pieces were fetched twice";
}

TEST(BlobExchangeTest, OnlyNamedHoldersAreAsked) {
  Swarm swarm(3, 3);
  const Bytes blob = blob_of(3, 1000);
  const Digest root = swarm[0].store->put(blob).value();
  swarm.link(0, 2);
  swarm.link(1, 2);
  swarm.want(2, root, {swarm.id(1)});
  EXPECT_FALSE(swarm.run(kMinute, [&] { return has(swarm, 2, root); }));
  EXPECT_EQ(swarm[0].sent_bytes, 0u);
  swarm.want(2, root, {swarm.id(0)});
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 2, root); }));
}

TEST(BlobExchangeTest, WhoHasNothingIsAskedAgainWhileItIsWanted) {
  Swarm swarm(4, 2);
  swarm.link(0, 1);
  const Bytes blob = blob_of(4, 3 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  swarm.want(1, root);
  EXPECT_FALSE(swarm.run(Duration(9'000), [&] { return has(swarm, 1, root); }));
  EXPECT_LT(swarm[0].sent_bytes, 6 * 40u);  // every two seconds
  ASSERT_TRUE(swarm[0].store->put(blob).ok());
  EXPECT_TRUE(swarm.run(Duration(2'500), [&] { return has(swarm, 1, root); }));
  swarm.want(1, crypto::blake2b({}));
  swarm.step(1, BlobExchange::Forget{crypto::blake2b({})});
  EXPECT_FALSE(swarm[1].exchange->wants(crypto::blake2b({})));
}

TEST(BlobExchangeTest, WhoIsNotAdmittedGetsNothing) {
  Swarm swarm(5, 2);
  const Digest root = swarm[0].store->put(blob_of(5, 1000)).value();
  swarm[0].serves = false;
  swarm.link(0, 1);
  swarm.want(1, root);
  EXPECT_FALSE(swarm.run(Duration(9'000), [&] { return has(swarm, 1, root); }));
  swarm.step(0, BlobExchange::Admit{swarm.id(1), true});
  EXPECT_TRUE(swarm.run(Duration(9'000), [&] { return has(swarm, 1, root); }));
}

TEST(BlobExchangeTest, LiarsAreLeftAndHonestHoldersFinish) {
  const Bytes blob = blob_of(6, 30 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  const std::pair<const char*, std::function<std::optional<Bytes>(Bytes)>> lies[] = {
      {"changed bytes",
       [](Bytes b) {
         b.back() ^= 1;
         return b;
       }},
      {"a short answer",
       [](Bytes b) {
         b.pop_back();
         return b;
       }},
      {"a long answer",
       [](Bytes b) {
         b.push_back(0);
         return b;
       }},
      {"garbage",
       [](Bytes b) {
         b[0] = 99;
         return b;
       }},
      {"another root",
       [](Bytes b) {
         b[10] ^= 1;
         return b;
       }},
      {"another length",
       [&](Bytes b) {
         return b[0] == 3
                    ? encode_bulk(ManifestPage{root, blob.size() - 1, 0, manifest_of(blob).leaves})
                    : b;
       }},
      {"nothing but a page",
       [&](Bytes) {
         return encode_bulk(ManifestPage{root, 0, 0, {}});
       }},
  };
  for (const auto& [name, lie] : lies) {
    Swarm swarm(6, 3);
    for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(swarm[i].store->put(blob).ok());
    swarm[0].tamper = lie;
    swarm.link(0, 2);
    swarm.want(2, root);
    ASSERT_TRUE(swarm.run(kMinute, [&] { return !swarm.linked(0, 2); })) << name;
    EXPECT_TRUE(swarm[2].disconnected.contains(swarm.id(0))) << name;
    swarm.link(0, 2);
    swarm.link(1, 2);
    ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 2, root); })) << name;
    EXPECT_THAT(swarm[2].failed, IsEmpty());
    EXPECT_EQ(*swarm[2].store->read_all(root, blob.size()), blob);
  }
}

// Its bytes on the holder's disk, behind the store's back.
void damage(Swarm& swarm, std::size_t node, const Digest& root, std::uint64_t at) {
  auto file = swarm[node].disk.open("blobs/" + root.hex(), Disk::Mode::update);
  ASSERT_TRUE(file.ok() && (*file)->write(at, Bytes(1, 0x55)).ok());
}

// A holder does not hash what it made itself. Asked again it looks, finds the damage and says that
// it does not have the blob any more: nobody is cut off for a broken disk.
TEST(BlobExchangeTest, AHolderIsToldThatItsDiskDamagedABlob) {
  for (const std::size_t size : {std::size_t{1000}, 30 * kBlobLeafBytes}) {
    Swarm swarm(10, 3);
    const Bytes blob = blob_of(10, size);
    const Digest root = crypto::blob_root(blob);
    for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(swarm[i].store->put(blob).ok());
    damage(swarm, 0, root, size - 1);
    swarm.link(0, 2);
    swarm.want(2, root);
    EXPECT_FALSE(swarm.run(Duration(2'000), [&] { return has(swarm, 2, root); })) << size;
    EXPECT_FALSE(has(swarm, 0, root)) << size;
    EXPECT_TRUE(swarm.linked(0, 2)) << size;
    swarm.link(1, 2);
    ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 2, root); })) << size;
    EXPECT_EQ(*swarm[2].store->read_all(root, size), blob);
  }
}

TEST(BlobExchangeTest, AHolderChecksWhatAnEarlierProcessLeft) {
  Swarm swarm(11, 2);
  const Digest root = swarm[0].store->put(blob_of(11, 8 * kBlobLeafBytes)).value();
  damage(swarm, 0, root, 5 * kBlobLeafBytes);
  swarm.restart(0, false);
  std::size_t pieces = 0;
  swarm[0].tamper = [&](Bytes b) {
    if (b.size() > kBlobLeafBytes) ++pieces;
    return b;
  };
  swarm.link(0, 1);
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] { return !has(swarm, 0, root); }));
  EXPECT_LE(pieces, 1u);  // the damaged one never left
}

TEST(BlobExchangeTest, AShortBlobComesWithItsManifest) {
  for (const auto& [size, answers] : {std::pair{kBlobLeafBytes, 1}, {kBlobLeafBytes + 1, 2}}) {
    Swarm swarm(12, 2);
    int sent = 0;
    swarm[0].tamper = [&](Bytes b) {
      ++sent;
      return b;
    };
    const Digest root = swarm[0].store->put(blob_of(12, size)).value();
    swarm.link(0, 1);
    swarm.want(1, root);
    ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
    EXPECT_EQ(sent, answers);
  }
}

TEST(BlobExchangeTest, AShortBlobOfAnotherLengthOrWithOtherBytesEndsTheLink) {
  const Bytes blob = blob_of(13, 1000);
  const Digest root = crypto::blob_root(blob);
  const ManifestPage page{root, 1000, 0, manifest_of(blob).leaves, blob};
  for (const Bytes& whole : {Bytes(), Bytes(blob.begin(), blob.end() - 1), Bytes(1001)}) {
    Swarm swarm(13, 2);
    ASSERT_TRUE(swarm[0].store->put(blob).ok());
    swarm[0].tamper = [&](Bytes) {
      ManifestPage lie = page;
      lie.whole = whole;
      return encode_bulk(lie);
    };
    swarm.link(0, 1);
    swarm.want(1, root);
    EXPECT_TRUE(swarm.run(kMinute, [&] { return !swarm.linked(0, 1); })) << whole.size();
  }
  Swarm swarm(13, 2);  // right but for one byte, and so is what it sends when it was asked to look
  ASSERT_TRUE(swarm[0].store->put(blob).ok());
  swarm[0].tamper = [&](Bytes b) {
    b.back() ^= 1;
    return b;
  };
  swarm.link(0, 1);
  swarm.want(1, root);
  EXPECT_TRUE(swarm.run(kMinute, [&] { return !swarm.linked(0, 1); }));
  EXPECT_THAT(swarm[1].disconnected[swarm.id(0)], HasSubstr("is not what its leaf says"));
}

TEST(BlobExchangeTest, ABlobBeyondTheBoundIsNotTaken) {
  Swarm swarm(7, 2);
  const Digest root = swarm[0].store->put(blob_of(7, 1001)).value();
  swarm.link(0, 1);
  swarm.step(1, BlobExchange::Want{root, 1000, {}});
  EXPECT_FALSE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
  EXPECT_TRUE(swarm.linked(0, 1));
  swarm.step(1, BlobExchange::Want{root, 1001, {}});
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
}

TEST(BlobExchangeTest, ASilentHolderDoesNotHoldItUp) {
  Swarm swarm(8, 3);
  const Bytes blob = blob_of(8, 60 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(swarm[i].store->put(blob).ok());
  std::size_t answers = 0;
  swarm[0].tamper = [&](Bytes b) { return ++answers > 3 ? std::nullopt : std::optional(b); };
  swarm.link(0, 2);
  swarm.want(2, root);
  EXPECT_FALSE(swarm.run(Duration(2'000), [&] { return has(swarm, 2, root); }));
  swarm.link(1, 2);
  EXPECT_TRUE(swarm.run(Duration(2'000), [&] { return has(swarm, 2, root); }));
}

TEST(BlobExchangeTest, ASlowHolderIsNotGivenUp) {
  Swarm swarm(9, 2);
  const Bytes blob = blob_of(9, 20 * kBlobLeafBytes);
  const Digest root = swarm[0].store->put(blob).value();
  swarm[0].bytes_per_ms = 40;  // a piece takes six seconds
  swarm.link(0, 1);
  swarm.want(1, root);
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
  EXPECT_THAT(swarm[1].disconnected, IsEmpty());
}

TEST(BlobExchangeTest, AReaderThatDoesNotReadCostsOneQueue) {
  Swarm swarm(10, 2);
  const Bytes blob = blob_of(10, 200 * kBlobLeafBytes);
  const Digest root = swarm[0].store->put(blob).value();
  swarm.link(0, 1);
  swarm[1].reads = false;
  for (std::uint64_t i = 0; i < kUnansweredMax; ++i)
    swarm.step(0, BlobExchange::Received{swarm.id(1), encode_bulk(ChunkRequest{root, i, 4})});
  EXPECT_LE(swarm[0].sent_bytes, 1u << 20);
  EXPECT_GT(swarm[0].exchange->stats().to_answer, 50u);
  EXPECT_TRUE(swarm.linked(0, 1));
  for (int i = 0; i < 10; ++i)
    swarm.step(0, BlobExchange::Received{swarm.id(1), encode_bulk(ChunkRequest{root, 0, 4})});
  EXPECT_THAT(swarm[0].disconnected[swarm.id(1)], HasSubstr("too many"));
  EXPECT_EQ(swarm[0].exchange->stats().to_answer, 0u);
}

TEST(BlobExchangeTest, RequestsThatNoHonestPeerSendsEndTheLink) {
  const Digest root = crypto::blob_root(blob_of(11, 5 * kBlobLeafBytes));
  for (const Bytes& request :
       {encode_bulk(ChunkRequest{root, 0, 0}), encode_bulk(ChunkRequest{root, 0, 5}),
        encode_bulk(ChunkRequest{root, 4, 2}), encode_bulk(ChunkRequest{root, UINT64_MAX, 1}),
        encode_bulk(ManifestRequest{root, 5}), encode_bulk(Missing{root}), Bytes{1, 2, 3}}) {
    Swarm swarm(11, 2);
    ASSERT_TRUE(swarm[0].store->put(blob_of(11, 5 * kBlobLeafBytes)).ok());
    swarm.link(0, 1);
    swarm.step(0, BlobExchange::Received{swarm.id(1), request});
    EXPECT_FALSE(swarm.linked(0, 1));
  }
}

TEST(BlobExchangeTest, DamageAtTheHolderSendsTheAskerElsewhere) {
  Swarm swarm(12, 3);
  const Bytes blob = blob_of(12, 10 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(swarm[i].store->put(blob).ok());
  auto file = swarm[0].disk.open("blobs/" + root.hex(), Disk::Mode::update).value();
  ASSERT_TRUE(file->write(7 * kBlobLeafBytes, blob_of(1, 9)).ok());
  swarm.link(0, 2);
  swarm.want(2, root);
  EXPECT_FALSE(swarm.run(Duration(3'000), [&] { return has(swarm, 2, root); }));
  EXPECT_FALSE(has(swarm, 0, root));
  EXPECT_TRUE(swarm.linked(0, 2));
  swarm.link(1, 2);
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 2, root); }));
}

TEST(BlobExchangeTest, AFullDiskEndsTheWant) {
  Swarm swarm(13, 2);
  const Digest root = swarm[0].store->put(blob_of(13, 20 * kBlobLeafBytes)).value();
  swarm.link(0, 1);
  swarm[1].disk.fail_after(5, exhausted("the disk is full"));
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] { return !swarm[1].failed.empty(); }));
  EXPECT_EQ(swarm[1].failed[0].reason.detail, "the disk is full");
  EXPECT_FALSE(swarm[1].exchange->wants(root));
  EXPECT_EQ(swarm[1].store->stats().bytes, 0u);
  swarm[1].disk.repair();
  swarm.want(1, root);
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
  EXPECT_TRUE(swarm.linked(0, 1));
}

TEST(BlobExchangeTest, WhatItsOwnerRemovesIsBegunAnewWhileWanted) {
  Swarm swarm(14, 2);
  const Digest root = swarm[0].store->put(blob_of(14, 40 * kBlobLeafBytes)).value();
  swarm[0].bytes_per_ms = 1000;
  swarm.link(0, 1);
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] { return swarm[1].store->progress(root).has_value(); }));
  swarm[1].store->remove(root);
  EXPECT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
  EXPECT_TRUE(swarm.linked(0, 1));
}

TEST(BlobExchangeTest, ARestartedReceiverAsksOnlyForTheRest) {
  Swarm swarm(15, 2);
  const Bytes blob = blob_of(15, 100 * kBlobLeafBytes);
  const Digest root = swarm[0].store->put(blob).value();
  swarm[0].bytes_per_ms = 1000;
  swarm.link(0, 1);
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] {
    const auto progress = swarm[1].store->progress(root);
    return progress && progress->received > blob.size() / 2;
  }));
  swarm.restart(1, false);
  const std::uint64_t received = swarm[1].store->progress(root)->received;
  const std::uint64_t before = swarm[0].sent_bytes;
  swarm.link(0, 1);
  swarm.want(1, root);
  ASSERT_TRUE(swarm.run(kMinute, [&] { return has(swarm, 1, root); }));
  EXPECT_LT(swarm[0].sent_bytes - before, blob.size() - received + kPieceBytes);
}

TEST(BlobExchangeTest, WantsAreBounded) {
  Swarm swarm(16, 1, {.wants_max = 2});
  for (std::uint64_t i = 0; i < 3; ++i) swarm.want(0, crypto::blake2b(blob_of(i, 8)));
  ASSERT_THAT(swarm[0].failed, SizeIs(1));
  EXPECT_EQ(swarm[0].failed[0].reason.code, ErrorCode::exhausted);
}

// --- a hundred days at sea ---

// Six nodes, the first two hold everything and stay honest; links come and go, processes restart,
// disks lose power, one node lies now and then, one is slow. Everybody gets every blob, and nobody
// ever keeps more in flight than the limits say.
void voyage(std::uint64_t seed) {
  const ExchangeLimits limits{.peer_requests_max = 8, .window_bytes_max = 12 * kPieceBytes};
  Swarm swarm(seed, 6, limits);
  SeededRandom& random = swarm.random();
  std::vector<Digest> roots;
  for (std::uint64_t b = 0; b < 4; ++b) {
    const Bytes blob = blob_of(seed * 100 + b, random.below(40 * kBlobLeafBytes));
    for (std::size_t i = 0; i < 2; ++i) roots.push_back(swarm[i].store->put(blob).value());
    roots.pop_back();
  }
  for (std::size_t i = 0; i < 6; ++i) swarm[i].bytes_per_ms = i == 1 ? 300 : 3000;
  swarm[3].tamper = [&](Bytes bytes) {
    if (random.below(10) == 0) bytes[random.below(bytes.size())] ^= 1;
    return bytes;
  };
  swarm.after_each = [&] {
    for (std::size_t i = 0; i < 6; ++i) {
      const auto stats = swarm[i].exchange->stats();
      ASSERT_LE(stats.window_bytes, limits.window_bytes_max);
      ASSERT_LE(stats.requests, stats.peers * kUnansweredMax);
      ASSERT_LE(stats.to_answer, 5 * kUnansweredMax);
    }
  };
  const auto want_all = [&](std::size_t node) {
    for (const Digest& root : roots) swarm.want(node, root);
  };
  for (std::size_t i = 2; i < 6; ++i) want_all(i);
  for (int storm = 0; storm < 60; ++storm) {
    const std::size_t a = random.below(6), b = random.below(6);
    switch (random.below(8)) {
      case 0:
        swarm.restart(a, random.below(2) == 0);
        if (a >= 2) want_all(a);
        break;
      case 1:
      case 2:
        swarm.unlink(a, b);
        break;
      default:
        swarm.link(a, b);
    }
    swarm.run(Duration(static_cast<std::int64_t>(random.below(400))), [] { return false; });
  }
  for (std::size_t i = 2; i < 6; ++i) swarm.link(0, i);
  for (std::size_t i = 2; i < 6; ++i) {
    for (const Digest& root : roots) {
      EXPECT_TRUE(swarm.run(kMinute,
                            [&] {
                              swarm.link(
                                  0, i);  // the liar is cut off by whoever notices and comes back
                              return has(swarm, i, root);
                            }))
          << "seed " << seed << ", node " << i << ", blob " << root.short_hex();
    }
    EXPECT_THAT(swarm[i].failed, IsEmpty());
  }
  EXPECT_LE(swarm.queued_max, (1u << 20) + kUnansweredMax * 200);
}

TEST(BlobExchangeTest, EverybodyGetsEverythingWhateverHappensOnTheWay) {
  const char* more = std::getenv("FEDMESH_VOYAGES");
  const std::uint64_t voyages = more != nullptr ? std::strtoull(more, nullptr, 10) : 12;
  for (std::uint64_t seed = 1; seed <= voyages && !HasFailure(); ++seed) voyage(seed);
}

}  // namespace
}  // namespace fedmesh::net
