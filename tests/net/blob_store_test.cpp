#include "net/blob_store.h"

#include <gmock/gmock.h>

#include <functional>
#include <thread>

#include "base/crypto/blob_hash.h"
#include "blob_fixture.h"
#include "tests/base/needed_flushes.h"
#include "tests/base/power_loss_disk.h"

namespace fedmesh::net {
namespace {

using crypto::kBlobLeafBytes;
using test::blob_of;
using test::leaf_of;
using test::manifest_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr const char* kFolder = "blobs";

std::unique_ptr<BlobStore> open_on(Disk& disk, const BlobLimits& limits = {}) {
  auto store = BlobStore::open(disk, kFolder, limits);
  EXPECT_TRUE(store.ok());
  return store.ok() ? std::move(store).value() : nullptr;
}

// Everything that is missing, in order. The first error ends it.
Result<bool> receive(BlobStore& store, const Digest& root, ByteView blob,
                     Flush flush = Flush::yes) {
  FM_TRY(bool done, store.begin(root, manifest_of(blob), flush));
  std::uint64_t next = 0;
  while (!done) {
    const auto index = store.next_missing(root, next);
    if (!index) return not_found("nothing is missing, but it is not held");
    FM_TRY(done, store.add(root, *index, leaf_of(blob, *index)));
    next = *index + 1;
  }
  return true;
}

TEST(BlobStoreTest, KeepsBlobsOfEverySizeAcrossARestart) {
  PowerLossDisk disk;
  std::map<Digest, Bytes> kept;
  {
    const auto store = open_on(disk);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kBlobLeafBytes - 1,
                                   kBlobLeafBytes, kBlobLeafBytes + 1, 5 * kBlobLeafBytes + 7}) {
      Bytes blob = blob_of(size, size);
      const auto root = store->put(blob);
      ASSERT_TRUE(root.ok());
      EXPECT_EQ(*root, crypto::blob_root(blob));
      kept[*root] = std::move(blob);
    }
  }
  disk.crash();
  const auto store = open_on(disk);
  EXPECT_EQ(store->roots().size(), kept.size());
  for (const auto& [root, blob] : kept) {
    EXPECT_EQ(*store->read_all(root, blob.size()), blob);
    EXPECT_EQ(store->size_of(root), blob.size());
    if (!blob.empty()) {
      EXPECT_EQ(store->read_all(root, blob.size() - 1).error().code, ErrorCode::exhausted);
    }
  }
  EXPECT_EQ(store->read_all(crypto::blake2b({}), 1).error().code, ErrorCode::not_found);
}

TEST(BlobStoreTest, AWriterNeedsNeitherRootNorLength) {
  PowerLossDisk disk;
  const auto store = open_on(disk);
  const Bytes blob = blob_of(1, 3 * kBlobLeafBytes + 1000);
  auto writer = store->create();
  ASSERT_TRUE(writer.ok());
  for (std::size_t at = 0, step = 1; at < blob.size(); at += step, step = step * 3 % 90001 + 1) {
    step = std::min(step, blob.size() - at);
    ASSERT_TRUE((*writer)->append(ByteView(blob).subspan(at, step)).ok());
  }
  const auto root = (*writer)->finish();
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(*root, crypto::blob_root(blob));
  { auto dropped = store->create().value()->append(blob); }
  EXPECT_THAT(*disk.list(kFolder), ElementsAre(root->hex()));
  writer.value().reset();
  const BlobStats stats = store->stats();
  EXPECT_EQ(stats.bytes, blob.size() + 4 * 32 + 16);
  EXPECT_EQ(stats.blobs, 1u);
}

TEST(BlobStoreTest, ReadsAnyRange) {
  PowerLossDisk disk;
  const auto store = open_on(disk);
  const Bytes blob = blob_of(2, 4 * kBlobLeafBytes + 10);
  const auto reader = store->open(store->put(blob).value());
  ASSERT_TRUE(reader.ok());
  const std::pair<std::size_t, std::size_t> ranges[] = {{0, 0},
                                                        {0, 1},
                                                        {kBlobLeafBytes - 3, 6},
                                                        {7, 3 * kBlobLeafBytes},
                                                        {0, blob.size()},
                                                        {blob.size() - 10, 10},
                                                        {blob.size(), 0}};
  for (const auto& [at, size] : ranges) {
    Bytes part(size);
    ASSERT_TRUE((*reader)->read(at, part).ok());
    EXPECT_EQ(part, to_bytes(ByteView(blob).subspan(at, size)));
  }
  Bytes one(1);
  EXPECT_EQ((*reader)->read(blob.size(), one).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ((*reader)->read(UINT64_MAX, one).error().code, ErrorCode::invalid_argument);
}

TEST(BlobStoreTest, ReceivesInAnyOrderAndRefusesWhatIsNotTheBlob) {
  PowerLossDisk disk;
  const auto store = open_on(disk);
  const Bytes blob = blob_of(3, 2 * kBlobLeafBytes + 5);
  const Digest root = crypto::blob_root(blob);
  BlobManifest manifest = manifest_of(blob);

  BlobManifest wrong = manifest;
  wrong.total += 1;
  EXPECT_EQ(store->begin(root, wrong).error().code, ErrorCode::invalid_argument);
  wrong = manifest;
  wrong.leaves.pop_back();
  EXPECT_EQ(store->begin(root, wrong).error().code, ErrorCode::invalid_argument);
  wrong.total = UINT64_MAX;
  EXPECT_EQ(store->begin(root, wrong).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(store->add(root, 0, leaf_of(blob, 0)).error().code, ErrorCode::not_found);
  EXPECT_EQ(store->stats().bytes, 0u);

  EXPECT_FALSE(store->begin(root, manifest).value());
  EXPECT_EQ(store->add(root, 0, leaf_of(blob, 1)).error().code, ErrorCode::corruption);
  EXPECT_EQ(store->add(root, 3, leaf_of(blob, 1)).error().code, ErrorCode::corruption);
  EXPECT_EQ(store->add(root, 0, ByteView(blob).first(kBlobLeafBytes + 1)).error().code,
            ErrorCode::corruption);
  EXPECT_EQ(store->add(root, 1, blob).error().code, ErrorCode::corruption);
  EXPECT_EQ(store->add(root, 0, {}).error().code, ErrorCode::corruption);
  EXPECT_EQ(store->add(root, UINT64_MAX, leaf_of(blob, 0)).error().code, ErrorCode::corruption);
  EXPECT_FALSE(store->add(root, 2, leaf_of(blob, 2)).value());
  EXPECT_FALSE(store->add(root, 2, leaf_of(blob, 2)).value());
  EXPECT_EQ(store->progress(root)->received, 5u);
  EXPECT_EQ(store->next_missing(root, 1), 1u);
  EXPECT_EQ(store->next_missing(root, 2), std::nullopt);
  EXPECT_FALSE(store->add(root, 0, leaf_of(blob, 0)).value());
  EXPECT_FALSE(store->holds(root));
  EXPECT_FALSE(store->open(root).ok());
  EXPECT_TRUE(store->add(root, 1, leaf_of(blob, 1)).value());
  EXPECT_TRUE(store->holds(root));
  EXPECT_FALSE(store->add(root, 1, leaf_of(blob, 1)).value());
  EXPECT_TRUE(store->begin(root, manifest).value());
  EXPECT_EQ(*store->read_all(root, blob.size()), blob);

  EXPECT_TRUE(store->begin(crypto::blob_root({}), BlobManifest{}).value());
  EXPECT_TRUE(store->holds(crypto::blob_root({})));
}

TEST(BlobStoreTest, ARestartResumesWithWhatIsThere) {
  PowerLossDisk disk;
  const Bytes blob = blob_of(4, 8 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  {
    const auto store = open_on(disk);
    ASSERT_TRUE(store->begin(root, manifest_of(blob)).ok());
    for (const std::uint64_t index : {1, 4, 5})
      ASSERT_TRUE(store->add(root, index, leaf_of(blob, index)).ok());
    auto file =
        disk.open(std::filesystem::path(kFolder) / (root.hex() + ".part"), Disk::Mode::update);
    ASSERT_TRUE((*file)->write(5 * kBlobLeafBytes, blob_of(0, 1)).ok());  // chunk 5 is damaged
  }
  const auto store = open_on(disk);
  EXPECT_EQ(store->progress(root)->received, 2 * kBlobLeafBytes);
  EXPECT_EQ(store->partial_manifest(root)->leaves, manifest_of(blob).leaves);
  EXPECT_EQ(store->next_missing(root, 4), 5u);
  EXPECT_TRUE(receive(*store, root, blob).value());
  EXPECT_EQ(*store->read_all(root, blob.size()), blob);
}

TEST(BlobStoreTest, TrustsNoNameAndNoLength) {
  PowerLossDisk disk;
  const Bytes blob = blob_of(5, kBlobLeafBytes + 1);
  const auto root = open_on(disk)->put(blob).value();
  const std::filesystem::path folder = kFolder;
  const Bytes stored = read_whole(disk, folder / root.hex(), 1u << 20).value();
  const Digest other = crypto::blake2b(blob);
  const auto place = [&](const std::string& name, ByteView bytes) {
    ASSERT_TRUE((*disk.open(folder / name, Disk::Mode::create))->write(0, bytes).ok());
  };
  place(other.hex(), stored);                                    // another blob's contents
  place(crypto::sha256(blob).hex(), ByteView(stored).first(9));  // nothing
  place(crypto::sha256(stored).hex(), {});
  place(crypto::blake2b(stored).hex() + ".part", ByteView(stored).first(stored.size() - 1));
  place(root.hex() + ".part", stored);
  place("new-7.part", stored);
  place(".lock", {});
  const auto store = open_on(disk);
  EXPECT_THAT(store->roots(), ElementsAre(root));
  EXPECT_THAT(*disk.list(folder), UnorderedElementsAre(root.hex(), ".lock"));
  EXPECT_EQ(store->stats().partial, 0u);
}

TEST(BlobStoreTest, DamageAtRestIsFoundWhenReadAndTheBlobDropped) {
  const Bytes blob = blob_of(6, 3 * kBlobLeafBytes);
  for (const bool leaf : {false, true}) {
    PowerLossDisk disk;
    const auto store = open_on(disk);
    const Digest root = store->put(blob).value();
    auto reader = store->open(root).value();
    auto file = disk.open(std::filesystem::path(kFolder) / root.hex(), Disk::Mode::update).value();
    const std::uint64_t at = leaf ? blob.size() + 3 : kBlobLeafBytes + 100;
    ASSERT_TRUE(file->write(at, blob_of(9, 1)).ok());
    Bytes sound(kBlobLeafBytes);
    EXPECT_TRUE(reader->read(0, sound).ok());
    EXPECT_TRUE(store->holds(root));
    EXPECT_EQ(store->read_all(root, blob.size()).error().code, ErrorCode::corruption);
    EXPECT_FALSE(store->holds(root));
    EXPECT_EQ(store->stats().bytes, 0u);
    EXPECT_THAT(*disk.list(kFolder), IsEmpty());
    // A sound copy that came since is not what the old reader complains about.
    ASSERT_TRUE(store->put(blob).ok());
    Bytes all(blob.size());
    EXPECT_EQ(reader->read(0, all).ok(), leaf);
    EXPECT_TRUE(store->holds(root));
  }
}

TEST(BlobStoreTest, WhatAnotherProcessLeftIsCheckedWhereOwnBlobsAreTrustedUntilDoubted) {
  const Bytes blob = blob_of(6, 3 * kBlobLeafBytes);
  PowerLossDisk disk;
  auto store = open_on(disk);
  const Digest root = store->put(blob).value();
  const auto damaged = [&] {
    auto file = disk.open(std::filesystem::path(kFolder) / root.hex(), Disk::Mode::update).value();
    ASSERT_TRUE(file->write(100, blob_of(9, 1)).ok());
  };
  Bytes all(blob.size());
  auto reader = store->open(root, Verify::found).value();
  damaged();
  EXPECT_TRUE(reader->read(0, all).ok());
  EXPECT_NE(all, blob);
  store.reset();
  store = open_on(disk);
  EXPECT_EQ(store->open(root, Verify::found).value()->read(0, all).error().code,
            ErrorCode::corruption);
  EXPECT_FALSE(store->holds(root));

  ASSERT_TRUE(store->put(blob).ok());
  reader = store->open(root, Verify::found).value();
  EXPECT_TRUE(reader->read(0, all).ok());
  damaged();
  reader->doubt();
  EXPECT_EQ(reader->read(0, all).error().code, ErrorCode::corruption);
  EXPECT_FALSE(store->holds(root));
}

TEST(BlobStoreTest, RoomComesFromSuspendedPartialsThenTheOldestUnpinned) {
  PowerLossDisk disk;
  const std::uint64_t file = kBlobLeafBytes + 32 + 16;
  const auto store = open_on(disk, {.bytes_max = 4 * file});
  std::vector<Digest> roots;
  for (std::uint64_t i = 0; i < 3; ++i)
    roots.push_back(store->put(blob_of(10 + i, kBlobLeafBytes)).value());
  const Bytes partial = blob_of(20, kBlobLeafBytes);
  ASSERT_TRUE(store->begin(crypto::blob_root(partial), manifest_of(partial)).ok());
  store->pin("model", {roots[0]});
  store->suspend(crypto::blob_root(partial));
  roots.push_back(store->put(blob_of(30, kBlobLeafBytes)).value());
  EXPECT_EQ(store->stats().partial, 0u);
  EXPECT_EQ(store->roots().size(), 4u);
  ASSERT_TRUE(store->open(roots[1]).ok());  // used since
  roots.push_back(store->put(blob_of(31, kBlobLeafBytes)).value());
  EXPECT_THAT(store->roots(), UnorderedElementsAre(roots[0], roots[1], roots[3], roots[4]));

  store->pin("updates", {roots[1], roots[3], roots[4]});
  EXPECT_EQ(store->put(blob_of(32, 1)).error().code, ErrorCode::exhausted);
  EXPECT_EQ(store->begin(crypto::blob_root(partial), manifest_of(partial)).error().code,
            ErrorCode::exhausted);
  auto writer = store->create().value();
  EXPECT_EQ(writer->append(partial).error().code, ErrorCode::exhausted);
  EXPECT_EQ(writer->finish().error().code, ErrorCode::exhausted);
  writer.reset();
  EXPECT_EQ(store->stats().bytes, 4 * file);
  store->pin("updates", {roots[3]});
  EXPECT_TRUE(receive(*store, crypto::blob_root(partial), partial).value());
  store->remove_unpinned();
  EXPECT_THAT(store->roots(), UnorderedElementsAre(roots[0], roots[3]));
  store->remove(roots[0]);
  EXPECT_THAT(store->roots(), ElementsAre(roots[3]));
  EXPECT_EQ(store->stats().bytes, file);
}

TEST(BlobStoreTest, CountsAreBoundedToo) {
  PowerLossDisk disk;
  const auto store = open_on(disk, {.blob_bytes_max = 100, .blobs_max = 2, .partial_max = 1});
  EXPECT_EQ(store->put(blob_of(1, 101)).error().code, ErrorCode::exhausted);
  EXPECT_EQ(store->create().value()->append(blob_of(1, kBlobLeafBytes)).error().code,
            ErrorCode::exhausted);
  for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(store->put(blob_of(i, 10)).ok());
  EXPECT_EQ(store->stats().blobs, 2u);
  const Bytes one = blob_of(7, 20), two = blob_of(8, 20);
  ASSERT_TRUE(store->begin(crypto::blob_root(one), manifest_of(one)).ok());
  EXPECT_EQ(store->begin(crypto::blob_root(two), manifest_of(two)).error().code,
            ErrorCode::exhausted);
  store->suspend(crypto::blob_root(one));
  EXPECT_TRUE(store->begin(crypto::blob_root(two), manifest_of(two)).ok());
}

TEST(BlobStoreTest, SeveralLeavesAtATimeAreTakenOrRefusedTogether) {
  PowerLossDisk disk;
  const auto store = open_on(disk);
  const Bytes blob = blob_of(12, 5 * kBlobLeafBytes + 7);
  const Digest root = crypto::blob_root(blob);
  ASSERT_FALSE(store->begin(root, manifest_of(blob)).value());
  const auto leaves = [&](std::uint64_t first, std::uint64_t count) {
    return ByteView(blob).subspan(
        first * kBlobLeafBytes,
        std::min<std::size_t>(count * kBlobLeafBytes, blob.size() - first * kBlobLeafBytes));
  };
  Bytes damaged = to_bytes(leaves(0, 4));
  damaged[3 * kBlobLeafBytes] ^= 1;
  EXPECT_EQ(store->add(root, 0, damaged).error().code, ErrorCode::corruption);
  EXPECT_EQ(store->progress(root)->received, 0u);
  EXPECT_FALSE(store->add(root, 1, leaves(1, 2)).value());
  EXPECT_FALSE(store->add(root, 0, leaves(0, 4)).value()) << "some of them are there already";
  EXPECT_EQ(store->progress(root)->received, 4 * kBlobLeafBytes);
  EXPECT_TRUE(store->add(root, 4, leaves(4, 2)).value());
  EXPECT_EQ(*store->read_all(root, blob.size()), blob);
}

// Nothing is promised of it after a power failure but that damage is noticed.
TEST(BlobStoreTest, WhatCanBeFetchedAgainIsNotFlushedUntilSomebodyAsks) {
  const Bytes blob = blob_of(13, 2 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  for (const bool asked : {false, true}) {
    PowerLossDisk disk;
    {
      const auto store = open_on(disk);
      ASSERT_FALSE(store->begin(root, manifest_of(blob), Flush::no).value());
      ASSERT_TRUE(store->add(root, 0, blob).value());
      EXPECT_EQ(*store->read_all(root, blob.size()), blob);
      if (asked) {
        EXPECT_TRUE(store->flush(root).ok());
      }
      disk.crash();
    }
    const auto again = open_on(disk);
    const auto read = again->read_all(root, blob.size());
    EXPECT_EQ(read.ok(), asked);
    EXPECT_EQ(again->holds(root), asked);
    EXPECT_EQ(again->flush(crypto::blake2b({})).error().code, ErrorCode::not_found);
  }
}

TEST(BlobStoreTest, TheFileOfARemovedBlobIsWrittenOverByTheNextOfItsSize) {
  constexpr std::size_t kBytes = (2u << 20) + 9;
  PowerLossDisk disk;
  const auto store = open_on(disk);
  const Bytes first = blob_of(20, kBytes), second = blob_of(21, kBytes),
              third = blob_of(22, kBytes);
  const Digest root = store->put(first).value();
  store->remove(root);
  EXPECT_FALSE(store->holds(root));
  EXPECT_FALSE(store->open(root).ok());
  const std::uint64_t file = store->stats().spare_bytes;
  EXPECT_GT(file, kBytes);
  ASSERT_FALSE(store->begin(crypto::blob_root(second), manifest_of(second)).value());
  EXPECT_EQ(store->stats().spare_bytes, 0u);
  EXPECT_EQ(store->stats().bytes, file);
  EXPECT_FALSE(store->holds(crypto::blob_root(second))) << "nothing of it is there yet";
  EXPECT_EQ(store->progress(crypto::blob_root(second))->received, 0u);
  ASSERT_TRUE(store->add(crypto::blob_root(second), 0, second).value());
  EXPECT_EQ(*store->read_all(crypto::blob_root(second), kBytes), second);

  // Whoever has it open reads it to the end.
  const auto reader = store->open(crypto::blob_root(second)).value();
  store->remove(crypto::blob_root(second));
  EXPECT_EQ(store->stats().spare_bytes, 0u);
  EXPECT_TRUE(receive(*store, crypto::blob_root(third), third).ok());
  Bytes read(kBytes);
  ASSERT_TRUE(reader->read(0, read).ok());
  EXPECT_EQ(read, second);

  store->remove(crypto::blob_root(third));
  EXPECT_EQ(store->stats().spare_bytes, file);
  store->drop_spares();
  EXPECT_EQ(store->stats().bytes, 0u);
  EXPECT_THAT(*disk.list(kFolder), IsEmpty());
}

TEST(BlobStoreTest, SpareFilesMakeRoomAndEndWithTheProcess) {
  constexpr std::size_t kBytes = 2u << 20;
  PowerLossDisk disk;
  {
    const auto store = open_on(disk, {.bytes_max = 11u << 19});
    store->remove(store->put(blob_of(23, kBytes)).value());
    store->remove(store->put(blob_of(24, kBytes + 1)).value());
    EXPECT_EQ(disk.list(kFolder)->size(), 2u);
    EXPECT_TRUE(store->put(blob_of(25, 3u << 20)).ok());
    EXPECT_EQ(disk.list(kFolder)->size(), 2u) << "one of them went";
  }
  const auto again = open_on(disk);
  EXPECT_EQ(disk.list(kFolder)->size(), 1u);
  EXPECT_EQ(again->stats().blobs, 1u);
}

// Every way to be promised a blob that was received without a flush.
TEST(BlobStoreTest, WhatIsPromisedOfABlobThatWasNotFlushedIsKept) {
  const Bytes blob = blob_of(14, 2 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  const std::vector<std::pair<const char*, std::function<bool(BlobStore&)>>> promises{
      {"put", [&](BlobStore& store) { return store.put(blob).ok(); }},
      {"a writer",
       [&](BlobStore& store) {
         const auto writer = store.create().value();
         return writer->append(blob).ok() && writer->finish().ok();
       }},
      {"begin of what is held",
       [&](BlobStore& store) { return *store.begin(root, manifest_of(blob), Flush::yes); }},
  };
  for (const auto& [name, promise] : promises) {
    PowerLossDisk disk;
    {
      const auto store = open_on(disk);
      ASSERT_FALSE(store->begin(root, manifest_of(blob), Flush::no).value());
      ASSERT_TRUE(store->add(root, 0, blob).value());
      EXPECT_TRUE(promise(*store)) << name;
    }
    disk.crash();
    const auto again = open_on(disk);
    const auto read = again->read_all(root, blob.size());
    EXPECT_TRUE(read.ok() && *read == blob) << name;
  }
}

// A receiver that asks for less than another one does not take its promise back.
TEST(BlobStoreTest, OnceAskedForAFlushIsDone) {
  const Bytes blob = blob_of(15, 2 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  PowerLossDisk disk;
  const auto store = open_on(disk);
  ASSERT_FALSE(store->begin(root, manifest_of(blob), Flush::yes).value());
  ASSERT_FALSE(store->begin(root, manifest_of(blob), Flush::no).value());
  ASSERT_TRUE(store->add(root, 0, blob).value());
  disk.crash();
  EXPECT_TRUE(open_on(disk)->read_all(root, blob.size()).ok());
}

// The system reports a failed flush once; the next one succeeds, and the bytes are not there.
TEST(BlobStoreTest, AfterAFailedFlushNobodyIsToldThatItIsFlushed) {
  const Bytes blob = blob_of(16, 2 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  for (const std::uint64_t step : {0u, 1u}) {
    PowerLossDisk disk;
    const auto store = open_on(disk);
    ASSERT_FALSE(store->begin(root, manifest_of(blob), Flush::no).value());
    ASSERT_TRUE(store->add(root, 0, blob).value());
    disk.fail_after(step, exhausted("the disk is full"));
    EXPECT_EQ(store->flush(root).error().detail, "the disk is full");
    disk.repair();
    EXPECT_EQ(store->flush(root).error().code, ErrorCode::not_found) << "step " << step;
    EXPECT_FALSE(store->holds(root));
    EXPECT_TRUE(store->put(blob).ok());
    disk.crash();
    EXPECT_TRUE(open_on(disk)->read_all(root, blob.size()).ok());
  }
}

enum class Kept { put, received, flushed_later };

// What others rely on; true only if every flush is done.
bool blobs_are_durable(PowerLossDisk& disk, Kept how) {
  const Bytes blob = blob_of(11, 2 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  const auto store = BlobStore::open(disk, kFolder);
  if (!store.ok()) return false;
  bool done = false;
  if (how == Kept::put) {
    done = (*store)->put(blob).ok();
  } else {
    const bool later = how == Kept::flushed_later;
    done = receive(**store, root, blob, later ? Flush::no : Flush::yes).ok() &&
           (!later || (*store)->flush(root).ok());
  }
  if (!done || !(*store)->holds(root)) return false;
  disk.crash();
  const auto again = BlobStore::open(disk, kFolder);
  if (!again.ok() || !(*again)->holds(root)) return false;
  const auto bytes = (*again)->read_all(root, blob.size());
  return bytes.ok() && *bytes == blob;
}

TEST(BlobStoreTest, SurvivesPowerLossAndEveryFlushIsNeededForIt) {
  for (const Kept how : {Kept::put, Kept::received, Kept::flushed_later}) {
    PowerLossDisk disk;
    EXPECT_TRUE(blobs_are_durable(disk, how));
    EXPECT_EQ(disk.used(), kBlobFlushes);
    for (const SyncPoint point : kBlobFlushes) {
      PowerLossDisk forgetful;
      forgetful.drop(point);
      EXPECT_FALSE(blobs_are_durable(forgetful, how)) << to_string(point) << " is not needed";
    }
  }
}

// A killed process may leave a name that is not flushed; the next one must not promise on it.
TEST(BlobStoreTest, WhatAKilledProcessLeftIsFlushedBeforeItCounts) {
  PowerLossDisk disk;
  const Bytes blob = blob_of(12, 1000);
  disk.drop(SyncPoint::blob_folder);
  const Digest root = open_on(disk)->put(blob).value();
  disk.keep_all();
  EXPECT_TRUE(open_on(disk)->holds(root));
  disk.crash();
  EXPECT_TRUE(open_on(disk)->holds(root));
}

// The disk fails at every operation in turn; then the power fails or only the process ends.
void fail_everywhere(const std::function<Result<bool>(BlobStore&)>& work, const Digest& root,
                     ByteView blob) {
  std::uint64_t steps = 0;
  {
    PowerLossDisk probe;
    const auto store = open_on(probe);
    const std::uint64_t before = probe.operations();
    ASSERT_TRUE(work(*store).ok());
    steps = probe.operations() - before;
  }
  ASSERT_GE(steps, 5u);
  for (const bool power : {false, true}) {
    for (std::uint64_t step = 0; step < steps; ++step) {
      PowerLossDisk disk;
      auto store = open_on(disk);
      disk.fail_after(step, exhausted("the disk is full"));
      const auto failed = work(*store);
      ASSERT_FALSE(failed.ok()) << "step " << step;
      EXPECT_EQ(failed.error().detail, "the disk is full");
      EXPECT_FALSE(store->holds(root));
      EXPECT_EQ(store->stats().bytes, 0u) << "step " << step;
      EXPECT_EQ(store->stats().partial, 0u);
      disk.repair();
      if (step % 2 == 0) {  // the same store goes on
        EXPECT_TRUE(work(*store).ok()) << "step " << step;
        EXPECT_TRUE(store->holds(root));
      }
      if (power) disk.crash();
      store = open_on(disk);
      EXPECT_TRUE(work(*store).ok()) << "step " << step;
      EXPECT_EQ(*store->read_all(root, blob.size()), to_bytes(blob));
      EXPECT_THAT(*disk.list(kFolder), ElementsAre(root.hex()));
    }
  }
}

TEST(BlobStoreTest, AFailingDiskIsReportedAndNothingIsClaimed) {
  const Bytes blob = blob_of(13, 3 * kBlobLeafBytes + 1);
  const Digest root = crypto::blob_root(blob);
  fail_everywhere(
      [&](BlobStore& store) -> Result<bool> {
        FM_TRY_VOID(store.put(blob));
        return true;
      },
      root, blob);
  fail_everywhere([&](BlobStore& store) { return receive(store, root, blob); }, root, blob);
}

// The process ends, or the power fails, between any two chunks.
TEST(BlobStoreTest, ACrashBetweenAnyTwoChunksCostsAtMostTheChunksNotFlushed) {
  const Bytes blob = blob_of(14, 5 * kBlobLeafBytes);
  const Digest root = crypto::blob_root(blob);
  for (const bool power : {false, true}) {
    for (std::uint64_t chunks = 0; chunks < 5; ++chunks) {
      PowerLossDisk disk;
      {
        const auto store = open_on(disk);
        ASSERT_FALSE(store->begin(root, manifest_of(blob)).value());
        for (std::uint64_t i = 0; i < chunks; ++i)
          ASSERT_TRUE(store->add(root, i, leaf_of(blob, i)).ok());
      }
      if (power) disk.crash();
      const auto store = open_on(disk);
      EXPECT_FALSE(store->holds(root));
      if (!power) {
        EXPECT_EQ(store->progress(root)->received, chunks * kBlobLeafBytes);
      }
      EXPECT_TRUE(receive(*store, root, blob).value());
      EXPECT_EQ(*store->read_all(root, blob.size()), blob);
    }
  }
}

class BlobStoreOnDiskTest : public ::testing::Test {
 protected:
  BlobStoreOnDiskTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "fedmesh-blobs-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~BlobStoreOnDiskTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
  SystemDisk disk_;
};

TEST_F(BlobStoreOnDiskTest, AReaderOutlivesTheBlobsRemoval) {
  const auto store = BlobStore::open(disk_, folder_ / "b").value();
  const Bytes blob = blob_of(15, 3 * kBlobLeafBytes);
  const Digest root = store->put(blob).value();
  const auto reader = store->open(root).value();
  store->remove(root);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b" / root.hex()));
  Bytes all(blob.size());
  EXPECT_TRUE(reader->read(0, all).ok());
  EXPECT_EQ(all, blob);
}

TEST_F(BlobStoreOnDiskTest, ManyThreadsShareIt) {
  constexpr std::size_t kThreads = 4;
  constexpr std::uint64_t kBlobs = 6;
  const auto store = BlobStore::open(disk_, folder_ / "b", {.bytes_max = 64u << 20}).value();
  std::vector<std::thread> threads;
  std::vector<std::size_t> good(kThreads);
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kBlobs; ++i) {
        // All threads want the same blobs, each in its own way.
        const Bytes blob = blob_of(100 + i, 5 * kBlobLeafBytes + i);
        const Digest root = crypto::blob_root(blob);
        if ((t + i) % 2 == 0) {
          if (!store->put(blob).ok()) return;
        } else if (store->begin(root, manifest_of(blob)).ok()) {
          for (std::uint64_t k = 0; k < 6; ++k) {
            const std::uint64_t index = (k + t) % 6;
            (void)store->add(root, index, leaf_of(blob, index));
          }
        }
        if (t == 0 && i == 3) store->remove(crypto::blob_root(blob_of(100, 5 * kBlobLeafBytes)));
        (void)store->stats();
        (void)store->read_all(root, blob.size());
      }
      good[t] = 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(good, ::testing::Each(1u));
  for (std::uint64_t i = 1; i < kBlobs; ++i) {
    const Bytes blob = blob_of(100 + i, 5 * kBlobLeafBytes + i);
    EXPECT_EQ(*store->read_all(crypto::blob_root(blob), blob.size()), blob);
  }
  EXPECT_EQ(store->stats().partial, 0u);
  const auto again = BlobStore::open(disk_, folder_ / "b").value();
  EXPECT_EQ(again->stats().bytes, store->stats().bytes);
}

}  // namespace
}  // namespace fedmesh::net
