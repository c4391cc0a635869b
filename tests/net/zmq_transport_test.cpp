#include "net/zmq_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <thread>
#include <zmq.hpp>

#include "net_fixture.h"

namespace fedmesh::net {
namespace {

using test::key_of;
using test::network_of;
using test::pattern;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

const std::string kLoopback = "127.0.0.1:0";

std::string name_of(const NodeId& node) { return node.short_hex() + "..."; }

struct Describe {
  std::string operator()(const Connected& event) const {
    std::string out = "connected to " + name_of(event.peer.id);
    out += event.dialled ? " (dialled" : " (accepted";
    if (!event.peer.endpoint.empty()) out += ", listens on " + event.peer.endpoint;
    return out + ")";
  }
  std::string operator()(const Disconnected& event) const {
    return "disconnected from " + name_of(event.peer) + ": " + event.reason;
  }
  std::string operator()(const Received& event) const {
    return std::to_string(event.message.size()) + " bytes from " + name_of(event.peer);
  }
  std::string operator()(const Writable& event) const {
    return name_of(event.peer) + " can be written to again";
  }
  std::string operator()(const DialFailed& event) const {
    const std::string next = event.retry_in
                                 ? "next try in " + std::to_string(event.retry_in->count()) + " ms"
                                 : "given up";
    return "dialling " + event.endpoint + " failed: " + event.reason + "; " + next;
  }
  std::string operator()(const Refused& event) const {
    return "refused " + event.address + ": " + event.reason;
  }
};

// A node of its own and everything that it was told.
struct Node {
  explicit Node(const std::string& name, ZmqConfig its_config = {})
      : name_of(name), config(std::move(its_config)) {
    config.session.network = network_of("test");
    config.redial_min = std::min(config.redial_min, Duration(20));
    config.redial_max = std::min(config.redial_max, Duration(100));
    start();
  }
  void start() {
    transport = std::make_unique<ZmqTransport>(key_of(name_of), config, clock, random);
  }
  NodeId id() const { return transport->self(); }
  std::string listen(const std::string& endpoint = kLoopback) {
    const auto status = transport->listen(endpoint);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().to_string());
    return transport->bound_endpoint().value_or("");
  }
  void poll(Duration timeout) {
    for (PeerEvent& event : transport->poll(timeout)) events.push_back(std::move(event));
  }
  template <class Event>
  std::vector<Event> all() const {
    std::vector<Event> out;
    for (const PeerEvent& event : events)
      if (const auto* found = std::get_if<Event>(&event)) out.push_back(*found);
    return out;
  }

  std::string name_of;
  ZmqConfig config;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<ZmqTransport> transport;
  std::vector<PeerEvent> events;
};

// Runs the nodes' loops until the condition holds. The deadline is for a failing test only.
::testing::AssertionResult until(const std::vector<Node*>& nodes,
                                 const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      auto failure = ::testing::AssertionFailure() << "did not come true; events:\n";
      for (const Node* node : nodes)
        for (const PeerEvent& event : node->events)
          failure << node->name_of << ": " << std::visit(Describe{}, event) << "\n";
      return failure;
    }
    for (Node* node : nodes) node->poll(Duration(nodes.size() == 1 ? 20 : 1));
  }
  return ::testing::AssertionSuccess();
}

bool linked(const Node& a, const Node& b) {
  return a.transport->connected(b.id()) && b.transport->connected(a.id());
}

// A plain TCP client: whatever is not FM1.
struct RawClient {
  explicit RawClient(const std::string& endpoint) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawClient() { ::close(fd); }
  // After whatever was sent to us.
  bool closed() const {
    std::array<char, 256> ignored{};
    ssize_t size = 0;
    do size = ::recv(fd, ignored.data(), ignored.size(), MSG_DONTWAIT);
    while (size > 0);
    return size == 0 || errno == ECONNRESET;
  }
  bool send(ByteView bytes) const {
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // As a ZMTP 3.0 DEALER with the mechanism NULL begins.
  void open_zmtp() const {
    Bytes greeting(64);
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    std::ranges::copy(as_bytes("NULL"), greeting.begin() + 12);
    const std::string_view ready(
        "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
        "DEALER",
        30);
    EXPECT_TRUE(send(greeting) && send(as_bytes(ready)));
    // Messages are welcome only after the other side's greeting and READY (a short command).
    std::array<std::uint8_t, 64 + 2> theirs{};
    EXPECT_EQ(::recv(fd, theirs.data(), theirs.size(), MSG_WAITALL), 66);
    std::array<std::uint8_t, 256> rest{};
    EXPECT_EQ(::recv(fd, rest.data(), theirs[65], MSG_WAITALL), theirs[65]);
  }
  int fd;
};

// A ZeroMQ client that speaks no FM1, or that a test teaches some.
struct RawZmq {
  explicit RawZmq(const std::string& endpoint) : socket(context, ZMQ_DEALER) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::reconnect_ivl, -1);
    socket.connect("tcp://" + endpoint);
  }
  void send(ByteView bytes, bool more = false) {
    (void)socket.send(zmq::const_buffer(bytes.data(), bytes.size()),
                      more ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
  std::optional<Bytes> receive() {
    zmq::message_t message;
    if (!socket.recv(message, zmq::recv_flags::dontwait)) return std::nullopt;
    return Bytes(message.data<std::uint8_t>(), message.data<std::uint8_t>() + message.size());
  }
  zmq::context_t context{1};
  zmq::socket_t socket;
};

TEST(ZmqTransportTest, ConnectsAndExchangesMessages) {
  Node alice("alice");
  Node bob("bob");
  const std::string endpoint = bob.listen();
  ASSERT_TRUE(alice.transport->dial(endpoint, bob.id()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  EXPECT_THAT(alice.all<Connected>(), Contains(Field(&Connected::dialled, true)));
  EXPECT_EQ(bob.all<Connected>().at(0).peer.key, key_of("alice").public_key());

  ASSERT_TRUE(alice.transport->send(bob.id(), pattern(5)).ok());
  ASSERT_TRUE(bob.transport->send(alice.id(), pattern(7)).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] {
    return !alice.all<Received>().empty() && !bob.all<Received>().empty();
  }));
  EXPECT_EQ(bob.all<Received>()[0].message, pattern(5));
  EXPECT_EQ(bob.all<Received>()[0].peer, alice.id());
  EXPECT_EQ(alice.all<Received>()[0].message, pattern(7));

  const PeerStats stats = alice.transport->stats_of(bob.id()).value();
  EXPECT_EQ(stats.traffic.messages_up, 1u);
  EXPECT_EQ(stats.traffic.messages_down, 1u);
  EXPECT_EQ(alice.transport->stats().total.bytes_up, stats.traffic.bytes_up);
  EXPECT_EQ(bob.transport->stats().half_open, 0u);
  EXPECT_EQ(bob.transport->stats().peers.size(), 1u);
}

TEST(ZmqTransportTest, RefusesMisuse) {
  Node alice("alice");
  const std::string endpoint = alice.listen();
  for (const char* wrong : {"", "nowhere", ":80", "host:", "host:99999", "a b:1", "ho;st:1", "[:1"})
    EXPECT_EQ(alice.transport->dial(wrong).error().code, ErrorCode::invalid_argument) << wrong;
  EXPECT_EQ(alice.transport->dial(endpoint).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(alice.transport->dial("127.0.0.1:9", alice.id()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(alice.transport->listen(kLoopback).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(alice.transport->send(key_of("bob").node_id(), pattern(1)).error().code,
            ErrorCode::unavailable);
  Node bob("bob");
  EXPECT_EQ(bob.transport->listen(endpoint).error().code, ErrorCode::unavailable);
}

TEST(ZmqTransportTest, KeepsDiallingBeforeAnybodyListensAndAfterARestart) {
  Node alice("alice");
  Node bob("bob");
  const std::string endpoint = bob.listen();
  bob.transport.reset();
  ASSERT_TRUE(alice.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&alice}, [&] { return alice.all<DialFailed>().size() >= 2; }));
  EXPECT_TRUE(alice.all<DialFailed>()[0].retry_in.has_value());

  for (std::size_t life = 1; life <= 3; ++life) {
    bob.start();
    bob.listen(endpoint);
    ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); })) << "life " << life;
    ASSERT_TRUE(alice.transport->send(bob.id(), pattern(life)).ok());
    ASSERT_TRUE(until({&alice, &bob}, [&] { return bob.all<Received>().size() == life; }));
    bob.transport.reset();
    ASSERT_TRUE(until({&alice}, [&] { return alice.all<Disconnected>().size() == life; }));
  }
}

TEST(ZmqTransportTest, NoticesThatADiallerIsGone) {
  Node alice("alice");
  Node bob("bob");
  ASSERT_TRUE(alice.transport->dial(bob.listen()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  const NodeId id = alice.id();
  alice.transport.reset();
  ASSERT_TRUE(until({&bob}, [&] { return !bob.all<Disconnected>().empty(); }));
  EXPECT_EQ(bob.all<Disconnected>()[0].peer, id);
  EXPECT_FALSE(bob.transport->connected(id));
}

TEST(ZmqTransportTest, CarriesTheLargestMessagesBothWaysInOrder) {
  Node alice("alice");
  Node bob("bob");
  ASSERT_TRUE(alice.transport->dial(bob.listen()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  for (std::size_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(alice.transport->send(bob.id(), pattern(kMessageBytesMax - i)).ok());
    ASSERT_TRUE(bob.transport->send(alice.id(), pattern(kMessageBytesMax - i)).ok());
  }
  EXPECT_EQ(alice.transport->send(bob.id(), Bytes(kMessageBytesMax + 1)).error().code,
            ErrorCode::invalid_argument);
  ASSERT_TRUE(until({&alice, &bob}, [&] {
    return alice.all<Received>().size() == 8 && bob.all<Received>().size() == 8;
  }));
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(alice.all<Received>()[i].message == pattern(kMessageBytesMax - i));
    EXPECT_TRUE(bob.all<Received>()[i].message == pattern(kMessageBytesMax - i));
  }
}

// Whoever does not poll does not read; the other direction (ROUTER to DEALER) has its own queueing.
class ZmqSlowPeerTest : public ::testing::TestWithParam<bool> {};

TEST_P(ZmqSlowPeerTest, ASlowPeerExhaustsItsQueueAndIsWritableAgain) {
  ZmqConfig config;
  config.link.queue_bytes_max = 2u << 20;
  Node alice("alice", config);
  Node bob("bob", config);
  ASSERT_TRUE(alice.transport->dial(bob.listen()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  Node& fast = GetParam() ? alice : bob;
  Node& slow = GetParam() ? bob : alice;
  std::size_t sent = 0;
  const Bytes message = pattern(200'000);
  ASSERT_TRUE(until({&fast}, [&] {
    for (;;) {
      const auto status = fast.transport->send(slow.id(), message);
      if (!status.ok()) return status.error().code == ErrorCode::exhausted;
      ++sent;
    }
  }));
  EXPECT_LE(fast.transport->stats_of(slow.id())->queued_bytes, 2u << 20);
  const std::size_t told = fast.all<Writable>().size();
  ASSERT_TRUE(until({&fast, &slow}, [&] {
    return fast.all<Writable>().size() > told && slow.all<Received>().size() == sent;
  }));
  EXPECT_TRUE(fast.transport->send(slow.id(), message).ok());
}

INSTANTIATE_TEST_SUITE_P(All, ZmqSlowPeerTest, ::testing::Bool(), [](const auto& direction) {
  return std::string(direction.param ? "DiallerSends" : "ListenerSends");
});

TEST(ZmqTransportTest, DisconnectTellsWhyAndADiallerComesBack) {
  Node alice("alice");
  Node bob("bob");
  const std::string endpoint = bob.listen();
  ASSERT_TRUE(alice.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  bob.transport->disconnect(alice.id(), "enough");
  EXPECT_FALSE(bob.transport->connected(alice.id()));
  ASSERT_TRUE(until({&alice, &bob}, [&] { return !alice.all<Disconnected>().empty(); }));
  EXPECT_THAT(alice.all<Disconnected>()[0].reason, HasSubstr("enough"));
  EXPECT_EQ(bob.all<Disconnected>().at(0).reason, "enough");
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));

  alice.transport->forget(endpoint);
  alice.transport->disconnect(bob.id(), "forgotten");
  ASSERT_TRUE(until({&alice, &bob}, [&] { return bob.all<Disconnected>().size() == 2; }));
  EXPECT_THAT(bob.all<Disconnected>()[1].reason, HasSubstr("forgotten"));
}

TEST(ZmqTransportTest, TheNewestOfTwoProcessesWithOneKeyWins) {
  Node bob("bob");
  const std::string endpoint = bob.listen();
  Node first("alice");
  Node second("alice");
  ASSERT_TRUE(first.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&first, &bob}, [&] { return linked(first, bob); }));
  ASSERT_TRUE(second.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&first, &second, &bob}, [&] { return !first.all<Disconnected>().empty(); }));
  EXPECT_THAT(first.all<Disconnected>()[0].reason, HasSubstr("newer link"));
  EXPECT_THAT(bob.all<Disconnected>().at(0).reason, HasSubstr("newer link"));
  EXPECT_GE(bob.all<Connected>().size(), 2u);
  EXPECT_EQ(bob.transport->stats().peers.size(), 1u);
}

TEST(ZmqTransportTest, TwoThatDialEachOtherKeepOneLink) {
  Node alice("alice");
  Node bob("bob");
  const std::string to_alice = alice.listen();
  const std::string to_bob = bob.listen();
  ASSERT_TRUE(alice.transport->dial(to_bob).ok());
  ASSERT_TRUE(bob.transport->dial(to_alice).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] {
    return linked(alice, bob) && alice.transport->stats_of(bob.id())->dialled !=
                                     bob.transport->stats_of(alice.id())->dialled;
  }));
  ASSERT_TRUE(alice.transport->send(bob.id(), pattern(9)).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return !bob.all<Received>().empty(); }));
}

TEST(ZmqTransportTest, RefusesAnotherNetworkAndTheWrongNode) {
  Node bob("bob");
  const std::string endpoint = bob.listen();
  Node alice("alice");
  alice.config.session.network = network_of("another");
  alice.start();
  ASSERT_TRUE(alice.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return !alice.all<DialFailed>().empty(); }));
  EXPECT_THAT(alice.all<DialFailed>()[0].reason, HasSubstr("another network"));
  EXPECT_THAT(bob.all<Refused>().at(0).reason, HasSubstr("another network"));
  EXPECT_EQ(bob.all<Refused>().at(0).address, "127.0.0.1");
  EXPECT_GE(bob.transport->stats().refused, 1u);

  Node carol("carol");
  ASSERT_TRUE(carol.transport->dial(endpoint, key_of("dave").node_id()).ok());
  ASSERT_TRUE(until({&carol, &bob}, [&] { return !carol.all<DialFailed>().empty(); }));
  EXPECT_THAT(carol.all<DialFailed>()[0].reason, HasSubstr("was expected"));
  EXPECT_TRUE(carol.all<Connected>().empty());
}

TEST(ZmqTransportTest, GivesUpOnItself) {
  Node alice("alice");
  const std::string endpoint = alice.listen();
  ASSERT_TRUE(alice.transport->dial("localhost" + endpoint.substr(endpoint.rfind(':'))).ok());
  ASSERT_TRUE(until({&alice}, [&] { return !alice.all<DialFailed>().empty(); }));
  EXPECT_THAT(alice.all<DialFailed>()[0].reason, HasSubstr("itself"));
  EXPECT_FALSE(alice.all<DialFailed>()[0].retry_in.has_value());
}

TEST(ZmqTransportTest, SilentAndGarbageConnectionsAreDroppedAndOthersStay) {
  ZmqConfig config;
  config.link.handshake = Duration(300);
  Node bob("bob", config);
  Node alice("alice", config);
  const std::string endpoint = bob.listen();
  ASSERT_TRUE(alice.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));

  RawClient silent(endpoint);
  RawClient chatty(endpoint);
  ASSERT_TRUE(chatty.send(as_bytes("GET / HTTP/1.1\r\n\r\n")));
  RawZmq garbage(endpoint);
  garbage.send(pattern(100));
  RawZmq multipart(endpoint);
  multipart.send(pattern(10), true);
  multipart.send(pattern(10));
  RawZmq mute(endpoint);
  ASSERT_TRUE(until({&alice, &bob}, [&] {
    return silent.closed() && chatty.closed() && bob.transport->stats().half_open == 0 &&
           bob.transport->stats().refused >= 4;
  }));
  EXPECT_THAT(bob.all<Refused>(), Contains(Field(&Refused::reason, HasSubstr("not FM1"))));
  EXPECT_TRUE(linked(alice, bob));
  EXPECT_TRUE(alice.all<Disconnected>().empty());
}

TEST(ZmqTransportTest, AnOversizedFrameEndsTheConnectionAtItsHeader) {
  Node bob("bob");
  RawClient client(bob.listen());
  client.open_zmtp();
  Bytes header(9);
  header[0] = 0x02;  // long, last
  header[6] = (kWireBytesMax + 1) >> 16;
  header[7] = ((kWireBytesMax + 1) >> 8) & 0xff;
  header[8] = (kWireBytesMax + 1) & 0xff;
  ASSERT_TRUE(client.send(header));
  ASSERT_TRUE(until({&bob}, [&] { return client.closed(); }));
  EXPECT_TRUE(bob.all<Connected>().empty());
  EXPECT_TRUE(bob.all<Refused>().empty());  // libzmq saw to it, long before our deadline
}

// libzmq keeps the parts of an unfinished message without any limit.
TEST(ZmqTransportTest, AMessageWithoutEndIsCutOff) {
  ZmqConfig config;
  config.link.handshake = Duration(20'000);
  Node bob("bob", config);
  RawClient client(bob.listen());
  client.open_zmtp();
  Bytes parts;
  for (int i = 0; i < 20'000; ++i) append(parts, Bytes{0x01, 1, 'x'});  // short, more follows
  ASSERT_TRUE(client.send(parts));
  ASSERT_TRUE(until({&bob}, [&] { return client.closed(); }));
  EXPECT_THAT(bob.all<Refused>().at(0).reason, HasSubstr("never end"));
}

TEST(ZmqTransportTest, UnderLoadStrangersEchoACookieAndGetIn) {
  ZmqConfig config;
  config.half_open_before_cookies = 0;
  Node bob("bob", config);
  Node alice("alice");
  ASSERT_TRUE(alice.transport->dial(bob.listen()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
  EXPECT_TRUE(alice.all<DialFailed>().empty());
  EXPECT_EQ(bob.transport->stats().half_open, 0u);
}

TEST(ZmqTransportTest, TooManyHandshakesAreTurnedAwayPolitely) {
  ZmqConfig config;
  config.half_open_max = 0;
  Node bob("bob", config);
  Node alice("alice");
  ASSERT_TRUE(alice.transport->dial(bob.listen()).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] { return !alice.all<DialFailed>().empty(); }));
  EXPECT_THAT(alice.all<DialFailed>()[0].reason, HasSubstr("no room"));
}

TEST(ZmqTransportTest, ConnectionsAreCounted) {
  ZmqConfig config;
  config.accepted_max = 2;
  Node bob("bob", config);
  const std::string endpoint = bob.listen();
  RawClient first(endpoint);
  RawClient second(endpoint);
  RawClient third(endpoint);
  ASSERT_TRUE(until({&bob}, [&] { return third.closed(); }));
  EXPECT_THAT(bob.all<Refused>(), Contains(Field(&Refused::reason, "too many connections")));
}

TEST(ZmqTransportTest, HeartbeatsKeepAnIdleLinkAndItsSilenceEndsIt) {
  ZmqConfig config;
  config.link.heartbeat = Duration(20);
  config.link.dead = Duration(400);
  Node alice("alice", config);
  Node bob("bob", config);
  const std::string endpoint = bob.listen();
  ASSERT_TRUE(alice.transport->dial(endpoint).ok());
  ASSERT_TRUE(until({&alice, &bob}, [&] {
    return linked(alice, bob) && alice.transport->stats_of(bob.id())->round_trip &&
           alice.clock.now() - alice.transport->stats_of(bob.id())->since > 2 * config.link.dead;
  }));
  // Bob's process stands still: the connection lives, nothing comes.
  alice.events.clear();
  ASSERT_TRUE(until({&alice}, [&] { return !alice.all<Disconnected>().empty(); }));
  EXPECT_THAT(alice.all<Disconnected>()[0].reason, HasSubstr("nothing was heard"));
  ASSERT_TRUE(until({&alice, &bob}, [&] { return linked(alice, bob); }));
}

TEST(ZmqTransportTest, WakeInterruptsPollFromAnotherThread) {
  Node alice("alice");
  std::thread other([&] { alice.transport->wake(); });
  EXPECT_TRUE(alice.transport->poll(std::chrono::hours(1)).empty());
  other.join();
}

TEST(ZmqTransportTest, ManyPeersOfOneListener) {
  Node bob("bob");
  const std::string endpoint = bob.listen();
  std::vector<std::unique_ptr<Node>> others;
  std::vector<Node*> everybody{&bob};
  for (int i = 0; i < 20; ++i) {
    others.push_back(std::make_unique<Node>("other " + std::to_string(i)));
    ASSERT_TRUE(others.back()->transport->dial(endpoint).ok());
    everybody.push_back(others.back().get());
  }
  ASSERT_TRUE(until(everybody, [&] {
    for (const auto& other : others)
      if (!linked(*other, bob)) return false;
    return true;
  }));
  for (const auto& other : others)
    ASSERT_TRUE(bob.transport->send(other->id(), to_bytes(other->id().view())).ok());
  ASSERT_TRUE(until(everybody, [&] {
    for (const auto& other : others)
      if (other->all<Received>().empty()) return false;
    return true;
  }));
  for (const auto& other : others)
    EXPECT_EQ(other->all<Received>()[0].message, to_bytes(other->id().view()));
}

}  // namespace
}  // namespace fedmesh::net
