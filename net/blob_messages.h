// What bulk connections carry. Bytes in PROTOCOL.md, golden digests in
// tests/net/blob_exchange_test.cpp. Every request is answered by one message, in the order of the
// requests.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/crypto/blob_hash.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::net {

inline constexpr std::uint64_t kPageLeavesMax = 1024;  // of one manifest page
inline constexpr std::uint64_t kPieceLeaves = 4;       // of one chunks message, at most
inline constexpr std::uint64_t kPieceBytes = kPieceLeaves * crypto::kBlobLeafBytes;
inline constexpr std::uint64_t kInlineBytes = crypto::kBlobLeafBytes;  // come with their manifest
inline constexpr std::size_t kUnansweredMax = 64;  // requests of one side; more ends the link
inline constexpr std::size_t kChunksHeaderBytes = 1 + 32 + 8;

// asker -> holder
struct ManifestRequest {
  Digest root;
  std::uint64_t first = 0;  // leaf; the first page says how many there are
  FM_FIELDS(root, first)
};
struct ChunkRequest {
  Digest root;
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // 1 to kPieceLeaves, within the blob
  // The asker was sent bytes that are not those of their leaves: the holder is to look whether its
  // disk damaged them.
  bool check = false;
  FM_FIELDS(root, first, count, check)
};

// holder -> asker
struct ManifestPage {
  Digest root;
  std::uint64_t total = 0;
  std::uint64_t first = 0;
  std::vector<Digest> leaves;  // kPageLeavesMax, or what is left
  Bytes whole{};               // the blob's bytes, up to kInlineBytes; empty for a longer one
  FM_FIELDS(root, total, first, leaves, whole)
};
struct Chunks {
  Digest root;
  std::uint64_t first = 0;
  ByteView bytes;  // the leaves that were asked for, one after the other; of the decoded message
};
struct Missing {
  Digest root;  // not here, or not for you
  FM_FIELDS(root)
};

using BulkMessage = std::variant<ManifestRequest, ChunkRequest, ManifestPage, Chunks, Missing>;

Bytes encode_bulk(const ManifestRequest& message);
Bytes encode_bulk(const ChunkRequest& message);
Bytes encode_bulk(const ManifestPage& message);
Bytes encode_bulk(const Missing& message);
// With `bytes` zeros behind the header, to be read into: chunks are not copied.
Bytes begin_chunks(const Digest& root, std::uint64_t first, std::size_t bytes);

// Whether it asks for something, if it is well formed at all.
inline bool is_bulk_request(ByteView bytes) {
  return !bytes.empty() && (bytes[0] == 1 || bytes[0] == 2);
}
Result<BulkMessage> decode_bulk(ByteView bytes);  // corruption

}  // namespace fedmesh::net
