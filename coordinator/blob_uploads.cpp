#include "coordinator/blob_uploads.h"

#include "base/crypto/blob_hash.h"

namespace fedmesh::coordinator {

protocol::BlobPutStatus BlobUploads::add(const NodeId& peer, const protocol::BlobPut& frame) {
  protocol::BlobPutStatus status{frame.root, 0, false, ""};
  if (const Bytes* held = blobs_.get(frame.root)) {
    status.received = held->size();
    status.complete = true;
    return status;
  }
  if (frame.total == 0 || frame.total > kUploadBytesMax) {
    status.error = "a blob has 1 byte to 64 MiB";
    return status;
  }
  if (!uploads_.contains(peer) && uploads_.size() >= kUploadsMax) {
    status.error = "8 uploads are under way; try again later";
    return status;
  }
  Upload& upload = uploads_[peer];
  if (upload.root != frame.root || upload.total != frame.total)
    upload = Upload{frame.root, frame.total, {}};
  const bool next = frame.offset == upload.bytes.size() && !frame.bytes.empty() &&
                    frame.bytes.size() <= protocol::kFrameBytes &&
                    frame.offset + frame.bytes.size() <= upload.total;
  if (next) append(upload.bytes, frame.bytes);
  status.received = upload.bytes.size();
  if (upload.bytes.size() < upload.total) return status;
  if (crypto::blob_root(upload.bytes) != frame.root) {
    status.error = "the bytes do not hash to the blob's root";
  } else if (auto kept = blobs_.put(std::move(upload.bytes)); kept.ok()) {
    status.complete = true;
  } else {
    status.error = kept.error().to_string();
  }
  uploads_.erase(peer);
  return status;
}

}  // namespace fedmesh::coordinator
