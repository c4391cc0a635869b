#include "net/bulk_plane.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <mutex>
#include <thread>

#include "base/crypto/aead.h"
#include "blob_fixture.h"
#include "net/blob_messages.h"

namespace fedmesh::net {
namespace {

using test::blob_of;
using test::key_of;
using test::network_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kLoopback = "127.0.0.1:0";

std::filesystem::path new_folder(const std::filesystem::path& under) {
  std::string pattern = (under / "fedmesh-bulk-XXXXXX").string();
  return ::mkdtemp(pattern.data());
}

// A node's store and plane, and what it was told.
class BulkNode {
 public:
  BulkNode(const std::string& name, std::filesystem::path folder,
           const std::function<void(BulkConfig&)>& change = {})
      : name_(name), folder_(std::move(folder)) {
    config_.zmq.session.network = network_of("bulk");
    config_.zmq.redial_min = Duration(20);
    config_.zmq.redial_max = Duration(100);
    if (change) change(config_);
    start();
  }
  ~BulkNode() {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    store = BlobStore::open(disk_, folder_).value();
    plane = BulkPlane::create(
        key_of(name_), *store, config_, clock_, random_,
        [this](const BulkEvent& event) {
          const std::lock_guard lock(mutex_);
          events_.push_back(event);
          changed_.notify_all();
        },
        [this](const NodeId&) { return admits.load(); });
  }
  void stop() {
    plane.reset();
    store.reset();
  }
  NodeId id() const { return key_of(name_).node_id(); }

  // Looks again at every event and every few milliseconds. The deadline is for a failing test only.
  ::testing::AssertionResult until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline)
        return ::testing::AssertionFailure() << name_ << ": did not come true";
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return ::testing::AssertionSuccess();
  }
  ::testing::AssertionResult until_arrived(const Digest& root) {
    return until([&] { return count<bulk::Arrived>([&](auto& e) { return e.root == root; }) > 0; });
  }
  ::testing::AssertionResult until_linked(const BulkNode& other) {
    return until([&] { return plane->peers().contains(other.id()); });
  }
  template <class Event>
  std::size_t count(const std::function<bool(const Event&)>& which) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(events_.begin(), events_.end(), [&](const BulkEvent& event) {
          const auto* one = std::get_if<Event>(&event);
          return one != nullptr && which(*one);
        }));
  }

  std::atomic<bool> admits{true};
  std::unique_ptr<BlobStore> store;
  std::unique_ptr<BulkPlane> plane;

 private:
  std::string name_;
  std::filesystem::path folder_;
  SystemDisk disk_;
  SystemClock clock_;
  SystemRandom random_;
  BulkConfig config_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<BulkEvent> events_;
};

std::filesystem::path somewhere() { return new_folder(std::filesystem::temp_directory_path()); }

TEST(BulkPlaneTest, FetchesABlobOverRealConnections) {
  BulkNode alice("alice", somewhere());
  BulkNode bob("bob", somewhere());
  const Bytes blob = blob_of(1, 20u << 20);
  const Digest root = alice.store->put(blob).value();
  const auto endpoint = alice.plane->listen(kLoopback);
  ASSERT_TRUE(endpoint.ok());
  ASSERT_TRUE(bob.plane->dial(*endpoint, alice.id()).ok());
  bob.plane->want(root, blob.size());
  ASSERT_TRUE(bob.until_arrived(root));
  EXPECT_EQ(*bob.store->read_all(root, blob.size()), blob);
  EXPECT_THAT(bob.plane->peers(), ElementsAre(alice.id()));

  // And the other way, over the same link, from a named holder.
  const Digest other = bob.store->put(blob_of(2, 1000)).value();
  alice.plane->want(other, 1000, {bob.id()});
  ASSERT_TRUE(alice.until_arrived(other));
  bob.plane->stop();
  EXPECT_TRUE(alice.until([&] { return alice.plane->peers().empty(); }));
  EXPECT_EQ(bob.plane->listen(kLoopback).error().code, ErrorCode::unavailable);
  bob.plane->want(other, 1000);
}

TEST(BulkPlaneTest, RefusesMisuse) {
  BulkNode alice("alice", somewhere());
  EXPECT_EQ(alice.plane->listen("nowhere").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(alice.plane->dial("nowhere").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(alice.plane->dial("127.0.0.1:9", alice.id()).error().code, ErrorCode::invalid_argument);
  alice.plane->disconnect(key_of("bob").node_id(), "nobody");
  alice.plane->forget("nowhere");
}

TEST(BulkPlaneTest, AReceiverThatRestartsGoesOnWhereItWas) {
  BulkNode alice("alice", somewhere());
  // One piece at a time, so that there is a middle to stop in.
  BulkNode bob("bob", somewhere(),
               [](BulkConfig& config) { config.exchange.window_bytes_max = 256u << 10; });
  const Bytes blob = blob_of(3, 20u << 20);
  const Digest root = alice.store->put(blob).value();
  const auto endpoint = alice.plane->listen(kLoopback);
  ASSERT_TRUE(bob.plane->dial(*endpoint).ok());
  bob.plane->want(root, blob.size());
  ASSERT_TRUE(bob.until([&] {
    const auto progress = bob.store->progress(root);
    return bob.store->holds(root) || (progress && progress->received > blob.size() / 4);
  }));
  bob.stop();
  bob.start();
  const auto progress = bob.store->progress(root);
  ASSERT_TRUE(progress.has_value()) << "it was too fast to be stopped";
  EXPECT_GE(progress->received, blob.size() / 4);
  ASSERT_TRUE(bob.plane->dial(*endpoint).ok());
  bob.plane->want(root, blob.size());
  ASSERT_TRUE(bob.until_arrived(root));
  EXPECT_EQ(*bob.store->read_all(root, blob.size()), blob);
}

TEST(BulkPlaneTest, SeveralHoldersOneOfWhomGoes) {
  BulkNode alice("alice", somewhere());
  BulkNode bob("bob", somewhere());
  BulkNode carol("carol", somewhere());
  const Bytes blob = blob_of(4, 20u << 20);
  const Digest root = alice.store->put(blob).value();
  ASSERT_TRUE(bob.store->put(blob).ok());
  for (BulkNode* holder : {&alice, &bob}) {
    const auto endpoint = holder->plane->listen(kLoopback);
    ASSERT_TRUE(carol.plane->dial(*endpoint).ok());
    ASSERT_TRUE(carol.until_linked(*holder));
  }
  carol.plane->want(root, blob.size());
  EXPECT_TRUE(carol.until(
      [&] { return carol.store->holds(root) || carol.store->progress(root).has_value(); }));
  alice.stop();
  ASSERT_TRUE(carol.until_arrived(root));
  EXPECT_TRUE(carol.until([&] {
    return carol.count<bulk::PeerDown>([&](auto& e) { return e.peer == alice.id(); }) == 1;
  }));
}

TEST(BulkPlaneTest, AdmissionIsAskedAgain) {
  BulkNode alice("alice", somewhere());
  BulkNode bob("bob", somewhere());
  alice.admits = false;
  const Digest root = alice.store->put(blob_of(5, 1000)).value();
  ASSERT_TRUE(bob.plane->dial(alice.plane->listen(kLoopback).value()).ok());
  ASSERT_TRUE(alice.until_linked(bob));
  bob.plane->want(root, 1000);
  EXPECT_FALSE(bob.store->holds(root));
  alice.admits = true;
  ASSERT_TRUE(bob.until_arrived(root));
}

// A peer that proved its key and then talks garbage, and a stranger that talks no ZMTP.
TEST(BulkPlaneTest, GarbageEndsTheLinkAndNothingElse) {
  BulkNode alice("alice", somewhere());
  BulkNode bob("bob", somewhere());
  const Bytes blob = blob_of(6, 2u << 20);
  const Digest root = alice.store->put(blob).value();
  const auto endpoint = alice.plane->listen(kLoopback).value();

  SystemClock clock;
  SystemRandom random;
  ZmqConfig config;
  config.session.network = network_of("bulk");
  ZmqTransport mallory(key_of("mallory"), config, clock, random);
  ASSERT_TRUE(mallory.dial(endpoint).ok());
  std::string reason;
  ASSERT_TRUE(alice.until([&] {
    for (const PeerEvent& event : mallory.poll(Duration(1))) {
      if (const auto* up = std::get_if<Connected>(&event))
        (void)mallory.send(up->peer.id, blob_of(9, 300'000));
      if (const auto* down = std::get_if<Disconnected>(&event)) reason = down->reason;
    }
    return !reason.empty();
  }));
  EXPECT_THAT(reason, HasSubstr("it sent"));

  const int stranger = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(stranger, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const Bytes noise = blob_of(10, 100'000);
  (void)::send(stranger, noise.data(), noise.size(), MSG_NOSIGNAL);

  ASSERT_TRUE(bob.plane->dial(endpoint).ok());
  bob.plane->want(root, blob.size());
  EXPECT_TRUE(bob.until_arrived(root));
  ::close(stranger);
}

// By hand: FEDMESH_BULK_FOLDER=/dev/shm net_test --gtest_also_run_disabled_tests
// --gtest_filter='*Throughput*'
TEST(BulkPlaneTest, DISABLED_Throughput) {
  // Processor time, so that the answer does not depend on who else uses the machine.
  const auto busy_seconds = [](const std::function<void()>& work) {
    const std::clock_t start = std::clock();
    work();
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  };
  const char* folder = std::getenv("FEDMESH_BULK_FOLDER");
  const std::filesystem::path under =
      folder != nullptr ? std::filesystem::path(folder) : std::filesystem::temp_directory_path();
  const std::size_t size = 256u << 20;
  const double gigabytes = static_cast<double>(size) / 1e9;
  const Bytes blob = blob_of(7, size);
  // The floor: what both ends must compute, whatever moves the bytes.
  const crypto::Secret<32> key;
  const auto suite = crypto::aes256_gcm_available() ? crypto::AeadSuite::aes256_gcm
                                                    : crypto::AeadSuite::chacha20_poly1305;
  const double floor = busy_seconds([&] {
    for (std::size_t at = 0; at < size; at += kPieceBytes) {
      const ByteView piece = ByteView(blob).subspan(at, kPieceBytes);
      const Bytes sealed = crypto::aead_encrypt(suite, key, at, {}, piece);
      EXPECT_TRUE(crypto::aead_decrypt(suite, key, at, {}, sealed).ok());
      for (std::uint64_t i = 0; i < kPieceLeaves; ++i)
        (void)crypto::blob_leaf(test::leaf_of(piece, i));
    }
  });
  std::cout << "crypto of both ends: " << floor / gigabytes << " processor seconds/GB\n";
  BulkNode alice("alice", new_folder(under));
  BulkNode bob("bob", new_folder(under));
  const Digest root = alice.store->put(blob).value();
  ASSERT_TRUE(bob.plane->dial(alice.plane->listen(kLoopback).value()).ok());
  ASSERT_TRUE(bob.until_linked(alice));
  for (int turn = 0; turn < 3; ++turn) {
    bob.store->remove(root);
    const auto start = std::chrono::steady_clock::now();
    const double busy = busy_seconds([&] {
      bob.plane->want(root, size);
      ASSERT_TRUE(bob.until([&] { return bob.store->holds(root); }));
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << "bulk plane: " << gigabytes * 8 / took.count() << " Gbit/s with "
              << busy / took.count() << " processors busy, " << busy / gigabytes
              << " processor seconds/GB; the crypto is " << 100 * floor / busy << " %\n";
  }
}

}  // namespace
}  // namespace fedmesh::net
