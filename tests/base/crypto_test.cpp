#include <gtest/gtest.h>

#include "base/crypto/aead.h"
#include "base/crypto/blake2b_lanes.h"
#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "base/crypto/keys.h"

namespace fedmesh::crypto {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
template <class T>
T id(std::string_view text) {
  return *T::from_hex(text);
}

TEST(DigestTest, PublishedVectors) {
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),  // FIPS 180-4
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(blake2b(as_bytes("abc")).hex(),  // python: hashlib.blake2b(b"abc", digest_size=32)
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(to_hex(blake2b_512(as_bytes("abc"))),  // RFC 7693, appendix A
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

// Whole blocks may take another way than what is added byte by byte.
TEST(DigestTest, Sha256IsTheSameHoweverItsPartsCome) {
  EXPECT_EQ(sha256(Bytes(1'000'000, 'a')).hex(),  // FIPS 180-2, appendix B.3
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Bytes message(700);
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<std::uint8_t>(i * 7);
  for (std::size_t size = 0; size <= message.size(); ++size) {
    const ByteView part = ByteView(message).first(size);
    Sha256 bytewise, split;
    for (std::size_t i = 0; i < size; ++i) bytewise.add(part.subspan(i, 1));
    split.add(part.first(size / 3)).add(part.subspan(size / 3));
    const Digest expected = bytewise.finish();
    EXPECT_EQ(sha256(part), expected) << size;
    EXPECT_EQ(split.finish(), expected) << size;
  }
}

TEST(DigestTest, LabelsAndLengthsSeparate) {
  const auto two = [](std::string_view a, std::string_view b) {
    return Blake2b("test").add_sized(as_bytes(a)).add_sized(as_bytes(b)).finish();
  };
  EXPECT_NE(two("ab", "c"), two("a", "bc"));
  EXPECT_NE(Blake2b("x").add(as_bytes("y")).finish(), Blake2b("xy").finish());
  Blake2b first("test");
  Blake2b copy(first);
  EXPECT_EQ(first.add_u64(1).finish(), copy.add_u64(1).finish());
}

TEST(SignTest, Rfc8032Vectors) {
  struct Case {
    const char *seed, *key, *message, *signature;
  };
  for (const Case& c :
       {Case{
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39"
            "701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        Case{
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f36"
            "13d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"}}) {
    Secret<32> seed;
    const Bytes raw = hex(c.seed);
    std::copy(raw.begin(), raw.end(), seed.mutable_view().begin());
    const SigningKey key = SigningKey::from_seed(seed);
    EXPECT_EQ(key.public_key().hex(), c.key);
    EXPECT_EQ(key.node_id(), node_id_of(key.public_key().view()));
    Signature signature = key.sign(hex(c.message));
    EXPECT_EQ(to_hex(signature.view()), c.signature);
    EXPECT_TRUE(verify(key.public_key(), hex(c.message), signature));
    EXPECT_FALSE(verify(key.public_key(), hex("73"), signature));
    signature.bytes[0] ^= 1;
    EXPECT_FALSE(verify(key.public_key(), hex(c.message), signature));
  }
}

TEST(AgreeTest, Rfc7748VectorAndLowOrderPoints) {
  const auto secret = [](std::string_view text) {
    X25519Secret out;
    const Bytes raw = hex(text);
    std::copy(raw.begin(), raw.end(), out.mutable_view().begin());
    return out;
  };
  // RFC 7748, section 5.2.
  const X25519Secret scalar =
      secret("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const auto point =
      id<X25519Public>("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
  EXPECT_EQ(to_hex(x25519(scalar, point)->view()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(x25519(scalar, X25519Public{}).error().code, ErrorCode::unauthenticated);
}

TEST(AeadTest, Rfc8439KeystreamAndTampering) {
  // RFC 8439 appendix A.1, vector 1: key, counter and nonce zero.
  Bytes stream(64);
  chacha20_stream(Bytes(32), 0, 0, stream);
  EXPECT_EQ(to_hex(ByteView(stream).first(32)),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
  const Secret<32> key(std::array<std::uint8_t, 32>{7});
  const Bytes sealed =
      aead_encrypt(AeadSuite::chacha20_poly1305, key, 5, as_bytes("head"), as_bytes("body"));
  EXPECT_EQ(as_text(*aead_decrypt(AeadSuite::chacha20_poly1305, key, 5, as_bytes("head"), sealed)),
            "body");
  EXPECT_FALSE(aead_decrypt(AeadSuite::chacha20_poly1305, key, 6, as_bytes("head"), sealed).ok());
  EXPECT_FALSE(aead_decrypt(AeadSuite::chacha20_poly1305, key, 5, as_bytes("Head"), sealed).ok());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 0x80;
    EXPECT_FALSE(
        aead_decrypt(AeadSuite::chacha20_poly1305, key, 5, as_bytes("head"), changed).ok());
  }
  EXPECT_FALSE(aead_decrypt(AeadSuite::chacha20_poly1305, key, 5, {}, Bytes(15)).ok());
}

// Against libsodium: nothing at all, less than a block, and lengths around its edges.
TEST(AeadTest, EveryLengthIsSealedAsLibsodiumDoes) {
  const Secret<32> key(std::array<std::uint8_t, 32>{9});
  // Of the tags, or of all ciphertexts one after the other, by crypto_aead_*_encrypt.
  struct Golden {
    AeadSuite suite;
    const char* empty;
    const char* all;
  };
  for (const Golden& golden :
       {Golden{AeadSuite::chacha20_poly1305, "5a49073bfb65412955dad08496cc83f3",
               "3b9bc83b554ce2eb106ca9263375b4f199b55023f9dd41463f9ea48bad20f16c"},
        Golden{AeadSuite::aes256_gcm, "09cdcf41357ff02f121b5e27d2ab5f52",
               "c32e3229e595a3ea3f36b3763b4f77b838782fb0ac7fe87e3d55cccdd86d68ec"}}) {
    if (golden.suite == AeadSuite::aes256_gcm && !aes256_gcm_available()) continue;
    EXPECT_EQ(to_hex(aead_encrypt(golden.suite, key, 3, {}, {})), golden.empty);
    Blake2b all;
    for (const std::size_t associated : {0u, 1u, 16u, 300u})
      for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 63u, 64u, 65u, 4096u, 70000u}) {
        Bytes plain(size), about(associated);
        for (std::size_t i = 0; i < size; ++i) plain[i] = static_cast<std::uint8_t>(i * 7);
        for (std::size_t i = 0; i < associated; ++i) about[i] = static_cast<std::uint8_t>(i * 5);
        const Bytes sealed = aead_encrypt(golden.suite, key, size, about, plain);
        all.add(sealed);
        EXPECT_EQ(aead_decrypt(golden.suite, key, size, about, sealed).value(), plain);
        Bytes changed = sealed;
        changed.back() ^= 1;
        EXPECT_FALSE(aead_decrypt(golden.suite, key, size, about, changed).ok());
      }
    EXPECT_EQ(all.finish().hex(), golden.all);
  }
}

TEST(BlobHashTest, GoldenRootsAndEveryByteCounts) {
  const auto blob = [](std::size_t size) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + 7);
    return out;
  };
  // Computed with an independent implementation (python, hashlib).
  EXPECT_EQ(blob_root({}).hex(),
            "d05d1a1f1cbe5699588c438251d47c03ccf5cba61a4f9292eeacc8cc6dd8022c");
  EXPECT_EQ(blob_root(blob(1000)).hex(),
            "cf736cfda6b4716a11704b9e99555af2254a745211d0a432c7028018f5b31b73");
  EXPECT_EQ(blob_root(blob(3 * kBlobLeafBytes + 5)).hex(),
            "ea67ba49c8a14eea04e2a8c7b43dfe13c8c123fb72098a71d94f591f51ccc55c");
  EXPECT_EQ(blob_root(blob(5 * kBlobLeafBytes)).hex(),
            "dd7391562ca4287aa77c9efe2c4fd2be29281718c390e202183a0f4e94d899d4");
  const Bytes whole = blob(2 * kBlobLeafBytes + 1);
  const Digest leaves[] = {blob_leaf(ByteView(whole).first(kBlobLeafBytes)),
                           blob_leaf(ByteView(whole).subspan(kBlobLeafBytes, kBlobLeafBytes)),
                           blob_leaf(ByteView(whole).last(1))};
  EXPECT_EQ(blob_root(leaves, whole.size()), blob_root(whole));
  EXPECT_NE(blob_root(leaves, whole.size() + 1), blob_root(whole));
  EXPECT_EQ(blob_root(std::span<const Digest>(), 0), blob_root({}));
  EXPECT_EQ(blob_leaf_count(whole.size()), 3u);
  EXPECT_EQ(blob_leaf_bytes(whole.size(), 2), 1u);
  EXPECT_EQ(blob_leaves(whole), std::vector<Digest>(std::begin(leaves), std::end(leaves)));
  Bytes changed = blob(3 * kBlobLeafBytes + 5);
  changed.back() ^= 1;
  EXPECT_NE(blob_root(changed), blob_root(blob(3 * kBlobLeafBytes + 5)));
}

// Against libsodium, which hashes one message at a time: every length around the edges of a block.
TEST(BlobHashTest, LanesHashLikeOneMessageAtATime) {
  Bytes stream(8 * 4096);
  chacha20_stream(Bytes(32), 1, 0, stream);
  for (const std::size_t prefix : {std::size_t{0}, std::size_t{28}, std::size_t{127}})
    for (const std::size_t size : {128u, 129u, 227u, 228u, 229u, 255u, 256u, 257u, 384u, 4096u}) {
      std::array<ByteView, kBlake2bLanes> messages;
      for (std::size_t i = 0; i < messages.size(); ++i)
        messages[i] = ByteView(stream).subspan(1 + i * 4096, size);
      const auto digests = blake2b_lanes(ByteView(stream).first(prefix), messages);
      for (std::size_t i = 0; i < messages.size(); ++i)
        EXPECT_EQ(digests[i],
                  Blake2b().add(ByteView(stream).first(prefix)).add(messages[i]).finish())
            << "prefix " << prefix << ", size " << size << ", lane " << i;
    }
  Bytes whole(9 * kBlobLeafBytes + 3);
  chacha20_stream(Bytes(32), 2, 0, whole);
  const auto leaves = blob_leaves(whole);
  ASSERT_EQ(leaves.size(), 10u);
  for (std::size_t i = 0; i < leaves.size(); ++i)
    EXPECT_EQ(leaves[i], blob_leaf(ByteView(whole).subspan(i * kBlobLeafBytes,
                                                           blob_leaf_bytes(whole.size(), i))));
}

}  // namespace
}  // namespace fedmesh::crypto
