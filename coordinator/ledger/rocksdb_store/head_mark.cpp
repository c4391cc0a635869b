#include "coordinator/ledger/rocksdb_store/head_mark.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/crypto/digest.h"
#include "coordinator/ledger/rocksdb_store/rocksdb_error.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kMagic = "fedmesh/head/v1\n";
constexpr std::size_t kStride = 4096;  // more than a sector of any disk
constexpr std::size_t kSlots = 2;
constexpr std::size_t kContents = 16 + 32 + 8 + 32;
constexpr std::size_t kSlotBytes = kContents + 32;
static_assert(kMagic.size() == 16);

Bytes encode_slot(const HeadPosition& position) {
  Bytes slot = to_bytes(as_bytes(kMagic));
  append(slot, position.chain.view());
  std::array<std::uint8_t, 8> height;
  store_le64(height, position.height.value);
  append(slot, height);
  append(slot, position.hash.view());
  append(slot, crypto::sha256(slot).view());
  return slot;
}

std::optional<HeadPosition> decode_slot(ByteView slot) {
  const ByteView contents = slot.first(kContents);
  const Digest sum = crypto::sha256(contents);
  if (as_text(contents.first(kMagic.size())) != kMagic ||
      !std::equal(sum.bytes.begin(), sum.bytes.end(), slot.begin() + kContents))
    return std::nullopt;
  HeadPosition position;
  std::copy_n(contents.begin() + 16, 32, position.chain.bytes.begin());
  position.height.value = load_le64(contents.subspan(48, 8));
  std::copy_n(contents.begin() + 56, 32, position.hash.bytes.begin());
  return position;
}

rocksdb::Slice slice(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Newest {
  HeadPosition position;
  std::size_t slot = 0;
};

// corruption: neither slot is readable.
Result<Newest> find_newest(rocksdb::FileSystem& files, const std::filesystem::path& path) {
  std::string bytes;
  if (const auto got = rocksdb::ReadFileToString(&files, path.string(), &bytes); !got.ok())
    return rocksdb_error(got, "read", path);
  std::optional<Newest> newest;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (bytes.size() < slot * kStride + kSlotBytes) break;
    const auto found = decode_slot(as_bytes(bytes).subspan(slot * kStride, kSlotBytes));
    if (found && (!newest || found->height > newest->position.height)) newest = {*found, slot};
  }
  if (!newest)
    return corruption(
        path.string() +
        " is damaged: it says how far the ledger goes, and without it nobody can tell "
        "whether blocks are missing; put back a good copy of the file");
  return *newest;
}

}  // namespace

Result<std::optional<HeadPosition>> HeadMark::read(rocksdb::FileSystem& files,
                                                   const std::filesystem::path& path) {
  if (const auto there = files.FileExists(path.string(), {}, nullptr); there.IsNotFound())
    return std::optional<HeadPosition>();
  FM_TRY(const Newest newest, find_newest(files, path));
  return std::optional(newest.position);
}

Result<void> HeadMark::create(rocksdb::FileSystem& files, const std::filesystem::path& path,
                              const HeadPosition& position) {
  Bytes contents = encode_slot(position);
  contents.resize(kStride);
  contents.insert(contents.end(), contents.begin(), contents.begin() + kStride);
  const std::string part = path.string() + ".part";
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto done = files.NewWritableFile(part, {}, &file, nullptr);
  if (done.ok()) done = file->Append(slice(contents), {}, nullptr);
  if (done.ok()) done = file->Fsync({}, nullptr);
  if (done.ok()) done = file->Close({}, nullptr);
  if (done.ok()) done = files.RenameFile(part, path.string(), {}, nullptr);
  std::unique_ptr<rocksdb::FSDirectory> folder;
  if (done.ok()) done = files.NewDirectory(path.parent_path().string(), {}, &folder, nullptr);
  if (done.ok()) done = folder->Fsync({}, nullptr);
  if (!done.ok()) return rocksdb_error(done, "write", path);
  return {};
}

Result<HeadMark> HeadMark::open(rocksdb::FileSystem& files, const std::filesystem::path& path) {
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  if (const auto got = files.NewRandomRWFile(path.string(), {}, &file, nullptr); !got.ok())
    return rocksdb_error(got, "open", path);
  FM_TRY(const Newest newest, find_newest(files, path));
  return HeadMark(path, std::move(file), newest.slot);
}

HeadMark::HeadMark(std::filesystem::path path, std::unique_ptr<rocksdb::FSRandomRWFile> file,
                   std::size_t newest)
    : path_(std::move(path)), file_(std::move(file)), newest_(newest) {}
HeadMark::HeadMark(HeadMark&&) noexcept = default;
HeadMark& HeadMark::operator=(HeadMark&&) noexcept = default;
HeadMark::~HeadMark() = default;

Result<void> HeadMark::write(const HeadPosition& position, bool flush) {
  const Bytes slot = encode_slot(position);
  const std::size_t other = (newest_ + 1) % kSlots;
  auto done = file_->Write(other * kStride, slice(slot), {}, nullptr);
  if (done.ok() && flush) done = file_->Sync({}, nullptr);
  if (!done.ok()) return rocksdb_error(done, "write", path_);
  newest_ = other;
  return {};
}

}  // namespace fedmesh::ledger
