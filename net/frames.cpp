#include "net/frames.h"

#include <algorithm>
#include <array>

#include "base/crypto/digest.h"

namespace fedmesh::net {
namespace {

constexpr std::uint8_t kFrameVersion = 1;

crypto::Secret<32> derive(const crypto::Secret<32>& from, std::string_view label,
                          std::uint8_t suite) {
  Bytes input = to_bytes(as_bytes(label));
  input.push_back(suite);
  const crypto::Secret<64> wide(crypto::hmac_blake2b_512(from.view(), input));
  crypto::Secret<32> out;
  std::copy_n(wide.view().begin(), 32, out.mutable_view().begin());
  return out;
}

}  // namespace

FrameCipher::FrameCipher(crypto::AeadSuite suite, const crypto::Secret<32>& split_key)
    : suite_(suite),
      key_(derive(split_key, "fedmesh-transport-v1", static_cast<std::uint8_t>(suite))) {}

Bytes FrameCipher::seal(FrameType type, ByteView body) {
  const std::array<std::uint8_t, 2> header{kFrameVersion, static_cast<std::uint8_t>(type)};
  Bytes out(header.size() + body.size() + crypto::kAeadTagBytes);
  std::copy(header.begin(), header.end(), out.begin());
  const MutableByteView ciphertext = MutableByteView(out).subspan(header.size());
  crypto::aead_encrypt_to(ciphertext, suite_, key_, counter_++, header, body);
  bytes_ += ciphertext.size();
  return out;
}

Result<Frame> FrameCipher::open(ByteView bytes) {
  if (bytes.size() < 2 + crypto::kAeadTagBytes) return corruption("shorter than a frame");
  if (bytes[0] != kFrameVersion) return corruption("a frame of an unknown version");
  if (bytes[1] < 1 || bytes[1] > static_cast<std::uint8_t>(FrameType::close))
    return corruption("a frame of an unknown type");
  auto body = crypto::aead_decrypt(suite_, key_, counter_, bytes.first(2), bytes.subspan(2));
  if (!body.ok())
    return unauthenticated("a frame was changed, lost, repeated or reordered on the way");
  ++counter_;
  bytes_ += bytes.size() - 2;
  return Frame{static_cast<FrameType>(bytes[1]), std::move(body).value()};
}

void FrameCipher::advance_key() {
  key_ = derive(key_, "fedmesh-rekey-v1", static_cast<std::uint8_t>(suite_));
  counter_ = 0;
  bytes_ = 0;
}

}  // namespace fedmesh::net
