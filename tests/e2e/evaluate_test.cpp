// `fedmesh evaluate`: a fetched model on one's own data, without any network.
#include <gmock/gmock.h>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Evaluate, AModelIsScoredOnEveryTableAndOnAllOfThem) {
  Federation net;
  const std::string job = net.write_job({});
  const std::string one = net.write_table("one.csv", 1);
  const std::string two = net.write_table("two.csv", 2);
  const Ran demo =
      net.fedmesh({"demo", "--home", net.path("demo"), "--job", job, "--data", one, "--data", two});
  ASSERT_EQ(demo.code, 0) << demo.out << demo.err;
  const std::string model = net.path("demo/model.safetensors");

  const Ran good = net.fedmesh({"evaluate", model, "--job", job, "--data", one, "--data", two});
  ASSERT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, AllOf(ContainsRegex("DATA +ROWS +LOSS +ACCURACY"),
                              ContainsRegex("one\\.csv +[0-9]+ +0\\.[0-9]+ +[5-9][0-9]\\."),
                              ContainsRegex("pooled +[0-9]+ +0\\.[0-9]+ +[5-9][0-9]\\.")));

  const Ran other =
      net.fedmesh({"evaluate", model, "--job", job, "--data", "digits:rows=10,seed=1"});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("digits:rows=10,seed=1"));
  const Ran no_model = net.fedmesh({"evaluate", one, "--job", job, "--data", one});
  EXPECT_EQ(no_model.code, 1);
  EXPECT_THAT(no_model.err, HasSubstr("safetensors"));
  const Ran absent = net.fedmesh({"evaluate", net.path("absent"), "--job", job, "--data", one});
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, HasSubstr("absent"));
}

}  // namespace
}  // namespace fedmesh::e2e
