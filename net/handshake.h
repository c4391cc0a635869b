// The first three messages of a session: who is there, on which network, with which cipher.
// A step machine without socket or clock, used by Session alone. See PROTOCOL.md here.
// Not thread-safe: owned by its Session.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/crypto/aead.h"
#include "base/crypto/keys.h"
#include "base/random.h"
#include "net/cookie.h"
#include "net/noise.h"
#include "net/transport.h"

namespace fedmesh::net {

// Bits of `suites`.
inline constexpr std::uint8_t kSuiteChaCha20 = 1;
inline constexpr std::uint8_t kSuiteAes256 = 2;
std::uint8_t suites_of_this_machine();

struct SessionConfig {
  ChainId network;  // both sides must name the same; zero is a name like any other
  std::uint8_t suites = suites_of_this_machine();
  std::uint64_t capabilities = 0;                    // told to the peer
  std::string endpoint;                              // told to the peer; at most 255 characters
  std::size_t message_bytes_max = kMessageBytesMax;  // of one message that we accept
  Duration rekey_after = std::chrono::hours(1);
  std::uint64_t rekey_bytes = 64ull << 30;
};

// A node's keys. Immutable after construction; outlives its sessions. The X25519 key lives as long
// as the process and is bound to the identity by each handshake's signature.
struct LocalKeys {
  LocalKeys(crypto::SigningKey identity_key, SecureRandom& random);
  crypto::SigningKey identity;
  crypto::X25519Secret static_secret;
  crypto::X25519Public static_public;
};

// Why a stranger is turned away. A hint for people: anybody on the path can forge it.
enum class Refusal : std::uint8_t { network = 1, version = 2, busy = 3 };
Bytes encode_refusal(Refusal why);

class Handshake {
 public:
  struct Agreement {
    PeerInfo peer;
    crypto::AeadSuite suite;
    crypto::Secret<32> send_key;
    crypto::Secret<32> receive_key;
    std::size_t message_bytes_max;  // that the peer accepts
  };
  struct Step {
    std::optional<Bytes> send;
    std::optional<Agreement> agreed;  // our part is done
    bool asked_for_cookie = false;    // forget this handshake: the next try is a new one
  };

  static Handshake initiator(const SessionConfig& config, const LocalKeys& keys,
                             SecureRandom& random, std::optional<NodeId> expected);
  // `gate` may be null: no cookies are asked for.
  static Handshake responder(const SessionConfig& config, const LocalKeys& keys,
                             SecureRandom& random, const CookieGate* gate, std::string address);

  Bytes hello();                         // of the initiator
  Result<Step> receive(ByteView bytes);  // after an error the handshake is useless

  std::optional<Refusal> refusal() const { return refusal_; }  // of the last error
  bool met_itself() const { return met_itself_; }

 private:
  Handshake(NoiseXX::Role role, const SessionConfig& config, const LocalKeys& keys,
            SecureRandom& random);
  void restart(ByteView cookie);
  Result<Step> receive_hello(ByteView bytes);
  Result<Step> receive_response(ByteView bytes);
  Result<Step> receive_finish(ByteView bytes);
  Result<Step> receive_cookie(ByteView bytes);
  Result<Bytes> write_introduction();
  Result<void> read_introduction(ByteView bytes);
  Agreement agreement() const;

  NoiseXX::Role role_;
  SessionConfig config_;
  const LocalKeys* keys_;
  crypto::X25519Secret ephemeral_;
  std::optional<NodeId> expected_;
  const CookieGate* gate_ = nullptr;
  std::string address_;
  Bytes cookie_;
  std::optional<NoiseXX> noise_;
  std::uint8_t suite_ = 0;  // one bit, once chosen
  PeerInfo peer_;
  std::uint64_t peer_message_bytes_max_ = 0;
  std::optional<Refusal> refusal_;
  bool met_itself_ = false;
};

}  // namespace fedmesh::net
