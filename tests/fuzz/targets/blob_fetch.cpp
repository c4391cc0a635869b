// Public blobs that a worker fetches from a coordinator of no good will. Input: per step a chunk
// with a message; what is no frame of a blob lets time pass. Wanted is the blob whose root comes
// first, in a chunk of its own.
#include "worker/blob_fetch.h"

#include "coordinator/protocol/messages.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  constexpr std::uint64_t kBlobBytesMax = 1u << 18;
  fuzz::Input input(data, size);
  const auto root = Digest::from_bytes(input.chunk());
  if (!root.ok()) return 0;
  worker::BlobFetcher fetcher;
  Instant now{1'000'000};
  while (!input.empty()) {
    const bool held = fetcher.want(*root, kBlobBytesMax) != nullptr;
    if (held) fuzz::accepted();
    for (const auto& request : fetcher.requests(now))
      FM_CHECK(!held && request.root == *root && request.offset < kBlobBytesMax,
               "a request for what nobody wants");
    const auto message = protocol::decode_message(input.chunk());
    now = now + Duration(500);
    if (!message.ok()) continue;
    if (const auto* frame = std::get_if<protocol::BlobFrame>(&*message))
      (void)fetcher.receive(now, *frame).ok();
    if (const auto* missing = std::get_if<protocol::BlobMissing>(&*message))
      fetcher.receive(now, *missing);
    if (const auto progress = fetcher.progress(*root))
      FM_CHECK(progress->first <= kBlobBytesMax, "more is kept than a valid blob can have");
  }
  return 0;
}
