#include "coordinator/ledger/rocksdb_store/backup_manifest.h"

#include <algorithm>
#include <sstream>

#include "base/crypto/digest.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kFirstLine = "fedmesh backup v1";
constexpr std::size_t kChunk = 1u << 20;

bool is_allowed(const std::string& name) {
  if (name == kBackupGenesis || name == kBackupLedger || name == kBackupKey) return true;
  const std::string prefix = std::string(kBackupBlobs) + "/";
  if (!name.starts_with(prefix) || name.size() == prefix.size() || name[prefix.size()] == '.')
    return false;
  return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(prefix.size()), name.end(),
                     [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
                     });
}

std::string lines_of(const BackupManifest& manifest) {
  std::string text = std::string(kFirstLine) + "\nchain " + manifest.chain.hex() + "\nheight " +
                     std::to_string(manifest.height.value) + "\nhead " + manifest.head.hex() + "\n";
  for (const BackupFile& file : manifest.files)
    text += "file " + file.sha256.hex() + " " + std::to_string(file.bytes) + " " + file.name + "\n";
  return text;
}

template <class IdType>
bool read_id(std::istream& in, IdType& id) {
  std::string hex;
  in >> hex;
  auto parsed = IdType::from_hex(hex);
  if (parsed.ok()) id = *parsed;
  return parsed.ok();
}

// Calls `take` with the file's bytes in order.
template <class Take>
Result<BackupFile> read_through(Disk& disk, const std::filesystem::path& path, std::string name,
                                const Take& take) {
  FM_TRY(const auto file, disk.open(path, Disk::Mode::read));
  crypto::Sha256 hash;
  Bytes chunk(kChunk);
  BackupFile measured{std::move(name), 0, {}};
  for (;;) {
    FM_TRY(const std::size_t got, file->read(measured.bytes, chunk));
    if (got == 0) break;
    const ByteView bytes = ByteView(chunk).first(got);
    hash.add(bytes);
    FM_TRY_VOID(take(measured.bytes, bytes));
    measured.bytes += got;
  }
  measured.sha256 = hash.finish();
  return measured;
}

}  // namespace

bool BackupManifest::names(const std::string& file) const {
  return std::any_of(files.begin(), files.end(),
                     [&](const BackupFile& known) { return known.name == file; });
}

std::uint64_t BackupManifest::bytes() const {
  std::uint64_t sum = 0;
  for (const BackupFile& file : files) sum += file.bytes;
  return sum;
}

std::size_t BackupManifest::blobs() const {
  return static_cast<std::size_t>(
      std::count_if(files.begin(), files.end(), [](const BackupFile& file) {
        return file.name.starts_with(std::string(kBackupBlobs) + "/");
      }));
}

Bytes encode_backup_manifest(const BackupManifest& manifest) {
  std::string text = lines_of(manifest);
  text += "end " + crypto::sha256(as_bytes(text)).hex() + "\n";
  return to_bytes(as_bytes(text));
}

Result<BackupManifest> decode_backup_manifest(ByteView bytes) {
  BackupManifest manifest;
  std::istringstream in{std::string(as_text(bytes))};
  std::string line;
  std::string word;
  bool good = std::getline(in, line) && line == kFirstLine;
  good = good && in >> word && word == "chain" && read_id(in, manifest.chain);
  good = good && in >> word && word == "height" && in >> manifest.height.value;
  good = good && in >> word && word == "head" && read_id(in, manifest.head);
  while (good && in >> word && word == "file") {
    BackupFile file;
    good = read_id(in, file.sha256) && in >> file.bytes >> file.name && is_allowed(file.name);
    manifest.files.push_back(std::move(file));
  }
  // Whatever reads as something else than it was written from is refused here.
  const Bytes canonical = encode_backup_manifest(manifest);
  if (!good || !std::equal(bytes.begin(), bytes.end(), canonical.begin(), canonical.end()))
    return corruption("damaged, or not the manifest of a fedmesh backup");
  return manifest;
}

Result<BackupFile> measure_file(Disk& disk, const std::filesystem::path& path, std::string name) {
  return read_through(disk, path, std::move(name),
                      [](std::uint64_t, ByteView) -> Result<void> { return {}; });
}

Result<BackupFile> copy_measured(Disk& disk, const std::filesystem::path& from,
                                 const std::filesystem::path& to, std::string name,
                                 SyncPoint contents) {
  FM_TRY(const auto copy, disk.open(to, Disk::Mode::create));
  FM_TRY(BackupFile measured,
         read_through(disk, from, std::move(name), [&](std::uint64_t offset, ByteView bytes) {
           return copy->write(offset, bytes);
         }));
  FM_TRY_VOID(copy->sync(contents));
  return measured;
}

}  // namespace fedmesh::ledger
