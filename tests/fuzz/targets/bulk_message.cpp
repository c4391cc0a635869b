// What peers say over bulk connections: net/blob_messages.h.
#include "net/blob_messages.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_alternatives<net::BulkMessage>();

Bytes encoded(const net::BulkMessage& message) {
  if (const auto* chunks = std::get_if<net::Chunks>(&message)) {
    Bytes out = net::begin_chunks(chunks->root, chunks->first, chunks->bytes.size());
    std::ranges::copy(chunks->bytes, out.begin() + net::kChunksHeaderBytes);
    return out;
  }
  Bytes out;
  std::visit(
      [&](const auto& body) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(body)>, net::Chunks>)
          out = net::encode_bulk(body);
      },
      message);
  return out;
}
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto message = net::decode_bulk(bytes);
  if (!message.ok()) return 0;
  FM_CHECK(std::ranges::equal(encoded(*message), bytes),
           "a decoded bulk message encodes to other bytes");
  FM_CHECK(net::is_bulk_request(bytes) == (message->index() < 2), "it is a request, or it is not");
  fuzz::accepted(message->index());
  return 0;
}
