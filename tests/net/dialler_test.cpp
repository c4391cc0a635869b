#include "net/dialler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net_fixture.h"

namespace fedmesh::net {
namespace {

using test::key_of;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr Duration kMin{200};
constexpr Duration kMax{15'000};

class DiallerTest : public ::testing::Test {
 protected:
  std::vector<Dialler::Attempt> due(Instant now) {
    return dialler_.due(now, [this](const NodeId& node) { return node == connected_; });
  }

  test::FakeRandom random_{"dialler"};
  Dialler dialler_{kMin, kMax, random_};
  NodeId bob_ = key_of("bob").node_id();
  NodeId connected_;
};

TEST_F(DiallerTest, BacksOffExponentiallyWithJitterForEver) {
  Instant now{1000};
  dialler_.add("bob:1", bob_, now);
  Duration full = kMin;
  for (int attempt = 0; attempt < 40; ++attempt) {
    ASSERT_THAT(due(now), SizeIs(1));
    EXPECT_THAT(due(now), IsEmpty());  // in progress
    const Duration wait = dialler_.ended("bob:1", false, now).value();
    EXPECT_THAT(wait, AllOf(Ge(full / 2), Le(full))) << "attempt " << attempt;
    EXPECT_THAT(due(now + (wait - Duration(1))), IsEmpty());
    now = now + wait;
    EXPECT_EQ(dialler_.next_deadline(), now);
    full = std::min(2 * full, kMax);
  }
}

TEST_F(DiallerTest, ALinkThatLastedStartsTheBackOffAnew) {
  dialler_.add("bob:1", bob_, Instant{});
  for (int attempt = 0; attempt < 9; ++attempt) dialler_.ended("bob:1", false, Instant{});
  EXPECT_THAT(dialler_.ended("bob:1", true, Instant{}).value(), Le(kMin));
}

TEST_F(DiallerTest, SetsAsideWhoIsConnectedAlready) {
  dialler_.add("bob:1", bob_, Instant{});
  connected_ = bob_;
  EXPECT_THAT(due(Instant{}), IsEmpty());
  EXPECT_FALSE(dialler_.next_deadline().has_value());
  connected_ = {};
  dialler_.peer_gone(bob_, Instant{});
  EXPECT_THAT(due(Instant{} + kMin), SizeIs(1));
}

TEST_F(DiallerTest, LearnsWhoLivesAtAnEndpoint) {
  dialler_.add("bob:1", std::nullopt, Instant{});
  EXPECT_THAT(due(Instant{}), SizeIs(1));
  dialler_.established("bob:1", bob_);
  dialler_.ended("bob:1", false, Instant{});
  connected_ = bob_;
  EXPECT_THAT(due(Instant{} + kMax), IsEmpty());
}

TEST_F(DiallerTest, ForgetsAndGivesUp) {
  dialler_.add("bob:1", bob_, Instant{});
  EXPECT_FALSE(dialler_.add("bob:1", bob_, Instant{}));
  dialler_.give_up("bob:1");
  EXPECT_THAT(due(Instant{} + kMax), IsEmpty());
  EXPECT_TRUE(dialler_.keeps("bob:1"));
  dialler_.remove("bob:1");
  EXPECT_FALSE(dialler_.keeps("bob:1"));
  EXPECT_FALSE(dialler_.ended("bob:1", false, Instant{}).has_value());
}

}  // namespace
}  // namespace fedmesh::net
