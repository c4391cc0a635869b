#include "net/blob_file.h"

#include <algorithm>
#include <array>

#include "base/crypto/blob_hash.h"

namespace fedmesh::net {
namespace {

using crypto::kBlobLeafBytes;

constexpr std::size_t kFooterBytes = 16;  // the magic, then the length
constexpr std::string_view kMagic = "fmblob1\n";

Result<void> read_fully(const DiskFile& file, std::uint64_t offset, MutableByteView to) {
  FM_TRY(const std::size_t got, file.read(offset, to));
  if (got != to.size()) return corruption("the file is shorter than the blob in it");
  return {};
}

Result<void> check_leaf(const BlobManifest& manifest, std::uint64_t index, ByteView leaf) {
  if (crypto::blob_leaf(leaf) == manifest.leaves[index]) return {};
  return corruption("chunk " + std::to_string(index) + " was changed on the disk");
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
    const std::uint64_t taken = std::min<std::uint64_t>(size - skipped, to.size());
    if (checked[index]) {
      FM_TRY_VOID(read_fully(file, offset, to.first(taken)));
    } else if (taken == size) {
      FM_TRY_VOID(read_fully(file, begin, to.first(taken)));
      FM_TRY_VOID(check_leaf(manifest, index, to.first(taken)));
    } else {
      scratch.resize(size);
      FM_TRY_VOID(read_fully(file, begin, scratch));
      FM_TRY_VOID(check_leaf(manifest, index, scratch));
      std::copy_n(scratch.begin() + static_cast<std::ptrdiff_t>(skipped), taken, to.begin());
    }
    checked[index] = true;
    to = to.subspan(taken);
    offset += taken;
  }
  return {};
}

}  // namespace fedmesh::net
