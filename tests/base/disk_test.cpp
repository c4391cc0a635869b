#include "base/disk.h"

#include <gmock/gmock.h>

#include "base/private_folder.h"
#include "tests/base/needed_flushes.h"
#include "tests/base/power_loss_disk.h"

namespace fedmesh {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Bytes text(const std::string& value) { return to_bytes(as_bytes(value)); }

class SystemDiskTest : public ::testing::Test {
 protected:
  SystemDiskTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fedmesh-disk-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SystemDiskTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
  SystemDisk disk_;
};

TEST_F(SystemDiskTest, KeepsWhatWasWrittenAtAnyOffset) {
  {
    auto file = disk_.open(folder_ / "a", Disk::Mode::create);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write(3, text("def")).ok());
    ASSERT_TRUE((*file)->write(0, text("abc")).ok());
    ASSERT_TRUE((*file)->sync(SyncPoint::item_file).ok());
  }
  EXPECT_EQ(*read_whole(disk_, folder_ / "a", 6), text("abcdef"));
  EXPECT_EQ(read_whole(disk_, folder_ / "a", 5).error().code, ErrorCode::exhausted);
  EXPECT_EQ(std::filesystem::status(folder_ / "a").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(SystemDiskTest, ErrorsNameTheFile) {
  EXPECT_EQ(disk_.open(folder_ / "none", Disk::Mode::read).error().code, ErrorCode::not_found);
  EXPECT_THAT(disk_.open(folder_ / "none", Disk::Mode::update).error().detail, HasSubstr("none"));
  EXPECT_TRUE(disk_.remove(folder_ / "none").ok());
  EXPECT_FALSE(disk_.list(folder_ / "none").ok());
}

// The kernel's own full disk.
TEST_F(SystemDiskTest, AFullDiskSaysSo) {
  auto full = disk_.open("/dev/full", Disk::Mode::update);
  if (!full.ok()) GTEST_SKIP() << "no /dev/full here";
  const auto written = (*full)->write(0, text("x"));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::exhausted);
  EXPECT_THAT(written.error().detail, HasSubstr("free space"));
}

TEST_F(SystemDiskTest, OneProcessAtATimeHoldsAFolder) {
  auto first = FolderLock::take(folder_, "busy");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(FolderLock::take(folder_, "busy").error().detail, "busy");
  { const FolderLock gone = std::move(first).value(); }
  EXPECT_TRUE(FolderLock::take(folder_, "busy").ok());
}

TEST_F(SystemDiskTest, APrivateFolderSurvivesItsProcess) {
  {
    auto items = PrivateFolder::open(disk_, folder_ / "items");
    ASSERT_TRUE(items.ok());
    ASSERT_TRUE(items->write("a", text("one")).ok());
    ASSERT_TRUE(items->write("a", text("two")).ok());
    ASSERT_TRUE(items->write("receipt-1", text("r")).ok());
    ASSERT_TRUE(items->write("b", text("three")).ok());
    ASSERT_TRUE(items->erase("b").ok());
    ASSERT_TRUE(items->erase("never there").ok());
    ASSERT_TRUE(disk_.open(folder_ / "items/torn.part", Disk::Mode::create).ok());
  }
  const auto items = PrivateFolder::open(disk_, folder_ / "items");
  EXPECT_THAT(*items->load("receipt-"), ElementsAre(Pair("a", text("two"))));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "items/torn.part"));
}

TEST(PrivateFolderTest, AnItemThatTheDiskChangedIsNamedNotUsed) {
  PowerLossDisk disk;
  auto items = PrivateFolder::open(disk, "items");
  ASSERT_TRUE(items->write("grants", text("epsilon 1.0")).ok());
  const Bytes stored = *read_whole(disk, "items/grants", 1000);
  for (std::size_t at = 0; at < stored.size(); ++at) {
    Bytes flipped = stored;
    flipped[at] ^= 0x30;
    ASSERT_TRUE(items->write_plain("grants", flipped).ok());
    const auto loaded = items->load();
    ASSERT_FALSE(loaded.ok()) << "byte " << at;
    EXPECT_EQ(loaded.error().code, ErrorCode::corruption);
    EXPECT_THAT(loaded.error().detail, HasSubstr("items/grants"));
  }
  for (std::size_t size = 0; size < stored.size(); ++size) {
    ASSERT_TRUE(items->write_plain("grants", ByteView(stored).first(size)).ok());
    EXPECT_FALSE(items->load().ok()) << size << " bytes";
  }
  // Nor may one item stand in for another.
  ASSERT_TRUE(items->erase("grants").ok());
  ASSERT_TRUE(items->write_plain("head", stored).ok());
  EXPECT_FALSE(items->load().ok());
}

// What an owner of a private folder relies on; true only if every flush is done.
bool items_are_durable(PowerLossDisk& disk) {
  auto items = PrivateFolder::open(disk, "items");
  bool kept = items->write("secret", text("first")).ok();
  disk.crash();
  const auto after_new = items->load();
  kept = kept && after_new.ok() && after_new->contains("secret") &&
         after_new->at("secret") == text("first");
  kept = kept && items->write("secret", text("second")).ok();
  disk.crash();
  const auto after_change = items->load();
  kept = kept && after_change.ok() && after_change->contains("secret") &&
         after_change->at("secret") == text("second");
  kept = kept && items->erase("secret").ok();
  disk.crash();
  return kept && items->load()->empty();
}

TEST(PrivateFolderTest, SurvivesPowerLossAndEveryFlushIsNeededForIt) {
  PowerLossDisk disk;
  EXPECT_TRUE(items_are_durable(disk));
  EXPECT_EQ(disk.used(), kItemFlushes);
  for (const SyncPoint point : kItemFlushes) {
    PowerLossDisk forgetful;
    forgetful.drop(point);
    EXPECT_FALSE(items_are_durable(forgetful)) << to_string(point) << " is not needed";
  }
}

// A flush that no list has is one that no test leaves out.
TEST(SyncPointTest, EveryOneIsLeftOutByATest) {
  Flushes named(std::begin(kSyncPoints), std::end(kSyncPoints));
  Flushes needed;
  for (const Flushes& list : kNeededFlushes)
    for (const SyncPoint point : list)
      EXPECT_TRUE(needed.insert(point).second) << to_string(point) << " is in two lists";
  EXPECT_EQ(needed, named);
  for (int i = 0; to_string(static_cast<SyncPoint>(i)) != std::string("unknown"); ++i)
    EXPECT_EQ(named.erase(static_cast<SyncPoint>(i)), 1u)
        << to_string(static_cast<SyncPoint>(i)) << " is not in kSyncPoints";
  EXPECT_THAT(named, IsEmpty());
}

TEST(PrivateFolderTest, AFailureAtAnyMomentLeavesTheOldItemOrTheNewOne) {
  PowerLossDisk probe;
  auto counted = PrivateFolder::open(probe, "items");
  ASSERT_TRUE(counted->write("a", text("old")).ok());
  const std::uint64_t before = probe.operations();
  ASSERT_TRUE(counted->write("a", text("new")).ok());
  const std::uint64_t steps = probe.operations() - before;
  ASSERT_GE(steps, 4u);
  for (std::uint64_t step = 0; step < steps; ++step) {
    PowerLossDisk disk;
    auto items = PrivateFolder::open(disk, "items");
    ASSERT_TRUE(items->write("a", text("old")).ok());
    disk.fail_after(step, exhausted("the disk is full"));
    EXPECT_FALSE(items->write("a", text("new")).ok());
    disk.crash();
    disk.repair();
    const auto loaded = items->load();
    ASSERT_TRUE(loaded.ok());
    ASSERT_TRUE(loaded->contains("a")) << "step " << step;
    EXPECT_TRUE(loaded->at("a") == text("old") || loaded->at("a") == text("new"));
    EXPECT_EQ(loaded->size(), 1u) << "an unfinished file counts as an item";
  }
}

TEST(PowerLossDiskTest, FindsBytesThatWereOverwrittenButNotFlushedOver) {
  PowerLossDisk disk;
  ASSERT_TRUE(
      write_durably(disk, "f/a", text("secret"), SyncPoint::item_file, SyncPoint::item_folder)
          .ok());
  ASSERT_TRUE(disk.remove("f/a").ok());
  EXPECT_TRUE(disk.contains(text("secret")));
  ASSERT_TRUE(disk.sync_folder("f", SyncPoint::item_erased).ok());
  EXPECT_FALSE(disk.contains(text("secret")));
  EXPECT_THAT(*disk.list("f"), IsEmpty());
}

}  // namespace
}  // namespace fedmesh
