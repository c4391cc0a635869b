#include "net/blob_messages.h"

#include <algorithm>

namespace fedmesh::net {
namespace {

enum class Kind : std::uint8_t {
  manifest_request = 1,
  chunk_request = 2,
  manifest_page = 3,
  chunks = 4,
  missing = 5,
};

template <class Message>
Bytes with_kind(Kind kind, const Message& message) {
  Bytes out{static_cast<std::uint8_t>(kind)};
  append(out, codec::encode(message));
  return out;
}

template <class Message>
Result<BulkMessage> decode_as(ByteView body) {
  const codec::Limits limits{
      .bytes = 256u << 10, .elements = kPageLeavesMax, .blob = kInlineBytes, .depth = 3};
  FM_TRY(Message message, codec::decode<Message>(body, limits));
  return BulkMessage(std::move(message));
}

Result<BulkMessage> decode_chunks(ByteView bytes) {
  if (bytes.size() <= kChunksHeaderBytes || bytes.size() > kChunksHeaderBytes + kPieceBytes)
    return corruption("a chunks message of " + std::to_string(bytes.size()) + " bytes");
  Chunks chunks;
  std::copy_n(bytes.begin() + 1, Digest::kSize, chunks.root.bytes.begin());
  chunks.first = load_le64(bytes.subspan(1 + Digest::kSize));
  chunks.bytes = bytes.subspan(kChunksHeaderBytes);
  return BulkMessage(chunks);
}

}  // namespace

Bytes encode_bulk(const ManifestRequest& message) {
  return with_kind(Kind::manifest_request, message);
}
Bytes encode_bulk(const ChunkRequest& message) { return with_kind(Kind::chunk_request, message); }
Bytes encode_bulk(const ManifestPage& message) { return with_kind(Kind::manifest_page, message); }
Bytes encode_bulk(const Missing& message) { return with_kind(Kind::missing, message); }

Bytes begin_chunks(const Digest& root, std::uint64_t first, std::size_t bytes) {
  Bytes out(kChunksHeaderBytes + bytes);
  out[0] = static_cast<std::uint8_t>(Kind::chunks);
  std::copy(root.bytes.begin(), root.bytes.end(), out.begin() + 1);
  store_le64(MutableByteView(out).subspan(1 + Digest::kSize), first);
  return out;
}

Result<BulkMessage> decode_bulk(ByteView bytes) {
  if (bytes.empty()) return corruption("an empty bulk message");
  const ByteView body = bytes.subspan(1);
  switch (static_cast<Kind>(bytes[0])) {
    case Kind::manifest_request:
      return decode_as<ManifestRequest>(body);
    case Kind::chunk_request:
      return decode_as<ChunkRequest>(body);
    case Kind::manifest_page:
      return decode_as<ManifestPage>(body);
    case Kind::chunks:
      return decode_chunks(bytes);
    case Kind::missing:
      return decode_as<Missing>(body);
  }
  return corruption("a bulk message of an unknown kind");
}

}  // namespace fedmesh::net
