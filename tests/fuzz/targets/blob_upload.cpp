// Public blobs that submitters upload to a coordinator. Input: per step a byte that says who
// uploads, then a chunk with the message.
#include "coordinator/blob_uploads.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  rounds::BlobCache blobs(1u << 16);
  coordinator::BlobUploads uploads(blobs);
  while (!input.empty()) {
    const NodeId peer{{input.byte()}};
    const auto message = protocol::decode_message(input.chunk());
    if (!message.ok()) {
      uploads.forget(peer);
      continue;
    }
    const auto* put = std::get_if<protocol::BlobPut>(&*message);
    if (put == nullptr) continue;
    const auto status = uploads.add(peer, *put);
    FM_CHECK(!status.complete || status.error.empty(), "an upload is complete and refused");
    FM_CHECK(!status.complete || blobs.get(put->root) != nullptr, "a complete blob is not here");
    if (status.complete) fuzz::accepted();
  }
  return 0;
}
