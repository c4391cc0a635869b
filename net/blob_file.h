// How a blob lies on the disk: its bytes, then its leaves, then a footer with its length. A partial
// one has the same layout with holes. Internal to blob_store.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/disk.h"
#include "net/blob_store.h"

namespace fedmesh::net {

std::uint64_t blob_file_bytes(std::uint64_t total);
Bytes encode_blob_trailer(const BlobManifest& manifest);  // stands at offset `total`

// Of a file that is said to hold this blob. corruption: it does not, whatever its data are.
Result<BlobManifest> read_blob_manifest(const DiskFile& file, const Digest& root);
// Fills `to`, which lies within the blob; corruption: a leaf is not what the manifest says. Leaves
// that are marked in `checked` are taken as they are; those that were checked are marked.
Result<void> read_blob_checked(const DiskFile& file, const BlobManifest& manifest,
                               std::uint64_t offset, MutableByteView to,
                               std::vector<bool>& checked);

}  // namespace fedmesh::net
