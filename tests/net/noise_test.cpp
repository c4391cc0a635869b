#include "net/noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "net_fixture.h"

namespace fedmesh::net {
namespace {

using test::hex;

crypto::Secret<32> secret(std::string_view text) {
  crypto::Secret<32> out;
  std::ranges::copy(hex(text), out.mutable_view().begin());
  return out;
}

// The published vector Noise_XX_25519_ChaChaPoly_BLAKE2b of cacophony, as snow's test suite has it
// (mcginty/snow, tests/vectors/cacophony.txt). The first versions of that file give the hash before
// the last message's payload as handshake_hash; later ones, and this one, give the final hash.
const Bytes kPrologue = hex("4a6f686e2047616c74");
constexpr std::string_view kInitiatorStatic =
    "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
constexpr std::string_view kInitiatorEphemeral =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
constexpr std::string_view kResponderStatic =
    "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
constexpr std::string_view kResponderEphemeral =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
constexpr std::string_view kHandshakeHash =
    "8cf47d7b3cb5804c0109d48e8bcdbee2cbb65687d8ea2c92994ca361fb86151a"
    "d93627b98936cbb32de56e8abb21def3925011ac3e35db9cbeea73ab9a4392c2";
struct Message {
  std::string_view payload;
  std::string_view ciphertext;
};
constexpr Message kMessages[] = {
    {"4c756477696720766f6e204d69736573",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
     "4c756477696720766f6e204d69736573"},
    {"4d757272617920526f746862617264",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430505b6745ce64a5f33f0e8e3b83f"
     "11ce8802bca507f4f2d8b564dbe277e1966116e132faa2dfd70b8b077b9f94b913df5056ae1319469b824a98d54b"
     "baa82c325595587064f978c4b6d104f7596e6f"},
    {"462e20412e20486179656b",
     "99579e1c1ee15e422a57ddd6b16d37087b17558e8369c18991b4b2ca3a824abf904cdcf5458b5431a75af034ca9e"
     "9b982de039eaaf156775e2d580cd4e5ebae89c3f8cb2594b556d8a8169"},
    {"4361726c204d656e676572", "fc56eea290b3f3a21aac0c70cd5787b5ee99be37d2f4d751329b55"},
    {"4a65616e2d426170746973746520536179",
     "bb31c9da10d5639a4cdb88a12f5c61de41bbc7df09bf75d94f8184fe4157f5c68f"},
    {"457567656e2042f6686d20766f6e2042617765726b",
     "f6199cadb152fb27f82be0a0891ec76a33598ae92a46cab2fb5a8ed5bf48b7f267f8370af7"},
};

struct Pair {
  NoiseXX initiator{NoiseXX::Role::initiator, kPrologue, secret(kInitiatorStatic),
                    secret(kInitiatorEphemeral)};
  NoiseXX responder{NoiseXX::Role::responder, kPrologue, secret(kResponderStatic),
                    secret(kResponderEphemeral)};
};

Bytes write(NoiseXX& noise, ByteView payload) {
  Bytes out = noise.write_keys().value();
  append(out, noise.write_payload(payload));
  return out;
}

Result<Bytes> read(NoiseXX& noise, ByteView message) {
  FM_TRY(const std::size_t taken, noise.read_keys(message));
  return noise.read_payload(message.subspan(taken));
}

TEST(NoiseTest, ReproducesThePublishedTranscript) {
  Pair pair;
  for (int i = 0; i < 3; ++i) {
    NoiseXX& from = i % 2 == 0 ? pair.initiator : pair.responder;
    NoiseXX& to = i % 2 == 0 ? pair.responder : pair.initiator;
    const Bytes message = write(from, hex(kMessages[i].payload));
    EXPECT_EQ(to_hex(message), kMessages[i].ciphertext) << "message " << i;
    EXPECT_EQ(to_hex(read(to, message).value()), kMessages[i].payload) << "message " << i;
  }
  ASSERT_TRUE(pair.initiator.done());
  ASSERT_TRUE(pair.responder.done());
  EXPECT_EQ(to_hex(pair.initiator.hash()), kHandshakeHash);
  EXPECT_EQ(to_hex(pair.responder.hash()), kHandshakeHash);
  EXPECT_EQ(pair.initiator.remote_static(), crypto::x25519_public(secret(kResponderStatic)));
  EXPECT_EQ(pair.responder.remote_static(), crypto::x25519_public(secret(kInitiatorStatic)));

  // The transport messages that follow, the responder first.
  auto [of_initiator, of_responder] = pair.initiator.split();
  CipherState initiator_sends;
  CipherState responder_sends;
  initiator_sends.set_key(std::move(of_initiator));
  responder_sends.set_key(std::move(of_responder));
  for (int i = 3; i < 6; ++i) {
    CipherState& sender = i % 2 == 1 ? responder_sends : initiator_sends;
    EXPECT_EQ(to_hex(sender.encrypt({}, hex(kMessages[i].payload))), kMessages[i].ciphertext)
        << "message " << i;
  }
}

TEST(NoiseTest, BothSidesSplitIntoTheSameKeys) {
  Pair pair;
  ASSERT_TRUE(read(pair.responder, write(pair.initiator, {})).ok());
  ASSERT_TRUE(read(pair.initiator, write(pair.responder, {})).ok());
  ASSERT_TRUE(read(pair.responder, write(pair.initiator, {})).ok());
  const auto [first_i, first_r] = pair.initiator.split();
  const auto [second_i, second_r] = pair.responder.split();
  EXPECT_TRUE(std::ranges::equal(first_i.view(), second_i.view()));
  EXPECT_TRUE(std::ranges::equal(first_r.view(), second_r.view()));
  EXPECT_FALSE(std::ranges::equal(first_i.view(), first_r.view()));
}

TEST(NoiseTest, AnotherPrologueFails) {
  Pair pair;
  NoiseXX elsewhere(NoiseXX::Role::responder, hex("00"), secret(kResponderStatic),
                    secret(kResponderEphemeral));
  ASSERT_TRUE(read(elsewhere, write(pair.initiator, {})).ok());
  EXPECT_EQ(read(pair.initiator, write(elsewhere, {})).error().code, ErrorCode::unauthenticated);
}

TEST(NoiseTest, RefusesAKeyOfLowOrder) {
  Pair pair;
  ASSERT_TRUE(read(pair.responder, Bytes(32, 0)).ok());  // the point of order one
  EXPECT_EQ(pair.responder.write_keys().error().code, ErrorCode::unauthenticated);
}

TEST(NoiseTest, RefusesShortMessages) {
  for (std::size_t size = 0; size < 32; ++size) {
    Pair pair;
    EXPECT_FALSE(read(pair.responder, Bytes(size, 1)).ok()) << size;
  }
}

}  // namespace
}  // namespace fedmesh::net
