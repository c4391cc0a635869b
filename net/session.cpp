#include "net/session.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "net/frames.h"

namespace fedmesh::net {
namespace {

constexpr std::size_t kReasonBytesMax = 200;

// The established half of a session.
struct Channel {
  Channel(Handshake::Agreement agreed, Instant now)
      : peer(std::move(agreed.peer)),
        suite(agreed.suite),
        out(agreed.suite, agreed.send_key),
        in(agreed.suite, agreed.receive_key),
        peer_message_bytes_max(agreed.message_bytes_max),
        keyed_at(now) {}

  PeerInfo peer;
  crypto::AeadSuite suite;
  FrameCipher out;
  FrameCipher in;
  std::size_t peer_message_bytes_max;
  Instant keyed_at;                  // of `out`
  Bytes assembling;                  // parts of a message
  std::optional<std::int64_t> ping;  // sent and not answered
};

std::string tidy(ByteView reason) {
  std::string out(as_text(reason.first(std::min(reason.size(), kReasonBytesMax))));
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

}  // namespace

// A session is a handshake, then a channel that awaits the responder's first frame (initiator
// only), then established, then over. The first frame tells the initiator that its own proof was
// accepted.
struct Session::State {
  SessionConfig config;
  std::optional<Handshake> handshake;
  std::optional<Channel> channel;
  bool responder = false;
  bool established = false;
  bool over = false;
  bool asked_for_cookie = false;
  bool met_itself = false;
  std::optional<Refusal> refusal;

  Result<Output> receive(ByteView bytes, Instant now);
  Result<Output> receive_handshake(ByteView bytes, Instant now);
  Result<Output> receive_frame(ByteView bytes, Instant now);
  Result<void> assemble(Frame frame, Output& output);
  Result<void> answer_ping(const Frame& frame, Output& output);
  void read_pong(const Frame& frame, Instant now, Output& output);
  Bytes ping(Instant now);
};

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Session Session::initiate(const SessionConfig& config, const LocalKeys& keys, SecureRandom& random,
                          std::optional<NodeId> expected) {
  auto state = std::make_unique<State>();
  state->config = config;
  state->handshake = Handshake::initiator(config, keys, random, expected);
  return Session(std::move(state));
}

Session Session::respond(const SessionConfig& config, const LocalKeys& keys, SecureRandom& random) {
  auto state = std::make_unique<State>();
  state->config = config;
  state->handshake = Handshake::responder(config, keys, random, nullptr, {});
  state->responder = true;
  return Session(std::move(state));
}

Session Session::respond_guarded(const SessionConfig& config, const LocalKeys& keys,
                                 SecureRandom& random, const CookieGate& gate,
                                 std::string address) {
  auto state = std::make_unique<State>();
  state->config = config;
  state->handshake = Handshake::responder(config, keys, random, &gate, std::move(address));
  state->responder = true;
  return Session(std::move(state));
}

Bytes Session::hello() {
  FM_CHECK(state_->handshake && !state_->responder, "the initiator says hello, once");
  return state_->handshake->hello();
}

Result<Session::Output> Session::receive(ByteView bytes, Instant now) {
  if (state_->over) return stale("the session is over");
  auto output = state_->receive(bytes, now);
  if (!output.ok()) state_->over = true;
  return output;
}

Result<Session::Output> Session::State::receive(ByteView bytes, Instant now) {
  if (bytes.size() > kWireBytesMax)
    return exhausted("a frame of " + std::to_string(bytes.size()) + " bytes, at most " +
                     std::to_string(kWireBytesMax) + " are allowed");
  if (!channel) return receive_handshake(bytes, now);
  FM_TRY(Output output, receive_frame(bytes, now));
  if (!established && !output.closed) {
    established = true;
    output.established = true;
  }
  return output;
}

Result<Session::Output> Session::State::receive_handshake(ByteView bytes, Instant now) {
  auto received = handshake->receive(bytes);
  if (!received.ok()) {
    refusal = handshake->refusal();
    met_itself = handshake->met_itself();
    return received.error();
  }
  Handshake::Step step = std::move(received).value();
  Output output;
  if (step.send) output.send.push_back(std::move(*step.send));
  if (step.asked_for_cookie) {
    asked_for_cookie = true;
    over = true;
  }
  if (step.agreed) {
    channel.emplace(std::move(*step.agreed), now);
    handshake.reset();
    if (responder) {
      established = true;
      output.established = true;
      output.send.push_back(ping(now));
    }
  }
  return output;
}

Result<Session::Output> Session::State::receive_frame(ByteView bytes, Instant now) {
  FM_TRY(Frame frame, channel->in.open(bytes));
  Output output;
  switch (frame.type) {
    case FrameType::data:
    case FrameType::part:
      FM_TRY_VOID(assemble(std::move(frame), output));
      return output;
    case FrameType::ping:
      FM_TRY_VOID(answer_ping(frame, output));
      return output;
    case FrameType::pong:
      read_pong(frame, now, output);
      return output;
    case FrameType::rekey:
      if (!frame.body.empty()) return corruption("a key change frame has no contents");
      channel->in.advance_key();
      return output;
    case FrameType::close:
      output.closed = tidy(frame.body);
      over = true;
      return output;
  }
  return corruption("a frame of an unknown type");
}

Result<void> Session::State::assemble(Frame frame, Output& output) {
  if (frame.body.empty()) return corruption("an empty message or part of one");
  if (frame.body.size() > config.message_bytes_max - channel->assembling.size())
    return exhausted("a message above the limit of " + std::to_string(config.message_bytes_max) +
                     " bytes");
  if (channel->assembling.empty()) {
    channel->assembling = std::move(frame.body);
  } else {
    append(channel->assembling, frame.body);
  }
  if (frame.type == FrameType::part) return {};
  output.messages.push_back(std::move(channel->assembling));
  channel->assembling = {};
  return {};
}

Result<void> Session::State::answer_ping(const Frame& frame, Output& output) {
  if (frame.body.size() != 8) return corruption("a ping has 8 bytes");
  output.send.push_back(channel->out.seal(FrameType::pong, frame.body));
  return {};
}

// A pong that answers no ping of ours tells nothing and harms nothing.
void Session::State::read_pong(const Frame& frame, Instant now, Output& output) {
  if (!channel->ping || frame.body.size() != 8) return;
  if (load_le64(frame.body) != static_cast<std::uint64_t>(*channel->ping)) return;
  output.round_trip = now - Instant{*channel->ping};
  channel->ping.reset();
}

Bytes Session::State::ping(Instant now) {
  std::array<std::uint8_t, 8> body;
  store_le64(body, static_cast<std::uint64_t>(now.ms));
  channel->ping = now.ms;
  return channel->out.seal(FrameType::ping, body);
}

Result<std::vector<Bytes>> Session::seal(ByteView message, Instant now) {
  if (!established()) return unavailable("the session is not established");
  Channel& channel = *state_->channel;
  if (message.empty()) return invalid_argument("a message has at least one byte");
  if (message.size() > channel.peer_message_bytes_max)
    return invalid_argument("a message of " + std::to_string(message.size()) +
                            " bytes; the peer accepts at most " +
                            std::to_string(channel.peer_message_bytes_max));
  std::vector<Bytes> frames;
  if (channel.out.bytes_under_key() >= state_->config.rekey_bytes ||
      now - channel.keyed_at >= state_->config.rekey_after) {
    frames.push_back(channel.out.seal(FrameType::rekey, {}));
    channel.out.advance_key();
    channel.keyed_at = now;
  }
  while (message.size() > kFrameBytesMax) {
    frames.push_back(channel.out.seal(FrameType::part, message.first(kFrameBytesMax)));
    message = message.subspan(kFrameBytesMax);
  }
  frames.push_back(channel.out.seal(FrameType::data, message));
  return frames;
}

Result<Bytes> Session::ping(Instant now) {
  if (!established()) return unavailable("the session is not established");
  return state_->ping(now);
}

Result<Bytes> Session::close(const std::string& reason) {
  if (state_->over || !state_->channel) return unavailable("the session has no keys to close with");
  state_->over = true;
  return state_->channel->out.seal(FrameType::close, as_bytes(tidy(as_bytes(reason))));
}

std::optional<Bytes> Session::farewell() const {
  if (!state_->refusal) return std::nullopt;
  return encode_refusal(*state_->refusal);
}

bool Session::established() const { return state_->established && !state_->over; }
bool Session::over() const { return state_->over; }
bool Session::asked_for_cookie() const { return state_->asked_for_cookie; }
bool Session::met_itself() const { return state_->met_itself; }

const PeerInfo& Session::peer() const {
  FM_CHECK(state_->channel && state_->established, "the peer is known once established");
  return state_->channel->peer;
}

crypto::AeadSuite Session::suite() const {
  FM_CHECK(state_->channel && state_->established, "the suite is known once established");
  return state_->channel->suite;
}

}  // namespace fedmesh::net
