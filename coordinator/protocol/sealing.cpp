#include "coordinator/protocol/sealing.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"
#include "base/crypto/aead.h"
#include "base/crypto/digest.h"

namespace fedmesh::protocol {
namespace {

using crypto::Blake2b;

constexpr crypto::AeadSuite kCipher = crypto::AeadSuite::chacha20_poly1305;
constexpr std::string_view kMagic = "fmupdate";
constexpr std::size_t kFirstValues = (kSealedPlainBytes - kUpdateHeaderBytes) / 4;
constexpr std::size_t kChunkValues = kSealedPlainBytes / 4;

static_assert(std::endian::native == std::endian::little, "values are used as they were sealed");

MutableByteView bytes_of(std::vector<std::int32_t>& values) {
  return {reinterpret_cast<std::uint8_t*>(values.data()), values.size() * 4};
}

std::uint64_t plain_bytes(std::uint64_t values) { return kUpdateHeaderBytes + 4 * values; }
std::uint64_t chunks_of(std::uint64_t plain) {
  return (plain + kSealedPlainBytes - 1) / kSealedPlainBytes;
}

// Length and place are authenticated: chunks can be neither moved nor cut off.
Bytes associated(std::uint64_t plain, std::uint64_t chunks, std::uint64_t index) {
  Bytes out = to_bytes(as_bytes("fedmesh/sealed/v1"));
  std::array<std::uint8_t, 8> raw;
  store_le64(raw, plain);
  append(out, ByteView(raw));
  out.push_back(index + 1 == chunks ? 1 : 0);
  return out;
}

Bytes encode_header(const UpdateHeader& header) {
  Bytes out = to_bytes(as_bytes(kMagic));
  out.resize(kUpdateHeaderBytes);
  store_le64(MutableByteView(out).subspan(8), header.examples);
  store_le64(MutableByteView(out).subspan(16), header.values);
  const auto put = [&](std::size_t at, ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(24, header.seed_share);
  put(56, header.trace_root.view());
  put(88, header.salt);
  return out;
}

Result<UpdateHeader> decode_header(ByteView bytes) {
  const auto zero = bytes.subspan(120, kUpdateHeaderBytes - 120);
  if (as_text(bytes.first(8)) != kMagic ||
      std::any_of(zero.begin(), zero.end(), [](std::uint8_t byte) { return byte != 0; }))
    return corruption("not a sealed update");
  UpdateHeader header;
  header.examples = load_le64(bytes.subspan(8));
  header.values = load_le64(bytes.subspan(16));
  const auto take = [&](std::size_t at, auto& to) {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), to.size(), to.begin());
  };
  take(24, header.seed_share);
  take(56, header.trace_root.bytes);
  take(88, header.salt);
  return header;
}

Bytes box_context(const SealContext& context, const NodeId& member,
                  const crypto::X25519Public& ephemeral, const crypto::X25519Public& round_key,
                  const Digest& ciphertext_root) {
  const Digest digest = Blake2b("fedmesh/box-context/v1")
                            .add_u64(kSealSuite)
                            .add(context.chain)
                            .add(context.job)
                            .add(context.slot.round)
                            .add(context.slot.attempt)
                            .add(context.worker)
                            .add(member)
                            .add(ephemeral)
                            .add(round_key)
                            .add(ciphertext_root)
                            .finish();
  return to_bytes(digest.view());
}

crypto::Secret<32> derive(std::string_view domain, const crypto::Secret<32>& secret,
                          ByteView context) {
  Digest digest = Blake2b(domain).add(secret.view()).add_sized(context).finish();
  crypto::Secret<32> out(digest.bytes);
  crypto::wipe(digest.bytes);
  return out;
}

// Derived from K and whom it is for, so that every holder of K finds the same.
crypto::X25519Secret ephemeral_of(const ContentKey& key, const SealContext& context,
                                  const NodeId& member, const crypto::X25519Public& round_key,
                                  const Digest& ciphertext_root) {
  return derive("fedmesh/box-ephemeral/v1", key,
                box_context(context, member, {}, round_key, ciphertext_root));
}

}  // namespace

std::uint64_t sealed_bytes(std::uint64_t values) {
  const std::uint64_t plain = plain_bytes(values);
  return plain + crypto::kAeadTagBytes * chunks_of(plain);
}

Bytes seal_update(const ContentKey& key, const UpdateHeader& header, ByteView values) {
  FM_CHECK(values.size() == 4 * header.values, "the header counts the values");
  const std::uint64_t plain = plain_bytes(header.values);
  const std::uint64_t chunks = chunks_of(plain);
  Bytes out;
  out.reserve(sealed_bytes(header.values));
  Bytes part = encode_header(header);
  part.reserve(kSealedPlainBytes);
  for (std::uint64_t i = 0; i < chunks; ++i) {
    const std::size_t take = std::min(kSealedPlainBytes - part.size(), values.size());
    append(part, values.first(take));
    values = values.subspan(take);
    append(out, aead_encrypt(kCipher, key, i, associated(plain, chunks, i), part));
    crypto::wipe(part);
    part.clear();
  }
  return out;
}

Digest update_digest(const Digest& ciphertext_root, std::uint64_t length, const ContentKey& key) {
  return Blake2b("fedmesh/update/v2").add(ciphertext_root).add_u64(length).add(key.view()).finish();
}

Result<SealedUpdate> SealedUpdate::open(const ByteSource& source, const ContentKey& key) {
  const std::uint64_t length = source.size();
  const std::uint64_t chunks = (length + kSealedChunkBytes - 1) / kSealedChunkBytes;
  const std::uint64_t tags = chunks * crypto::kAeadTagBytes;
  if (length < kUpdateHeaderBytes + tags || (length - tags - kUpdateHeaderBytes) % 4 != 0)
    return corruption("a sealed update of " + std::to_string(length) + " bytes is cut off");
  SealedUpdate out(source, key.clone(), chunks);
  FM_TRY_VOID(out.decrypt(0));
  FM_TRY(out.header_, decode_header(ByteView(bytes_of(out.plain_)).first(kUpdateHeaderBytes)));
  if (out.header_.values != (length - tags - kUpdateHeaderBytes) / 4)
    return corruption("a sealed update counts other values than it has");
  return out;
}

SealedUpdate::~SealedUpdate() {
  // As long as the longest chunk that was in it.
  plain_.resize(plain_.capacity());
  crypto::wipe(bytes_of(plain_));
}

Result<void> SealedUpdate::decrypt(std::uint64_t index) {
  const std::uint64_t at = index * kSealedChunkBytes;
  ciphertext_.resize(std::min<std::uint64_t>(kSealedChunkBytes, source_->size() - at));
  FM_TRY_VOID(source_->read(at, ciphertext_));
  const std::uint64_t plain = source_->size() - chunks_ * crypto::kAeadTagBytes;
  held_.reset();
  if (ciphertext_.size() < crypto::kAeadTagBytes || ciphertext_.size() % 4 != 0)
    return corruption("a sealed update's last chunk is cut off");
  plain_.resize((ciphertext_.size() - crypto::kAeadTagBytes) / 4);
  FM_TRY_VOID(aead_decrypt_to(bytes_of(plain_), kCipher, key_, index,
                              associated(plain, chunks_, index), ciphertext_));
  held_ = index;
  return {};
}

std::uint64_t SealedUpdate::first_value(std::uint64_t index) {
  return index == 0 ? 0 : kFirstValues + (index - 1) * kChunkValues;
}

Result<std::span<const std::int32_t>> SealedUpdate::chunk(std::uint64_t index) {
  FM_CHECK(index < chunks_, "a chunk of this update");
  if (held_ != index) FM_TRY_VOID(decrypt(index));
  return std::span<const std::int32_t>(plain_).subspan(index == 0 ? kUpdateHeaderBytes / 4 : 0);
}

Result<SealedKey> seal_key(const ContentKey& key, const SealContext& context, const NodeId& member,
                           const crypto::X25519Public& round_key, const Digest& ciphertext_root) {
  const auto secret = ephemeral_of(key, context, member, round_key, ciphertext_root);
  const auto ephemeral = crypto::x25519_public(secret);
  FM_TRY(const auto shared, crypto::x25519(secret, round_key));
  const Bytes about = box_context(context, member, ephemeral, round_key, ciphertext_root);
  const auto box_key = derive("fedmesh/box/v1", shared, about);
  SealedKey out;
  out.member = member;
  out.box = to_bytes(ephemeral.view());
  append(out.box, aead_encrypt(kCipher, box_key, 0, about, key.view()));
  return out;
}

Result<ContentKey> open_key(const crypto::X25519Secret& round_secret,
                            const crypto::X25519Public& round_key, const SealContext& context,
                            const SealedKey& sealed, const Digest& ciphertext_root) {
  if (sealed.box.size() != kBoxBytes) return corruption("a sealed key has another length");
  crypto::X25519Public ephemeral;
  std::copy_n(sealed.box.begin(), 32, ephemeral.bytes.begin());
  FM_TRY(const auto shared, crypto::x25519(round_secret, ephemeral));
  const Bytes about = box_context(context, sealed.member, ephemeral, round_key, ciphertext_root);
  const auto box_key = derive("fedmesh/box/v1", shared, about);
  FM_TRY(Bytes plain, aead_decrypt(kCipher, box_key, 0, about, ByteView(sealed.box).subspan(32)));
  ContentKey key;
  std::copy(plain.begin(), plain.end(), key.mutable_view().begin());
  crypto::wipe(plain);
  return key;
}

bool is_box_of(const ContentKey& key, const SealContext& context,
               const crypto::X25519Public& round_key, const SealedKey& opened,
               const Digest& ciphertext_root) {
  const auto ephemeral =
      crypto::x25519_public(ephemeral_of(key, context, opened.member, round_key, ciphertext_root));
  return std::equal(ephemeral.bytes.begin(), ephemeral.bytes.end(), opened.box.begin());
}

// Every scalar of X25519 is a multiple of the cofactor: a point of low order gives zero under any.
bool is_usable_round_key(const crypto::X25519Public& key) {
  crypto::X25519Secret probe;
  probe.mutable_view()[0] = 8;
  return crypto::x25519(probe, key).ok();
}

}  // namespace fedmesh::protocol
