// Somebody whom no operator has admitted sends all the records that the links take, signed by keys
// that nobody knows or in the name of a worker.
#include <gmock/gmock.h>

#include "base/crypto/keys.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/protocol/messages.h"
#include "net/zmq_transport.h"
#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ledger::RecordKind;
using ::testing::HasSubstr;

// What the links of one peer may hold (net/PROTOCOL.md), and what a job takes besides.
constexpr int kGrowthKbMax = 32 * 1024;
constexpr std::size_t kRecords = 20'000;
constexpr std::size_t kRecordsOfOneKey = 5'000;

// A peer with a key that it made up.
class Stranger {
 public:
  Stranger(const std::string& endpoint, const crypto::PublicKey& victim)
      : key_(crypto::SigningKey::generate(random_)),
        victim_(victim),
        transport_(key_.clone(), net::ZmqConfig(), clock_, random_) {
    EXPECT_TRUE(transport_.dial(endpoint).ok());
  }
  // Sends what there is room for; how many records that were.
  std::size_t flood() {
    for (const auto& event : transport_.poll(Duration(1))) take(event);
    std::size_t sent = 0;
    while (chain_ && transport_.send(*peer_, next_record()).ok()) ++sent;
    sent_ += sent;
    return sent;
  }
  std::size_t sent() const { return sent_; }
  NodeId id() const { return key_.node_id(); }
  const std::set<std::string>& refusals() const { return refusals_; }
  std::size_t accepted() const { return accepted_; }

 private:
  void take(const net::PeerEvent& event) {
    if (const auto* up = std::get_if<net::Connected>(&event)) {
      peer_ = up->peer.id;
      const protocol::Hello hello{ChainId{}, "stranger", false, std::nullopt};
      EXPECT_TRUE(transport_.send(*peer_, protocol::encode_message(hello)).ok());
    }
    const auto* received = std::get_if<net::Received>(&event);
    if (received == nullptr) return;
    const auto message = protocol::decode_message(received->message);
    ASSERT_TRUE(message.ok());
    if (const auto* welcome = std::get_if<protocol::Welcome>(&*message))
      chain_ = ledger::chain_id(*ledger::decode_genesis(welcome->genesis));
    if (const auto* result = std::get_if<protocol::RecordResult>(&*message)) {
      if (result->height) ++accepted_;
      refusals_.insert(result->reason.substr(0, result->reason.find(':')));
    }
  }
  // Its own admission, enrolments, and records in the name of a worker; some as large as can be.
  Bytes next_record() {
    const std::uint64_t number = ++seq_;
    const bool large = number % 20 == 0;
    const protocol::Admit admit{key_.public_key(), ledger::kWorker, "stranger"};
    auto record = ledger::sign_record(key_, number % 2 == 0 ? RecordKind::enrol : RecordKind::admit,
                                      *chain_, number % 2 == 0 ? JobId{{9}} : JobId{}, number,
                                      large ? Bytes(200'000, 7) : codec::encode(admit));
    if (number % 3 == 0) record.author = victim_;  // the signature is no longer its author's
    return protocol::encode_message(protocol::SubmitRecord{ledger::encode_record(record)});
  }

  SystemClock clock_;
  SystemRandom random_;
  crypto::SigningKey key_;
  crypto::PublicKey victim_;
  net::ZmqTransport transport_;
  std::optional<NodeId> peer_;
  std::optional<ChainId> chain_;
  std::uint64_t seq_ = 0;
  std::size_t sent_ = 0;
  std::size_t accepted_ = 0;
  std::set<std::string> refusals_;
};

class Flood : public ::testing::Test {
 protected:
  // Authors of all records.
  std::set<NodeId> authors() {
    EXPECT_EQ(net_.online({"ledger", "export", net_.path("all.export")}).code, 0);
    std::set<NodeId> out;
    const auto ledger = ledger::read_export(std::filesystem::path(net_.path("all.export")));
    EXPECT_TRUE(ledger.ok());
    for (const auto& block : ledger->blocks)
      for (const auto& record : block.block.records) out.insert(record.author_id());
    return out;
  }
  std::size_t log_bytes() {
    return read_text(net_.path(".fedmesh/coordinator/events.jsonl")).size();
  }

  Federation net_;
};

TEST_F(Flood, RecordsOfUnknownKeysReachNoBlockAndTakeNoMemory) {
  ASSERT_NO_FATAL_FAILURE(net_.start({"one", "two"}));
  ASSERT_FALSE(net_.submit({.name = "before"}).empty());
  ASSERT_EQ(net_.online({"job", "watch", "before"}).code, 0);
  const std::set<NodeId> known = authors();
  const auto victim = crypto::load_key(net_.path("one/node.key"));
  ASSERT_TRUE(victim.ok());
  const int resident_kb = net_.coordinator().memory_kb("VmHWM");
  const std::size_t logged = log_bytes();

  auto watching = net_.begin({"job", "submit", net_.write_job({.name = "during"}), "--watch",
                              "--coordinator", net_.endpoint()});
  std::size_t sent = 0;
  std::set<std::string> refusals;
  const bool ended = eventually([&] {
    Stranger stranger(net_.endpoint(), victim->public_key());
    const bool flooded = eventually([&] {
      stranger.flood();
      return stranger.sent() >= kRecordsOfOneKey && stranger.refusals().size() >= 1;
    });
    EXPECT_TRUE(flooded) << "only " << stranger.sent() << " were taken";
    EXPECT_EQ(stranger.accepted(), 0u);
    sent += stranger.sent();
    refusals.insert(stranger.refusals().begin(), stranger.refusals().end());
    return sent >= kRecords && !watching->running();
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(watching->wait(), 0) << watching->output() << watching->errors();
  EXPECT_THAT(watching->output(), HasSubstr("finished: all rounds done"));
  EXPECT_THAT(refusals, ::testing::Contains("unauthenticated"));

  const int grown_kb = net_.coordinator().memory_kb("VmHWM") - resident_kb;
  std::printf("%zu records of strangers: the coordinator grew by %d KB\n", sent, grown_kb);
  EXPECT_LT(grown_kb, kGrowthKbMax);
  EXPECT_EQ(authors(), known) << "a stranger's record is in a block";
  EXPECT_LT(log_bytes() - logged, 200'000u) << "the flood goes on in the log";
  EXPECT_TRUE(net_.coordinator().running());
}

}  // namespace
}  // namespace fedmesh::e2e
