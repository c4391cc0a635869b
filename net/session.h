// FM1: one authenticated, encrypted link between two nodes, as a step machine. Bytes from the
// other side go in, bytes to send and application messages come out; there is no socket, and time
// is handed in. See PROTOCOL.md here.
//
// The handshake is Noise_XX_25519_ChaChaPoly_BLAKE2b; each side proves its Ed25519 identity by
// signing the handshake hash. Frames carry counter nonces in strict order: any change, replay,
// loss or reordering ends the session.
// Not thread-safe: owned by its link.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/aead.h"
#include "base/crypto/keys.h"
#include "base/random.h"
#include "net/cookie.h"
#include "net/handshake.h"
#include "net/transport.h"

namespace fedmesh::net {

// Plaintext of one frame: 256 KiB of bulk data and what stands before them.
inline constexpr std::size_t kFrameBytesMax = (256u << 10) + 64;
inline constexpr std::size_t kFrameHeaderBytes = 2;  // version, type
inline constexpr std::size_t kWireBytesMax =
    kFrameBytesMax + kFrameHeaderBytes + crypto::kAeadTagBytes;  // of anything FM1 sends

class Session {
 public:
  struct Output {
    std::vector<Bytes> send;             // to the other side, in this order
    std::vector<Bytes> messages;         // complete application messages, in order
    bool established = false;            // became so just now, before its messages
    std::optional<std::string> closed;   // the peer's reason for ending the session
    std::optional<Duration> round_trip;  // a pong came
  };

  // `random` is used for the ephemeral key only, before the call returns. `keys` outlives the
  // session.
  static Session initiate(const SessionConfig& config, const LocalKeys& keys, SecureRandom& random,
                          std::optional<NodeId> expected = {});
  // With a `gate` (which outlives the session), a first message without a cookie for `address` is
  // answered by a cookie, and the session is over: the initiator's next try is a new session.
  static Session respond(const SessionConfig& config, const LocalKeys& keys, SecureRandom& random);
  static Session respond_guarded(const SessionConfig& config, const LocalKeys& keys,
                                 SecureRandom& random, const CookieGate& gate, std::string address);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // The initiator's first message; called once, before receive().
  Bytes hello();

  // An error ends the session: every later call answers an error too. `unauthenticated`: forged,
  // replayed, reordered, or the wrong identity; `invalid_argument`: not FM1, wrong version or
  // network; `exhausted`: larger than agreed.
  Result<Output> receive(ByteView bytes, Instant now);

  // One application message as frames to send in order (a key change frame may stand before them).
  Result<std::vector<Bytes>> seal(ByteView message, Instant now);
  Result<Bytes> ping(Instant now);
  Result<Bytes> close(const std::string& reason);  // the last frame; the session is over

  // After a failed receive() of a first message: what the initiator may be told, unauthenticated.
  std::optional<Bytes> farewell() const;

  bool established() const;
  bool over() const;
  bool asked_for_cookie() const;    // of a responder: the cookie is sent, the session is over
  bool met_itself() const;          // it failed because the other side has our own identity
  const PeerInfo& peer() const;     // established() only
  crypto::AeadSuite suite() const;  // established() only

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fedmesh::net
