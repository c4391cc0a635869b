#include "net/handshake.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/codec/codec.h"
#include "base/crypto/digest.h"

namespace fedmesh::net {
namespace {

constexpr std::string_view kMagic = "FM1";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHelloBytesMax = 256;
constexpr std::size_t kHandshakeBytesMax = 1024;
constexpr std::size_t kEndpointBytesMax = 255;

enum class Kind : std::uint8_t { hello = 1, response = 2, finish = 3, cookie = 4, refusal = 5 };

// The encrypted payload of the second and the third message.
struct Introduction {
  crypto::PublicKey identity;
  std::array<std::uint8_t, 64> signature{};
  std::uint8_t suite = 0;  // one bit: chosen by the responder, repeated by the initiator
  std::uint64_t capabilities = 0;
  std::uint64_t message_bytes_max = 0;
  std::string endpoint;
  FM_FIELDS(identity, signature, suite, capabilities, message_bytes_max, endpoint)
};

Bytes header(Kind kind) {
  Bytes out = to_bytes(as_bytes(kMagic));
  out.push_back(static_cast<std::uint8_t>(kind));
  return out;
}

bool is_kind(ByteView bytes, Kind kind) {
  return bytes.size() > kMagic.size() && as_text(bytes.first(kMagic.size())) == kMagic &&
         bytes[kMagic.size()] == static_cast<std::uint8_t>(kind);
}

Bytes prologue(const ChainId& network) {
  Bytes out = to_bytes(as_bytes(kMagic));
  out.push_back(kVersion);
  append(out, network.view());
  return out;
}

// What an identity signs: this very handshake so far, and the Diffie-Hellman key it speaks for.
Bytes signed_bytes(NoiseXX::Role signer, const crypto::Hash512& hash,
                   const crypto::X25519Public& static_key) {
  Bytes out = to_bytes(as_bytes("fedmesh-noise-v1"));
  out.push_back(signer == NoiseXX::Role::initiator ? 'I' : 'R');
  append(out, hash);
  append(out, static_key.view());
  return out;
}

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

crypto::AeadSuite aead_of(std::uint8_t suite) {
  return suite == kSuiteAes256 ? crypto::AeadSuite::aes256_gcm
                               : crypto::AeadSuite::chacha20_poly1305;
}

NoiseXX::Role other(NoiseXX::Role role) {
  return role == NoiseXX::Role::initiator ? NoiseXX::Role::responder : NoiseXX::Role::initiator;
}

Error refused_by_peer(ByteView bytes) {
  const std::uint8_t why = bytes.size() == 5 ? bytes[4] : 0;
  std::string reason = "without saying why";
  if (why == static_cast<std::uint8_t>(Refusal::network))
    reason = "it belongs to another network; check that both nodes use the same genesis";
  if (why == static_cast<std::uint8_t>(Refusal::version))
    reason = "it speaks another version of the protocol; upgrade the older node";
  if (why == static_cast<std::uint8_t>(Refusal::busy)) reason = "it has no room for more links";
  return unavailable("the other side refused the handshake: " + reason);
}

}  // namespace

std::uint8_t suites_of_this_machine() {
  crypto::initialise();
  return kSuiteChaCha20 | (crypto::aes256_gcm_available() ? kSuiteAes256 : 0);
}

LocalKeys::LocalKeys(crypto::SigningKey identity_key, SecureRandom& random)
    : identity(std::move(identity_key)),
      static_secret(crypto::X25519Secret::random(random)),
      static_public(crypto::x25519_public(static_secret)) {}

Bytes encode_refusal(Refusal why) {
  Bytes out = header(Kind::refusal);
  out.push_back(static_cast<std::uint8_t>(why));
  return out;
}

Handshake::Handshake(NoiseXX::Role role, const SessionConfig& config, const LocalKeys& keys,
                     SecureRandom& random)
    : role_(role), config_(config), keys_(&keys), ephemeral_(crypto::X25519Secret::random(random)) {
  FM_CHECK(config.endpoint.size() <= kEndpointBytesMax && printable(config.endpoint),
           "an advertised endpoint is short and printable");
  FM_CHECK((config.suites & kSuiteChaCha20) != 0, "every node has ChaCha20-Poly1305");
  FM_CHECK(config.message_bytes_max > 0, "messages have a size");
  restart({});
}

Handshake Handshake::initiator(const SessionConfig& config, const LocalKeys& keys,
                               SecureRandom& random, std::optional<NodeId> expected) {
  Handshake out(NoiseXX::Role::initiator, config, keys, random);
  out.expected_ = expected;
  return out;
}

Handshake Handshake::responder(const SessionConfig& config, const LocalKeys& keys,
                               SecureRandom& random, const CookieGate* gate, std::string address) {
  Handshake out(NoiseXX::Role::responder, config, keys, random);
  out.gate_ = gate;
  out.address_ = std::move(address);
  return out;
}

// The ephemeral key stays the same, because the cookie was minted for it. Nothing was encrypted
// under the transcript that is thrown away.
void Handshake::restart(ByteView cookie) {
  cookie_ = to_bytes(cookie);
  noise_.emplace(role_, prologue(config_.network), keys_->static_secret, ephemeral_.clone());
}

Bytes Handshake::hello() {
  FM_CHECK(role_ == NoiseXX::Role::initiator, "the initiator says hello");
  Bytes out = header(Kind::hello);
  out.push_back(kVersion);
  append(out, config_.network.view());
  auto key = noise_->write_keys();
  FM_CHECK(key.ok(), "the first message needs no key of the other side");
  append(out, *key);
  Bytes payload{config_.suites, static_cast<std::uint8_t>(cookie_.size())};
  append(payload, cookie_);
  append(out, noise_->write_payload(payload));
  return out;
}

Result<Handshake::Step> Handshake::receive(ByteView bytes) {
  if (bytes.size() > kHandshakeBytesMax)
    return invalid_argument("not FM1: a handshake message has at most 1024 bytes");
  if (role_ == NoiseXX::Role::responder)
    return suite_ == 0 ? receive_hello(bytes) : receive_finish(bytes);
  if (is_kind(bytes, Kind::refusal)) return refused_by_peer(bytes);
  if (is_kind(bytes, Kind::cookie)) return receive_cookie(bytes);
  return receive_response(bytes);
}

Result<Handshake::Step> Handshake::receive_hello(ByteView bytes) {
  constexpr std::size_t kFixed = 3 + 1 + 1 + 32 + 32 + 2;
  if (!is_kind(bytes, Kind::hello) || bytes.size() < kMagic.size() + 2 ||
      bytes.size() > kHelloBytesMax)
    return invalid_argument("not FM1: the first message is not a hello");
  if (bytes[4] != kVersion) {
    refusal_ = Refusal::version;
    return invalid_argument("FM1 version " + std::to_string(bytes[4]) + ", this node speaks " +
                            std::to_string(kVersion));
  }
  if (bytes.size() < kFixed || bytes.size() != kFixed + bytes[kFixed - 1])
    return invalid_argument("not FM1: the hello has another length");
  if (!std::ranges::equal(bytes.subspan(5, 32), config_.network.view())) {
    refusal_ = Refusal::network;
    return invalid_argument("a node of another network, " + to_hex(bytes.subspan(5, 4)) +
                            "...; this is " + config_.network.short_hex() + "...");
  }
  FM_TRY(const auto ephemeral, crypto::X25519Public::from_bytes(bytes.subspan(37, 32)));
  const ByteView cookie = bytes.subspan(kFixed);
  Step step;
  if (gate_ != nullptr && !gate_->accepts(address_, ephemeral, cookie)) {
    step.send = header(Kind::cookie);
    append(*step.send, gate_->mint(address_, ephemeral));
    step.asked_for_cookie = true;
    return step;
  }
  FM_TRY(const std::size_t taken, noise_->read_keys(bytes.subspan(37)));
  FM_TRY_VOID(noise_->read_payload(bytes.subspan(37 + taken)));
  const std::uint8_t offered = bytes[kFixed - 2];
  const std::uint8_t common = offered & config_.suites;
  if (common == 0 || offered > (kSuiteChaCha20 | kSuiteAes256))
    return invalid_argument("the hello offers no cipher suite that this node has");
  suite_ = (common & kSuiteAes256) != 0 ? kSuiteAes256 : kSuiteChaCha20;
  FM_TRY(const Bytes body, write_introduction());
  step.send = header(Kind::response);
  append(*step.send, body);
  return step;
}

Result<Handshake::Step> Handshake::receive_cookie(ByteView bytes) {
  if (!cookie_.empty()) return invalid_argument("a cookie was asked for twice");
  if (bytes.size() != kMagic.size() + 1 + Cookie{}.size())
    return invalid_argument("not FM1: the cookie has another length");
  restart(bytes.subspan(kMagic.size() + 1));
  Step step;
  step.send = hello();
  return step;
}

Result<Handshake::Step> Handshake::receive_response(ByteView bytes) {
  if (!is_kind(bytes, Kind::response))
    return invalid_argument("not FM1: the answer to the hello is not a response");
  FM_TRY_VOID(read_introduction(bytes.subspan(kMagic.size() + 1)));
  if (expected_ && peer_.id != *expected_)
    return unauthenticated("node " + peer_.id.short_hex() + "... answers where " +
                           expected_->short_hex() + "... was expected");
  Step step;
  FM_TRY(const Bytes body, write_introduction());
  step.send = header(Kind::finish);
  append(*step.send, body);
  step.agreed = agreement();
  return step;
}

Result<Handshake::Step> Handshake::receive_finish(ByteView bytes) {
  if (!is_kind(bytes, Kind::finish))
    return invalid_argument("not FM1: the third message is not a finish");
  FM_TRY_VOID(read_introduction(bytes.subspan(kMagic.size() + 1)));
  Step step;
  step.agreed = agreement();
  return step;
}

Result<Bytes> Handshake::write_introduction() {
  FM_TRY(Bytes out, noise_->write_keys());
  Introduction mine;
  mine.identity = keys_->identity.public_key();
  mine.signature =
      keys_->identity.sign(signed_bytes(role_, noise_->hash(), keys_->static_public)).bytes;
  mine.suite = suite_;
  mine.capabilities = config_.capabilities;
  mine.message_bytes_max = config_.message_bytes_max;
  mine.endpoint = config_.endpoint;
  append(out, noise_->write_payload(codec::encode(mine)));
  return out;
}

Result<void> Handshake::read_introduction(ByteView bytes) {
  FM_TRY(const std::size_t taken, noise_->read_keys(bytes));
  const crypto::Hash512 hash = noise_->hash();
  FM_TRY(const Bytes payload, noise_->read_payload(bytes.subspan(taken)));
  FM_TRY(const Introduction theirs, codec::decode<Introduction>(payload));
  if (!crypto::verify(theirs.identity, signed_bytes(other(role_), hash, noise_->remote_static()),
                      crypto::Signature{theirs.signature}))
    return unauthenticated("the other side does not hold the identity key it names");
  const bool one_suite = theirs.suite == kSuiteChaCha20 || theirs.suite == kSuiteAes256;
  if (!one_suite || (theirs.suite & config_.suites) == 0 || (suite_ != 0 && theirs.suite != suite_))
    return invalid_argument("the other side chose a cipher suite that was not agreed");
  if (theirs.endpoint.size() > kEndpointBytesMax || !printable(theirs.endpoint))
    return invalid_argument("the advertised endpoint is too long or not printable");
  if (theirs.message_bytes_max == 0) return invalid_argument("the other side accepts no messages");
  peer_ = {crypto::node_id_of(theirs.identity.view()), theirs.identity, theirs.capabilities,
           theirs.endpoint};
  if (peer_.id == keys_->identity.node_id()) {
    met_itself_ = true;
    return invalid_argument("that is this node itself");
  }
  suite_ = theirs.suite;
  peer_message_bytes_max_ = theirs.message_bytes_max;
  return {};
}

Handshake::Agreement Handshake::agreement() const {
  auto [of_initiator, of_responder] = noise_->split();
  const bool initiator = role_ == NoiseXX::Role::initiator;
  return {
      peer_, aead_of(suite_), std::move(initiator ? of_initiator : of_responder),
      std::move(initiator ? of_responder : of_initiator),
      static_cast<std::size_t>(std::min<std::uint64_t>(peer_message_bytes_max_, kMessageBytesMax))};
}

}  // namespace fedmesh::net
