#include "net/blob_file.h"

#include <algorithm>
#include <array>

#include "base/crypto/blob_hash.h"

namespace fedmesh::net {
namespace {

using crypto::kBlobLeafBytes;

constexpr std::size_t kFooterBytes = 16;  // the magic, then the length
constexpr std::string_view kMagic = "fmblob1\n";
constexpr std::uint64_t kReadAhead = 4;  // leaves that are hashed at a time

Result<void> read_fully(const DiskFile& file, std::uint64_t offset, MutableByteView to) {
  FM_TRY(const std::size_t got, file.read(offset, to));
  if (got != to.size()) return corruption("the file is shorter than the blob in it");
  return {};
}

// Whole leaves from `first` on.
Result<void> check_leaves(const BlobManifest& manifest, std::uint64_t first, ByteView bytes) {
  for (const Digest& leaf : crypto::blob_leaves(bytes)) {
    if (leaf != manifest.leaves[first])
      return corruption("chunk " + std::to_string(first) + " was changed on the disk");
    ++first;
  }
  return {};
}

// Of the leaves from `first` on, how many lie within `bytes` and are not checked yet.
std::uint64_t whole_unchecked(const BlobManifest& manifest, std::uint64_t first,
                              std::uint64_t bytes, const std::vector<bool>& checked) {
  std::uint64_t count = 0;
  for (std::uint64_t i = first; i < checked.size() && !checked[i]; ++i, ++count) {
    const std::uint64_t size = crypto::blob_leaf_bytes(manifest.total, i);
    if (size > bytes) break;
    bytes -= size;
  }
  return count;
}

}  // namespace

std::uint64_t blob_file_bytes(std::uint64_t total) {
  return total + Digest::kSize * crypto::blob_leaf_count(total) + kFooterBytes;
}

Bytes encode_blob_trailer(const BlobManifest& manifest) {
  Bytes out;
  out.reserve(manifest.leaves.size() * Digest::kSize + kFooterBytes);
  for (const Digest& leaf : manifest.leaves) append(out, leaf.view());
  append(out, as_bytes(kMagic));
  std::array<std::uint8_t, 8> total;
  store_le64(total, manifest.total);
  append(out, total);
  return out;
}

Result<BlobManifest> read_blob_manifest(const DiskFile& file, const Digest& root) {
  FM_TRY(const std::uint64_t size, file.size());
  if (size < kFooterBytes) return corruption("the file is shorter than a blob's footer");
  std::array<std::uint8_t, kFooterBytes> footer;
  FM_TRY_VOID(read_fully(file, size - kFooterBytes, footer));
  BlobManifest manifest;
  manifest.total = load_le64(ByteView(footer).subspan(kMagic.size()));
  if (as_text(ByteView(footer).first(kMagic.size())) != kMagic || manifest.total > size ||
      blob_file_bytes(manifest.total) != size)
    return corruption("the file is not a blob of its length");
  manifest.leaves.resize(crypto::blob_leaf_count(manifest.total));
  Bytes raw(manifest.leaves.size() * Digest::kSize);
  FM_TRY_VOID(read_fully(file, manifest.total, raw));
  for (std::size_t i = 0; i < manifest.leaves.size(); ++i)
    std::copy_n(raw.begin() + static_cast<std::ptrdiff_t>(i * Digest::kSize), Digest::kSize,
                manifest.leaves[i].bytes.begin());
  if (crypto::blob_root(manifest.leaves, manifest.total) != root)
    return corruption("the file's leaves are not those of the blob it is named for");
  return manifest;
}

Result<void> read_blob_checked(const DiskFile& file, const BlobManifest& manifest,
                               std::uint64_t offset, MutableByteView to,
                               std::vector<bool>& checked) {
  Bytes scratch;
  while (!to.empty()) {
    const std::uint64_t index = offset / kBlobLeafBytes;
    const std::uint64_t begin = index * kBlobLeafBytes;
    const std::uint64_t size = crypto::blob_leaf_bytes(manifest.total, index);
    const std::uint64_t skipped = offset - begin;
    std::uint64_t taken = std::min<std::uint64_t>(size - skipped, to.size());
    std::uint64_t fresh = skipped == 0 ? whole_unchecked(manifest, index, to.size(), checked) : 0;
    if (checked[index]) {
      FM_TRY_VOID(read_fully(file, offset, to.first(taken)));
    } else if (fresh > 0) {
      taken = std::min<std::uint64_t>(fresh * kBlobLeafBytes, manifest.total - begin);
      FM_TRY_VOID(read_fully(file, begin, to.first(taken)));
      FM_TRY_VOID(check_leaves(manifest, index, to.first(taken)));
    } else {
      // Whoever reads from the middle of a leaf goes on with the next ones.
      fresh = std::max<std::uint64_t>(
          1, whole_unchecked(manifest, index, kReadAhead * kBlobLeafBytes, checked));
      scratch.resize(std::min<std::uint64_t>(fresh * kBlobLeafBytes, manifest.total - begin));
      FM_TRY_VOID(read_fully(file, begin, scratch));
      FM_TRY_VOID(check_leaves(manifest, index, scratch));
      std::copy_n(scratch.begin() + static_cast<std::ptrdiff_t>(skipped), taken, to.begin());
    }
    for (std::uint64_t i = index; i < index + std::max<std::uint64_t>(fresh, 1); ++i)
      checked[i] = true;
    to = to.subspan(taken);
    offset += taken;
  }
  return {};
}

}  // namespace fedmesh::net
