#include "net/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/frames.h"
#include "net_fixture.h"

namespace fedmesh::net {
namespace {

using test::FakeRandom;
using test::key_of;
using test::network_of;
using test::pattern;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Instant kNow{1'000'000};

struct Node {
  explicit Node(const std::string& name) : random(name + " secrets"), keys(key_of(name), random) {}
  NodeId id() const { return keys.identity.node_id(); }

  FakeRandom random;
  LocalKeys keys;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    config_.network = network_of("test");
    config_.suites = kSuiteChaCha20;  // the same bytes on every machine
  }

  Session initiate(std::optional<NodeId> expected = {}) {
    return Session::initiate(config_, alice_.keys, alice_.random, expected);
  }
  Session respond() { return Session::respond(config_, bob_.keys, bob_.random); }

  // Carries messages until both sides are silent. False if one of them failed.
  static bool connect(Session& initiator, Session& responder) {
    std::vector<Bytes> to_responder{initiator.hello()};
    std::vector<Bytes> to_initiator;
    while (!to_responder.empty() || !to_initiator.empty()) {
      if (!deliver(to_responder, responder, to_initiator)) return false;
      if (!deliver(to_initiator, initiator, to_responder)) return false;
    }
    return initiator.established() && responder.established();
  }
  static bool deliver(std::vector<Bytes>& messages, Session& to, std::vector<Bytes>& answers) {
    for (const Bytes& message : std::exchange(messages, {})) {
      auto output = to.receive(message, kNow);
      if (!output.ok()) return false;
      for (Bytes& answer : output->send) answers.push_back(std::move(answer));
    }
    return true;
  }

  struct Connected {
    Session alice;
    Session bob;
  };
  Connected connected() {
    Connected out{initiate(), respond()};
    EXPECT_TRUE(connect(out.alice, out.bob));
    return out;
  }

  SessionConfig config_;
  Node alice_{"alice"};
  Node bob_{"bob"};
  Node mallory_{"mallory"};
};

Bytes seal_one(Session& session, ByteView message) {
  auto frames = session.seal(message, kNow);
  EXPECT_TRUE(frames.ok());
  EXPECT_THAT(*frames, SizeIs(1));
  return frames->front();
}

TEST_F(SessionTest, EstablishesAndKnowsWhoIsThere) {
  config_.capabilities = 5;
  config_.endpoint = "example.org:7000";
  auto [alice, bob] = connected();
  EXPECT_EQ(alice.peer().id, bob_.id());
  EXPECT_EQ(alice.peer().key, bob_.keys.identity.public_key());
  EXPECT_EQ(bob.peer().id, alice_.id());
  EXPECT_EQ(bob.peer().capabilities, 5u);
  EXPECT_EQ(bob.peer().endpoint, "example.org:7000");
}

TEST_F(SessionTest, CarriesMessagesBothWays) {
  auto [alice, bob] = connected();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(bob.receive(seal_one(alice, pattern(10)), kNow)->messages,
                ElementsAre(pattern(10)));
    EXPECT_THAT(alice.receive(seal_one(bob, pattern(99)), kNow)->messages,
                ElementsAre(pattern(99)));
  }
}

TEST_F(SessionTest, SplitsAndJoinsTheLargestMessage) {
  auto [alice, bob] = connected();
  const auto frames = alice.seal(pattern(kMessageBytesMax), kNow);
  ASSERT_TRUE(frames.ok());
  ASSERT_THAT(*frames, SizeIs((kMessageBytesMax + kFrameBytesMax - 1) / kFrameBytesMax));
  for (std::size_t i = 0; i < frames->size(); ++i) {
    EXPECT_LE((*frames)[i].size(), kWireBytesMax);
    const auto output = bob.receive((*frames)[i], kNow);
    ASSERT_TRUE(output.ok());
    EXPECT_EQ(output->messages.size(), i + 1 == frames->size() ? 1u : 0u);
    for (const Bytes& message : output->messages) EXPECT_EQ(message, pattern(kMessageBytesMax));
  }
  EXPECT_EQ(alice.seal(pattern(kMessageBytesMax + 1), kNow).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(alice.seal({}, kNow).error().code, ErrorCode::invalid_argument);
}

TEST_F(SessionTest, HonoursTheLimitOfTheOtherSide) {
  SessionConfig small = config_;
  small.message_bytes_max = 100;
  Session alice = initiate();
  Session bob = Session::respond(small, bob_.keys, bob_.random);
  ASSERT_TRUE(connect(alice, bob));
  EXPECT_TRUE(alice.seal(pattern(100), kNow).ok());
  EXPECT_THAT(alice.seal(pattern(101), kNow).error().detail, HasSubstr("at most 100"));
  EXPECT_TRUE(bob.seal(pattern(1000), kNow).ok());
}

TEST_F(SessionTest, NothingCanBeSealedBeforeTheOtherSideProvedItself) {
  Session alice = initiate();
  Session bob = respond();
  EXPECT_FALSE(alice.seal(pattern(1), kNow).ok());
  auto response = bob.receive(alice.hello(), kNow);
  auto finish = alice.receive(response->send[0], kNow);
  EXPECT_FALSE(finish->established);  // bob may still refuse
  EXPECT_FALSE(alice.established());
  EXPECT_FALSE(bob.seal(pattern(1), kNow).ok());
  auto ready = bob.receive(finish->send[0], kNow);
  EXPECT_TRUE(ready->established);
  ASSERT_THAT(ready->send, SizeIs(1));
  EXPECT_TRUE(alice.receive(ready->send[0], kNow)->established);
}

TEST_F(SessionTest, EveryChangedByteOfTheHandshakeIsNoticed) {
  for (int which = 0; which < 4; ++which) {
    std::size_t size = 1;
    for (std::size_t position = 0; position < size; ++position) {
      for (const std::uint8_t flip : {0x01, 0x80}) {
        Session alice = initiate();
        Session bob = respond();
        Session* reader[] = {&bob, &alice, &bob, &alice};
        Bytes message = alice.hello();
        bool failed = false;
        for (int i = 0; i < 4 && !failed; ++i) {
          if (i == which) {
            size = message.size();
            message[position] ^= flip;
          }
          auto output = reader[i]->receive(message, kNow);
          failed = !output.ok() || output->send.empty();
          if (!failed) message = output->send[0];
        }
        EXPECT_FALSE(alice.established()) << "message " << which << ", byte " << position;
        EXPECT_EQ(bob.established(), which == 3) << which << ", byte " << position;
      }
    }
  }
}

TEST_F(SessionTest, EveryTruncationAndExtensionOfTheHandshakeIsNoticed) {
  for (int which = 0; which < 3; ++which) {
    std::size_t size = 1;
    for (std::size_t kept = 0; kept <= size + 1; ++kept) {
      Session alice = initiate();
      Session bob = respond();
      Session* reader[] = {&bob, &alice, &bob};
      Bytes message = alice.hello();
      for (int i = 0; i < which; ++i) message = reader[i]->receive(message, kNow)->send[0];
      size = message.size();
      if (kept == size) continue;
      message.resize(kept);
      EXPECT_FALSE(reader[which]->receive(message, kNow).ok()) << which << ", " << kept;
      EXPECT_TRUE(reader[which]->over());
    }
  }
}

TEST_F(SessionTest, RefusesAnotherNetworkAndSaysSo) {
  SessionConfig elsewhere = config_;
  elsewhere.network = network_of("another");
  Session alice = Session::initiate(elsewhere, alice_.keys, alice_.random);
  Session bob = respond();
  const auto refused = bob.receive(alice.hello(), kNow);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().detail, HasSubstr("another network"));
  ASSERT_TRUE(bob.farewell().has_value());
  EXPECT_THAT(alice.receive(*bob.farewell(), kNow).error().detail, HasSubstr("another network"));
}

TEST_F(SessionTest, RefusesAnotherVersionAndSaysSo) {
  Session alice = initiate();
  Session bob = respond();
  Bytes hello = alice.hello();
  hello[4] = 9;
  EXPECT_THAT(bob.receive(hello, kNow).error().detail, HasSubstr("version 9"));
  ASSERT_TRUE(bob.farewell().has_value());
  EXPECT_THAT(alice.receive(*bob.farewell(), kNow).error().detail, HasSubstr("version"));
}

TEST_F(SessionTest, RefusesTheWrongNode) {
  Session alice = initiate(mallory_.id());
  Session bob = respond();
  auto response = bob.receive(alice.hello(), kNow);
  const auto finish = alice.receive(response->send[0], kNow);
  ASSERT_FALSE(finish.ok());
  EXPECT_EQ(finish.error().code, ErrorCode::unauthenticated);

  Session again = initiate(bob_.id());
  Session bob_again = respond();
  EXPECT_TRUE(connect(again, bob_again));
}

TEST_F(SessionTest, RefusesItself) {
  Session out = initiate();
  Session in = Session::respond(config_, alice_.keys, alice_.random);
  auto response = in.receive(out.hello(), kNow);
  EXPECT_FALSE(out.receive(response->send[0], kNow).ok());
  EXPECT_TRUE(out.met_itself());
}

// A node in the middle that speaks to each side under its own Diffie-Hellman key cannot pass on
// the other side's identity: the signature is over its own handshake's hash.
TEST_F(SessionTest, AManInTheMiddleCannotBorrowAnIdentity) {
  const Bytes prologue = [&] {
    Bytes out{'F', 'M', '1', 1};
    append(out, config_.network.view());
    return out;
  }();
  const auto noise = [&](NoiseXX::Role role) {
    return NoiseXX(role, prologue, mallory_.keys.static_secret,
                   crypto::X25519Secret::random(mallory_.random));
  };
  Session alice = initiate(bob_.id());
  Session bob = respond();
  NoiseXX to_alice = noise(NoiseXX::Role::responder);
  NoiseXX to_bob = noise(NoiseXX::Role::initiator);

  // Mallory takes bob's introduction out of the handshake with bob...
  const Bytes hello = alice.hello();
  const ByteView payload = ByteView(hello).last(2);
  Bytes own_hello(hello.begin(), hello.begin() + 37);
  append(own_hello, to_bob.write_keys().value());
  append(own_hello, to_bob.write_payload(payload));
  const Bytes response = bob.receive(own_hello, kNow)->send[0];
  const ByteView of_bob = ByteView(response).subspan(4);
  const std::size_t taken = to_bob.read_keys(of_bob).value();
  const Bytes introduction = to_bob.read_payload(of_bob.subspan(taken)).value();

  // ... and puts it into the one with alice.
  ASSERT_EQ(to_alice.read_keys(ByteView(hello).subspan(37)).value(), 32u);
  ASSERT_TRUE(to_alice.read_payload(payload).ok());
  Bytes forged{'F', 'M', '1', 2};
  append(forged, to_alice.write_keys().value());
  append(forged, to_alice.write_payload(introduction));
  const auto finish = alice.receive(forged, kNow);
  ASSERT_FALSE(finish.ok());
  EXPECT_THAT(finish.error().detail, HasSubstr("does not hold the identity key"));
}

TEST_F(SessionTest, AHandshakeOfAnotherDayIsWorthNothing) {
  Session alice = initiate();
  Session bob = respond();
  const Bytes hello = alice.hello();
  const Bytes response = bob.receive(hello, kNow)->send[0];
  const Bytes finish = alice.receive(response, kNow)->send[0];

  Session bob_again = respond();
  ASSERT_TRUE(bob_again.receive(hello, kNow).ok());
  EXPECT_FALSE(bob_again.receive(finish, kNow).ok());
}

struct Crime {
  const char* name;
  void (*commit)(std::vector<Bytes>& frames);
};

class SessionCrimeTest : public SessionTest, public ::testing::WithParamInterface<Crime> {};

TEST_P(SessionCrimeTest, KillsTheSession) {
  auto [alice, bob] = connected();
  std::vector<Bytes> frames;
  for (std::size_t i = 1; i <= 3; ++i) frames.push_back(seal_one(alice, pattern(i)));
  GetParam().commit(frames);
  bool failed = false;
  for (const Bytes& frame : frames) failed = failed || !bob.receive(frame, kNow).ok();
  EXPECT_TRUE(failed);
  EXPECT_FALSE(bob.established());
  EXPECT_FALSE(bob.receive(seal_one(alice, pattern(4)), kNow).ok());
  EXPECT_FALSE(bob.seal(pattern(1), kNow).ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, SessionCrimeTest,
    ::testing::Values(Crime{"Replay", [](std::vector<Bytes>& f) { f.insert(f.begin(), f[0]); }},
                      Crime{"Reorder", [](std::vector<Bytes>& f) { std::swap(f[0], f[1]); }},
                      Crime{"Loss", [](std::vector<Bytes>& f) { f.erase(f.begin()); }},
                      Crime{"Truncation", [](std::vector<Bytes>& f) { f[0].pop_back(); }},
                      Crime{"Extension", [](std::vector<Bytes>& f) { f[0].push_back(0); }},
                      Crime{"EmptyFrame", [](std::vector<Bytes>& f) { f[0].clear(); }},
                      Crime{"ChangedVersion", [](std::vector<Bytes>& f) { f[0][0] ^= 1; }},
                      Crime{"DataBecomesPart", [](std::vector<Bytes>& f) { f[0][1] = 2; }},
                      Crime{"DataBecomesClose", [](std::vector<Bytes>& f) { f[0][1] = 6; }},
                      Crime{"UnknownType", [](std::vector<Bytes>& f) { f[0][1] = 99; }},
                      Crime{"ChangedBody", [](std::vector<Bytes>& f) { f[0][2] ^= 0x40; }},
                      Crime{"ChangedTag", [](std::vector<Bytes>& f) { f[0].back() ^= 0x40; }},
                      Crime{"Oversized",
                            [](std::vector<Bytes>& f) { f[0].resize(kWireBytesMax + 1); }}),
    [](const auto& crime) { return std::string(crime.param.name); });

TEST_F(SessionTest, ARecordedFrameSentAgainEndsTheSessionAndDeliversNothingTwice) {
  constexpr std::size_t kFrames = 3;
  for (std::size_t again = 0; again < kFrames; ++again) {
    auto [alice, bob] = connected();
    std::vector<Bytes> recorded;
    std::vector<Bytes> delivered;
    for (std::size_t i = 0; i < kFrames; ++i) {
      recorded.push_back(seal_one(alice, pattern(10 + i)));
      auto output = bob.receive(recorded.back(), kNow);
      ASSERT_TRUE(output.ok());
      for (Bytes& message : output->messages) delivered.push_back(std::move(message));
    }
    const auto replayed = bob.receive(recorded[again], kNow);
    ASSERT_FALSE(replayed.ok()) << "frame " << again;
    EXPECT_EQ(replayed.error().code, ErrorCode::unauthenticated);
    EXPECT_TRUE(bob.over());
    EXPECT_THAT(delivered, ElementsAre(pattern(10), pattern(11), pattern(12)));
  }
}

// Not even as the first frame, where its counter would be the right one.
TEST_F(SessionTest, AFrameOfAnEarlierSessionIsRefusedInALaterOne) {
  auto [alice, bob] = connected();
  const Bytes recorded = seal_one(alice, pattern(10));
  ASSERT_TRUE(bob.receive(recorded, kNow).ok());
  auto [alice_again, bob_again] = connected();
  const auto replayed = bob_again.receive(recorded, kNow);
  ASSERT_FALSE(replayed.ok());
  EXPECT_EQ(replayed.error().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(bob_again.over());
}

TEST_F(SessionTest, AFrameSentBackToItsAuthorFails) {
  auto [alice, bob] = connected();
  EXPECT_FALSE(alice.receive(seal_one(alice, pattern(8)), kNow).ok());
}

TEST_F(SessionTest, PingsMeasureTheRoundTrip) {
  auto [alice, bob] = connected();
  const Bytes ping = alice.ping(kNow).value();
  const auto pong = bob.receive(ping, kNow + Duration(3));
  ASSERT_THAT(pong->send, SizeIs(1));
  EXPECT_THAT(pong->messages, IsEmpty());
  const auto measured = alice.receive(pong->send[0], kNow + Duration(7));
  EXPECT_EQ(measured->round_trip, Duration(7));
}

TEST_F(SessionTest, CloseCarriesAReasonForPeople) {
  auto [alice, bob] = connected();
  const Bytes last = alice.close("maintenance\x01\n").value();
  EXPECT_TRUE(alice.over());
  EXPECT_FALSE(alice.close("twice").ok());
  EXPECT_EQ(bob.receive(last, kNow)->closed, "maintenance??");
  EXPECT_TRUE(bob.over());
}

TEST_F(SessionTest, TheKeyMovesOnAfterEnoughBytes) {
  config_.rekey_bytes = 1000;
  auto [alice, bob] = connected();
  int rekeys = 0;
  for (int i = 0; i < 50; ++i) {
    const auto frames = alice.seal(pattern(100), kNow);
    rekeys += static_cast<int>(frames->size()) - 1;
    std::vector<Bytes> got;
    for (const Bytes& frame : *frames) {
      const auto output = bob.receive(frame, kNow);
      ASSERT_TRUE(output.ok());
      for (const Bytes& message : output->messages) got.push_back(message);
    }
    EXPECT_THAT(got, ElementsAre(pattern(100)));
  }
  EXPECT_EQ(rekeys, 5);
}

TEST_F(SessionTest, TheKeyMovesOnAfterEnoughTimeAndTheFrameCannotBeLost) {
  auto [alice, bob] = connected();
  const Instant later = kNow + config_.rekey_after;
  const auto frames = alice.seal(pattern(1), later);
  ASSERT_THAT(*frames, SizeIs(2));
  EXPECT_THAT(*alice.seal(pattern(1), later), SizeIs(1));
  EXPECT_FALSE(bob.receive((*frames)[1], later).ok());
}

struct Suites {
  std::uint8_t initiator;
  std::uint8_t responder;
  crypto::AeadSuite agreed;
};

class SessionSuiteTest : public SessionTest, public ::testing::WithParamInterface<Suites> {};

TEST_P(SessionSuiteTest, AgreesOnTheFastestCommonOne) {
  const Suites& suites = GetParam();
  if (((suites.initiator | suites.responder) & ~suites_of_this_machine()) != 0)
    GTEST_SKIP() << "this processor has no AES-256-GCM";
  SessionConfig other = config_;
  config_.suites = suites.initiator;
  other.suites = suites.responder;
  Session alice = initiate();
  Session bob = Session::respond(other, bob_.keys, bob_.random);
  ASSERT_TRUE(connect(alice, bob));
  EXPECT_EQ(alice.suite(), suites.agreed);
  EXPECT_EQ(bob.suite(), suites.agreed);
  EXPECT_THAT(bob.receive(seal_one(alice, pattern(500)), kNow)->messages,
              ElementsAre(pattern(500)));
  EXPECT_THAT(alice.receive(seal_one(bob, pattern(500)), kNow)->messages,
              ElementsAre(pattern(500)));
}

constexpr std::uint8_t kBoth = kSuiteChaCha20 | kSuiteAes256;
INSTANTIATE_TEST_SUITE_P(
    All, SessionSuiteTest,
    ::testing::Values(Suites{kBoth, kBoth, crypto::AeadSuite::aes256_gcm},
                      Suites{kBoth, kSuiteChaCha20, crypto::AeadSuite::chacha20_poly1305},
                      Suites{kSuiteChaCha20, kBoth, crypto::AeadSuite::chacha20_poly1305},
                      Suites{kSuiteChaCha20, kSuiteChaCha20,
                             crypto::AeadSuite::chacha20_poly1305}));

TEST_F(SessionTest, ACookieIsAskedForAndEchoed) {
  FakeRandom random("gate");
  const CookieGate gate(random, kNow);
  const auto guarded = [&](const char* address) {
    return Session::respond_guarded(config_, bob_.keys, bob_.random, gate, address);
  };
  Session alice = initiate();
  Session first = guarded("10.0.0.1");
  const auto challenge = first.receive(alice.hello(), kNow);
  ASSERT_THAT(challenge->send, SizeIs(1));
  EXPECT_TRUE(first.asked_for_cookie());
  EXPECT_TRUE(first.over());
  const Bytes hello = alice.receive(challenge->send[0], kNow)->send[0];
  EXPECT_LE(hello.size(), 256u);

  Session elsewhere = guarded("10.0.0.2");
  ASSERT_TRUE(elsewhere.receive(hello, kNow).ok());
  EXPECT_TRUE(elsewhere.asked_for_cookie());

  Session second = guarded("10.0.0.1");
  const auto response = second.receive(hello, kNow);
  EXPECT_FALSE(second.asked_for_cookie());
  const auto finish = alice.receive(response->send[0], kNow);
  EXPECT_TRUE(second.receive(finish->send[0], kNow)->established);
}

TEST_F(SessionTest, AChangedCookieIsWorthNothing) {
  FakeRandom random("gate");
  const CookieGate gate(random, kNow);
  Session alice = initiate();
  Session bob = Session::respond_guarded(config_, bob_.keys, bob_.random, gate, "10.0.0.1");
  const Bytes challenge = bob.receive(alice.hello(), kNow)->send[0];
  Bytes hello = alice.receive(challenge, kNow)->send[0];
  hello.back() ^= 1;
  Session again = Session::respond_guarded(config_, bob_.keys, bob_.random, gate, "10.0.0.1");
  ASSERT_TRUE(again.receive(hello, kNow).ok());
  EXPECT_TRUE(again.asked_for_cookie());
  EXPECT_FALSE(alice.receive(challenge, kNow).ok());  // nobody is asked twice
}

TEST(CookieTest, LivesBetweenOneAndTwoLifetimes) {
  FakeRandom random("gate");
  CookieGate gate(random, kNow);
  const auto key = crypto::x25519_public(crypto::X25519Secret::random(random));
  const Cookie cookie = gate.mint("10.0.0.1", key);
  EXPECT_TRUE(gate.accepts("10.0.0.1", key, cookie));
  EXPECT_FALSE(gate.accepts("10.0.0.1", {}, cookie));
  EXPECT_FALSE(gate.accepts("10.0.0.1", key, {}));
  gate.rotate(random, kNow + (CookieGate::kLifetime - Duration(1)));
  EXPECT_EQ(gate.mint("10.0.0.1", key), cookie);
  gate.rotate(random, kNow + CookieGate::kLifetime);
  EXPECT_TRUE(gate.accepts("10.0.0.1", key, cookie));
  gate.rotate(random, kNow + 2 * CookieGate::kLifetime);
  EXPECT_FALSE(gate.accepts("10.0.0.1", key, cookie));
}

// Changes on purpose come with a new protocol version.
TEST_F(SessionTest, TheBytesOnTheWireStayTheSame) {
  config_.endpoint = "127.0.0.1:7000";
  Session alice = initiate();
  Session bob = respond();
  std::vector<Bytes> wire{alice.hello()};
  wire.push_back(bob.receive(wire[0], kNow)->send[0]);
  wire.push_back(alice.receive(wire[1], kNow)->send[0]);
  wire.push_back(bob.receive(wire[2], kNow)->send[0]);
  wire.push_back(alice.receive(wire[3], kNow)->send[0]);
  wire.push_back(seal_one(alice, pattern(77)));
  wire.push_back(bob.close("bye").value());
  std::vector<std::size_t> sizes;
  crypto::Blake2b all("golden");
  for (const Bytes& bytes : wire) {
    sizes.push_back(bytes.size());
    all.add_sized(bytes);
  }
  EXPECT_THAT(sizes, ElementsAre(71, 223, 191, 26, 26, 95, 21));
  EXPECT_EQ(all.finish().hex(), "500a1f56ac141f9a7116b3d73797f183bd8fd43fe52e510c02d9daf7e19466f7");
}

}  // namespace
}  // namespace fedmesh::net
