// Whoever can reach the port can send anything; the federation goes on.
#include <gmock/gmock.h>

#include "tests/e2e/federation.h"
#include "tests/e2e/raw_zmtp.h"

namespace fedmesh::e2e {
namespace {

using ::testing::HasSubstr;

// More than the job itself takes, and far less than what is sent.
constexpr int kGrowthKbMax = 16 * 1024;

TEST(HostileClient, GarbageSlowAndHalfOpenConnectionsNeitherDisturbNorFillACoordinator) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"one", "two"}));
  const int resident_kb = net.coordinator().memory_kb("VmRSS");
  const std::string hello = zmtp_greeting();
  const std::string frame = zmtp_short(noise(7, 64));
  const std::string huge = zmtp_long_head(0x7f7f7f7f7f7f7f7f);
  const std::vector<std::string> garbage = {
      "",  // says nothing and stays
      "GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n",
      noise(1, 100'000),
      std::string(100'000, '\0'),
      hello.substr(0, 20),
      hello + noise(2, 1000),
      hello + zmtp_ready(),
      hello + zmtp_ready() + huge,
      hello + zmtp_ready() + frame + frame + frame,
      hello + zmtp_ready() + zmtp_short("") + zmtp_short(""),
  };
  std::vector<Socket> open;  // they stay until the job is over
  std::vector<Socket> slow(20);
  for (const auto& socket : slow) ASSERT_TRUE(socket.connect(port_of(net.endpoint())));
  std::size_t said = 0;
  const auto attack = [&] {
    for (const auto& socket : slow) socket.send_all((hello + zmtp_ready()).substr(said, 1));
    ++said;
    for (const auto& bytes : garbage) {
      Socket socket;
      ASSERT_TRUE(socket.connect(port_of(net.endpoint())));
      socket.send_all(bytes);  // the coordinator may have hung up already
      open.push_back(std::move(socket));
    }
  };
  attack();
  auto watching =
      net.begin({"job", "submit", net.write_job({}), "--watch", "--coordinator", net.endpoint()});
  for (int i = 0; i < 30; ++i) attack();
  EXPECT_EQ(watching->wait(), 0) << watching->output() << watching->errors();
  EXPECT_THAT(watching->output(), HasSubstr("finished: all rounds done"));
  EXPECT_TRUE(net.coordinator().running());
  const std::string events = net.path(".fedmesh/coordinator/events.jsonl");
  EXPECT_TRUE(
      eventually([&] { return read_text(events).find("peer.refused") != std::string::npos; }));
  EXPECT_EQ(net.online({"job", "list"}).code, 0);
  const int grown_kb = net.coordinator().memory_kb("VmHWM") - resident_kb;
  std::printf("the coordinator grew by %d KB under %zu connections\n", grown_kb, open.size());
  EXPECT_LT(grown_kb, kGrowthKbMax);
}

}  // namespace
}  // namespace fedmesh::e2e
