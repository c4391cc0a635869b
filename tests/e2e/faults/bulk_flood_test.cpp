// Whoever can reach the bulk port can send anything; models and updates go on moving through it.
#include <gmock/gmock.h>

#include <deque>

#include "base/crypto/keys.h"
#include "net/session.h"
#include "net/zmq_transport.h"
#include "tests/e2e/federation.h"
#include "tests/e2e/raw_zmtp.h"

namespace fedmesh::e2e {
namespace {

using ::testing::HasSubstr;

constexpr int kWaves = 400;
constexpr std::size_t kHandshakesOfAWave = 20;
// What 512 connections, 256 half-open handshakes and a job take, once.
constexpr int kGrowthKbMax = 16 * 1024;
// ... and what the second half of the waves may add to that.
constexpr int kLaterGrowthKbMax = 6 * 1024;

// Opens connections from an address of its own, so that the bound of one address holds for it
// alone.
class RawAttacker {
 public:
  explicit RawAttacker(const std::string& endpoint) : port_(port_of(endpoint)) {}

  void wave() {
    for (const auto& bytes : garbage_) open(bytes);
    for (std::size_t i = 0; i < kHandshakesOfAWave; ++i)
      open(session_ + zmtp_short(fm1_hello(++opened_)));
  }
  std::size_t opened() const { return opened_; }

 private:
  static constexpr int kHost = 3;
  static constexpr std::size_t kOpenMax = 800;  // more than one address may have

  void open(const std::string& bytes) {
    Socket socket;
    ASSERT_TRUE(socket.bind(0, kHost));
    ASSERT_TRUE(socket.connect(port_));
    socket.send_all(bytes);  // it may have been hung up on already
    open_.push_back(std::move(socket));
    if (open_.size() > kOpenMax) open_.pop_front();
    ++opened_;
  }
  static std::string endless() {
    std::string out;
    for (int i = 0; i < 20'000; ++i) out += zmtp_short("x", /*more=*/true);
    return out;
  }

  const int port_;
  const std::string session_ = zmtp_greeting() + zmtp_ready();
  const std::vector<std::string> garbage_ = {
      "",  // says nothing and stays
      "GET / HTTP/1.1\r\nHost: coordinator\r\n\r\n",
      noise(1, 100'000),
      zmtp_greeting().substr(0, 20),
      session_,
      session_ + zmtp_short(noise(2, 200)),
      session_ + zmtp_long_head(net::kWireBytesMax) + noise(3, 100'000),  // and never the rest
      session_ + zmtp_long_head(net::kWireBytesMax + 1) + noise(4, 100'000),
      session_ + zmtp_long_head(~std::uint64_t{0} >> 1),
      session_ + endless(),
  };
  std::deque<Socket> open_;
  std::size_t opened_ = 0;
};

// Proves a key that it made up and then talks no bulk protocol; comes back whenever it is thrown
// out.
class LinkedAttacker {
 public:
  explicit LinkedAttacker(const std::string& endpoint)
      : transport_(crypto::SigningKey::generate(random_), config(), clock_, random_) {
    EXPECT_TRUE(transport_.dial(endpoint).ok());
  }
  void speak() {
    for (const auto& event : transport_.poll(Duration(1))) {
      if (const auto* up = std::get_if<net::Connected>(&event)) say(up->peer.id);
      if (const auto* down = std::get_if<net::Disconnected>(&event)) reasons_.insert(down->reason);
    }
  }
  const std::set<std::string>& reasons() const { return reasons_; }

 private:
  static net::ZmqConfig config() {
    net::ZmqConfig out;
    out.redial_max = out.redial_min;
    return out;
  }
  void say(const NodeId& peer) {
    Bytes message = to_bytes(as_bytes(noise(5, 300'000)));
    message[0] = static_cast<std::uint8_t>(++links_ % 7);  // all five kinds, and two that are none
    for (int i = 0; i < 8; ++i) (void)transport_.send(peer, message);
  }

  SystemClock clock_;
  SystemRandom random_;
  net::ZmqTransport transport_;
  std::size_t links_ = 0;
  std::set<std::string> reasons_;
};

TEST(BulkFlood, BlobsGoOnMovingAndMemoryStaysFlat) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"one", "two"}));
  ASSERT_FALSE(net.submit({.name = "before"}).empty());
  ASSERT_EQ(net.online({"job", "watch", "before"}).code, 0);
  // With a key of its own: of two links of one key, the newer one stays.
  const std::string reader = net.path("reader.key");
  SystemRandom random;
  ASSERT_TRUE(crypto::load_or_create_key(reader, random).ok());
  const auto fetch = [&] {
    return net.begin({"job", "fetch", "before", "--out", net.path("model"), "--key", reader,
                      "--coordinator", net.endpoint()});
  };
  const int resident_kb = net.coordinator().memory_kb("VmHWM");
  const auto logged = [&] {
    return read_text(net.path(".fedmesh/coordinator/events.jsonl")).size();
  };
  const std::size_t logged_before = logged();

  RawAttacker raw(net.bulk_endpoint());
  LinkedAttacker linked(net.bulk_endpoint());
  raw.wave();
  auto watching = net.begin({"job", "submit", net.write_job({.name = "during"}), "--watch",
                             "--coordinator", net.endpoint()});
  auto fetching = fetch();
  int waves = 0, fetched = 0, half_way_kb = 0;
  const bool ended = eventually([&] {
    raw.wave();
    linked.speak();
    if (++waves == kWaves / 2) half_way_kb = net.coordinator().memory_kb("VmHWM");
    if (!fetching->running()) {
      EXPECT_EQ(fetching->wait(), 0) << fetching->output() << fetching->errors();
      ++fetched;
      fetching = fetch();
    }
    return waves >= kWaves && fetched >= 3 && !watching->running() && linked.reasons().size() >= 2;
  });
  EXPECT_TRUE(ended) << waves << " waves, " << fetched << " fetches, " << linked.reasons().size()
                     << " reasons";
  EXPECT_EQ(watching->wait(), 0) << watching->output() << watching->errors();
  EXPECT_THAT(watching->output(), HasSubstr("finished: all rounds done"));
  EXPECT_THAT(linked.reasons(), ::testing::Contains(HasSubstr("it sent")));

  const int peak_kb = net.coordinator().memory_kb("VmHWM");
  std::printf(
      "%zu connections to the bulk port: the coordinator grew by %d KB, %d KB of them in "
      "the second half; %d fetches went on\n",
      raw.opened(), peak_kb - resident_kb, peak_kb - half_way_kb, fetched);
  EXPECT_LT(peak_kb - resident_kb, kGrowthKbMax);
  EXPECT_LT(peak_kb - half_way_kb, kLaterGrowthKbMax);
  EXPECT_LT(logged() - logged_before, 200'000u) << "the flood goes on in the log";
  EXPECT_TRUE(net.coordinator().running());
}

}  // namespace
}  // namespace fedmesh::e2e
