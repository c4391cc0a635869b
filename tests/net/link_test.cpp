#include "net/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net_fixture.h"

namespace fedmesh::net {
namespace {

using test::FakeRandom;
using test::key_of;
using test::pattern;
using ::testing::HasSubstr;

constexpr Instant kNow{1'000'000};

struct Side {
  explicit Side(const std::string& name) : random(name), keys(key_of(name), random) {}
  FakeRandom random;
  LocalKeys keys;
};

// Two links, each the other's peer, and what a socket would do between them.
class LinkTest : public ::testing::Test {
 protected:
  Link dialling() {
    Link link(LinkId{1}, Session::initiate(config_, alice_.keys, alice_.random), true, limits_,
              kNow);
    link.say_hello();
    return link;
  }
  Link accepting() {
    return Link(LinkId{2}, Session::respond(config_, bob_.keys, bob_.random), false, limits_, kNow);
  }
  static std::size_t carry(Link& from, Link& to, Instant now) {
    std::size_t messages = 0;
    while (!from.empty()) {
      const auto output = to.receive(*from.front(), now);
      EXPECT_TRUE(output.ok());
      if (!output.ok()) return messages;
      messages += output->messages.size();
      from.pop();
    }
    return messages;
  }
  static void connect(Link& a, Link& b) {
    while (!a.empty() || !b.empty()) {
      carry(a, b, kNow);
      carry(b, a, kNow);
    }
    EXPECT_TRUE(a.established() && b.established());
  }

  SessionConfig config_;
  LinkLimits limits_;
  Side alice_{"alice"};
  Side bob_{"bob"};
};

TEST_F(LinkTest, GivesAHandshakeItsTimeAndNoMore) {
  Link accepted = accepting();
  EXPECT_FALSE(accepted.tick(kNow + (limits_.handshake - Duration(1))).has_value());
  EXPECT_THAT(accepted.tick(kNow + limits_.handshake).value(), HasSubstr("no handshake"));

  Link dialled = dialling();
  EXPECT_FALSE(dialled.tick(kNow + limits_.handshake).has_value());
  EXPECT_THAT(dialled.tick(kNow + limits_.connect).value(), HasSubstr("no connection"));
  dialled.connected(kNow + Duration(10));
  EXPECT_EQ(dialled.next_deadline(), kNow + Duration(10) + limits_.handshake);
}

TEST_F(LinkTest, SendsHeartbeatsOnlyWhenIdleAndDiesInSilence) {
  Link alice = dialling();
  Link bob = accepting();
  connect(alice, bob);
  const Instant busy = kNow + (limits_.heartbeat - Duration(1));
  ASSERT_TRUE(alice.send(pattern(3), busy).ok());
  EXPECT_EQ(carry(alice, bob, busy), 1u);
  EXPECT_FALSE(alice.tick(kNow + limits_.heartbeat).has_value());
  EXPECT_TRUE(alice.empty());

  EXPECT_FALSE(alice.tick(busy + limits_.heartbeat).has_value());
  EXPECT_FALSE(alice.empty());
  carry(alice, bob, busy + limits_.heartbeat);
  carry(bob, alice, busy + limits_.heartbeat + Duration(4));
  EXPECT_EQ(alice.stats().round_trip, Duration(4));

  const Instant heard = busy + limits_.heartbeat + Duration(4);
  EXPECT_FALSE(alice.tick(heard + (limits_.dead - Duration(1))).has_value());
  EXPECT_THAT(alice.tick(heard + limits_.dead).value(), HasSubstr("nothing was heard"));
}

TEST_F(LinkTest, BoundsItsQueueAndTellsWhenThereIsRoom) {
  limits_.queue_bytes_max = 10'000;
  Link alice = dialling();
  Link bob = accepting();
  connect(alice, bob);
  std::size_t queued = 0;
  while (alice.send(pattern(1000), kNow).ok()) ++queued;
  EXPECT_EQ(queued, 9u);  // encryption adds a little to each
  EXPECT_EQ(alice.send(pattern(1000), kNow).error().code, ErrorCode::exhausted);
  EXPECT_FALSE(alice.became_writable());
  EXPECT_EQ(carry(alice, bob, kNow), 9u);
  EXPECT_TRUE(alice.became_writable());
  EXPECT_FALSE(alice.became_writable());
}

TEST_F(LinkTest, AnEmptyQueueTakesAMessageOfAnySize) {
  limits_.queue_bytes_max = 10;
  Link alice = dialling();
  Link bob = accepting();
  connect(alice, bob);
  EXPECT_TRUE(alice.send(pattern(5000), kNow).ok());
  EXPECT_EQ(alice.send(pattern(1), kNow).error().code, ErrorCode::exhausted);
}

TEST_F(LinkTest, CutsOffWhoFloods) {
  limits_.frames_per_second_max = 20;
  Link alice = dialling();
  Link bob = accepting();
  connect(alice, bob);
  bool cut_off = false;
  for (int i = 0; i < 30 && !cut_off; ++i) {
    ASSERT_TRUE(alice.send(pattern(1), kNow).ok());
    cut_off = !bob.receive(*alice.front(), kNow).ok();
    alice.pop();
  }
  EXPECT_TRUE(cut_off);
}

TEST_F(LinkTest, CountsWhatItCarries) {
  Link alice = dialling();
  Link bob = accepting();
  connect(alice, bob);
  const Traffic before = alice.stats().traffic;
  ASSERT_TRUE(alice.send(pattern(100), kNow).ok());
  EXPECT_EQ(alice.stats().queued_bytes, 118u);
  carry(alice, bob, kNow);
  EXPECT_EQ(alice.stats().traffic.bytes_up, before.bytes_up + 118);
  EXPECT_EQ(alice.stats().traffic.messages_up, 1u);
  EXPECT_EQ(bob.stats().traffic.messages_down, 1u);
  EXPECT_EQ(bob.stats().traffic.bytes_down, alice.stats().traffic.bytes_up);
}

}  // namespace
}  // namespace fedmesh::net
