#include "tests/fuzz/net_peer.h"

#include <map>
#include <string>

#include "tests/net/net_fixture.h"

namespace fedmesh::fuzz {
namespace {

using net::LocalKeys;
using net::NoiseXX;
using net::Session;
using net::test::FakeRandom;

constexpr std::string_view kMagic = "FM1";
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kHello = 1;
constexpr std::uint8_t kFinish = 3;

const LocalKeys& keys_of(const std::string& name) {
  static std::map<std::string, LocalKeys> all;
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  FakeRandom random(name + " secrets");
  return all.try_emplace(name, net::test::key_of(name), random).first->second;
}

Bytes header(std::uint8_t kind) {
  Bytes out = to_bytes(as_bytes(kMagic));
  out.push_back(kind);
  return out;
}

NoiseXX hand_made_noise() {
  Bytes prologue = to_bytes(as_bytes(kMagic));
  prologue.push_back(kVersion);
  append(prologue, net_config().network.view());
  FakeRandom random("ephemeral of the peer");
  return NoiseXX(NoiseXX::Role::initiator, prologue, keys_of("peer").static_secret,
                 crypto::X25519Secret::random(random));
}

}  // namespace

net::SessionConfig net_config() {
  net::SessionConfig config;
  config.network = net::test::network_of("fuzz");
  config.suites = net::kSuiteChaCha20;  // the same bytes on every machine
  config.message_bytes_max = 4096;
  return config;
}

const net::CookieGate& net_gate() {
  static FakeRandom random("cookies");
  static const net::CookieGate gate(random, kNetNow);
  return gate;
}

Session node_responder() {
  FakeRandom random("ephemeral of the node");
  return Session::respond(net_config(), keys_of("node"), random);
}
Session node_guarded_responder() {
  FakeRandom random("ephemeral of the node");
  return Session::respond_guarded(net_config(), keys_of("node"), random, net_gate(), kNetAddress);
}
Session node_initiator() {
  FakeRandom random("ephemeral of the node");
  return Session::initiate(net_config(), keys_of("node"), random);
}
Session honest_initiator() {
  FakeRandom random("ephemeral of the peer");
  return Session::initiate(net_config(), keys_of("peer"), random);
}
Session honest_responder() {
  FakeRandom random("ephemeral of the peer");
  return Session::respond(net_config(), keys_of("peer"), random);
}

HandMadePeer::HandMadePeer() : node_(node_responder()), noise_(hand_made_noise()) {
  Bytes hello = header(kHello);
  hello.push_back(kVersion);
  append(hello, net_config().network.view());
  append(hello, noise_.write_keys().value());
  append(hello, noise_.write_payload(Bytes{net::kSuiteChaCha20, 0}));
  const auto response = node_.receive(hello, kNetNow);
  FM_CHECK(response.ok() && response->send.size() == 1, "the node answers a valid hello");
  const ByteView body = ByteView(response->send[0]).subspan(kMagic.size() + 1);
  const std::size_t taken = noise_.read_keys(body).value();
  FM_CHECK(noise_.read_payload(body.subspan(taken)).ok(), "the node's introduction is readable");
  third_keys_ = noise_.write_keys().value();
  hash_ = noise_.hash();
}

Introduction HandMadePeer::introduction() const {
  Introduction out;
  out.identity = keys_of("peer").identity.public_key();
  out.suite = net::kSuiteChaCha20;
  out.message_bytes_max = 4096;
  out.endpoint = "example.org:7000";
  return out;
}

Result<Session::Output> HandMadePeer::introduce(ByteView payload) {
  Bytes said = to_bytes(payload);
  if (auto decoded = codec::decode<Introduction>(payload); decoded.ok()) {
    Bytes statement = to_bytes(as_bytes("fedmesh-noise-v1I"));
    append(statement, hash_);
    append(statement, keys_of("peer").static_public.view());
    decoded->signature = keys_of("peer").identity.sign(statement).bytes;
    said = codec::encode(*decoded);
  }
  Bytes finish = header(kFinish);
  append(finish, third_keys_);
  append(finish, noise_.write_payload(said));
  auto output = node_.receive(finish, kNetNow);
  if (output.ok()) out_.emplace(crypto::AeadSuite::chacha20_poly1305, noise_.split().first);
  return output;
}

Bytes HandMadePeer::seal(std::uint8_t type, ByteView body) {
  FM_CHECK(out_.has_value(), "frames come after the introduction");
  const Bytes sealed = out_->seal(static_cast<net::FrameType>(type), body);
  if (type == static_cast<std::uint8_t>(net::FrameType::rekey)) out_->advance_key();
  return sealed;
}

}  // namespace fedmesh::fuzz
