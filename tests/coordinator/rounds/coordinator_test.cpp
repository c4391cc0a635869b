// The coordinator as a machine: who is heard, what is answered, and what becomes final.
#include "coordinator/coordinator.h"

#include "base/crypto/blob_hash.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/queries.h"
#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::coordinator {
namespace {

using rounds::small_spec;
using rounds::test_key;
using testing::HasSubstr;
using testing::IsEmpty;

class FixedRandom final : public SecureRandom {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
  }

 private:
  SeededRandom random_{std::uint64_t{5}};
};

class CoordinatorTest : public testing::Test {
 protected:
  static constexpr std::uint8_t kHub = 1, kOwner = 2, kWorker = 3;

  CoordinatorTest() {
    genesis_.network_name = "test";
    genesis_.created_ms = now_.ms;
    genesis_.committee = {test_key(kHub).public_key()};
    genesis_.participants = {
        {test_key(kHub).public_key(), ledger::kCoordinator | ledger::kAggregator, "hub"},
        {test_key(kOwner).public_key(), ledger::kSubmitter, "owner"},
        {test_key(kWorker).public_key(), ledger::kWorker, "worker"}};
    chain_ = ledger::chain_id(genesis_);
    auto created = Coordinator::create(genesis_, test_key(kHub), store_, random_);
    EXPECT_TRUE(created.ok());
    coordinator_ = std::move(*created);
  }

  static NodeId id_of(std::uint8_t number) { return test_key(number).node_id(); }
  Effects step(const Event& event) {
    now_ = now_ + Duration(10);
    return coordinator_->step(now_, event);
  }
  Effects tell(std::uint8_t peer, const protocol::Message& message) {
    return step(Received{id_of(peer), protocol::encode_message(message)});
  }
  Effects join(std::uint8_t peer, bool subscribe = false) {
    step(LinkUp{id_of(peer)});
    return tell(peer, protocol::Hello{chain_, "test", subscribe});
  }
  template <class Body>
  static std::vector<Body> sent(const Effects& effects) {
    std::vector<Body> out;
    for (const auto& effect : effects)
      if (const auto* send = std::get_if<Send>(&effect)) {
        const auto message = protocol::decode_message(send->message);
        EXPECT_TRUE(message.ok());
        if (const auto* body = std::get_if<Body>(&*message)) out.push_back(*body);
      }
    return out;
  }
  static std::string disconnected(const Effects& effects) {
    for (const auto& effect : effects)
      if (const auto* end = std::get_if<Disconnect>(&effect)) return end->reason;
    return "";
  }
  ledger::Record job_record(std::uint8_t author = kOwner) {
    const auto id = protocol::job_id(chain_, test_key(author).public_key(), 1, small_spec());
    return ledger::sign_record(test_key(author), ledger::RecordKind::job, chain_, id, 1,
                               codec::encode(protocol::Job{small_spec()}));
  }
  protocol::SubmitRecord submission(std::uint8_t author = kOwner) {
    return {ledger::encode_record(job_record(author))};
  }

  Instant now_{1'700'000'000'000};
  ledger::Genesis genesis_;
  ChainId chain_;
  ledger::MemoryStore store_;
  FixedRandom random_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, GarbageAndSilenceAboutOneselfEndTheLink) {
  step(LinkUp{id_of(kWorker)});
  EXPECT_NE(disconnected(step(Received{id_of(kWorker), Bytes{1, 2, 3}})), "");
  EXPECT_NE(disconnected(step(Received{id_of(kWorker), {}})), "");
  EXPECT_THAT(disconnected(tell(kWorker, protocol::StatusQuery{1})), HasSubstr("hello"));
  EXPECT_THAT(disconnected(tell(kWorker, protocol::Hello{ChainId{{9}}, "x", false})),
              HasSubstr("another network"));
}

TEST_F(CoordinatorTest, AMessageWithoutALinkIsIgnored) {
  EXPECT_THAT(tell(kWorker, protocol::Hello{chain_, "x", false}), IsEmpty());
}

TEST_F(CoordinatorTest, ANewcomerLearnsTheGenesis) {
  step(LinkUp{id_of(kWorker)});
  const auto welcome = sent<protocol::Welcome>(tell(kWorker, protocol::Hello{{}, "x", false}));
  ASSERT_EQ(welcome.size(), 1u);
  EXPECT_EQ(*ledger::decode_genesis(welcome[0].genesis), genesis_);
}

TEST_F(CoordinatorTest, MessagesOfACoordinatorAreNotTakenByOne) {
  join(kWorker);
  const protocol::Message wrong[] = {protocol::Welcome{}, protocol::RecordResult{},
                                     protocol::BlobMissing{}, protocol::OpeningStatus{},
                                     protocol::StatusAnswer{}};
  for (const auto& message : wrong) EXPECT_NE(disconnected(tell(kWorker, message)), "");
}

TEST_F(CoordinatorTest, ARecordBecomesFinalAndItsSenderHears) {
  join(kOwner);
  tell(kOwner, submission());
  const auto effects = step(Tick{});
  const auto results = sent<protocol::RecordResult>(effects);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].height, Height{1});
  EXPECT_EQ(coordinator_->chain().height(), Height{1});
  // Once more: it is final already, nothing new happens.
  const auto again = sent<protocol::RecordResult>(tell(kOwner, submission()));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].height, Height{1});
}

TEST_F(CoordinatorTest, ARefusedRecordIsAnsweredWithTheReason) {
  join(kWorker);
  tell(kWorker, submission(kWorker));
  const auto results = sent<protocol::RecordResult>(step(Tick{}));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_FALSE(results[0].height.has_value());
  EXPECT_THAT(results[0].reason, HasSubstr("may not submit jobs"));
  EXPECT_EQ(coordinator_->chain().height(), Height{0});
}

TEST_F(CoordinatorTest, ATamperedRecordIsRefusedAndGarbageEndsTheLink) {
  join(kOwner);
  auto record = job_record();
  record.signature.bytes[3] ^= 1;
  tell(kOwner, protocol::SubmitRecord{ledger::encode_record(record)});
  const auto results = sent<protocol::RecordResult>(step(Tick{}));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_FALSE(results[0].height.has_value());
  EXPECT_NE(disconnected(tell(kOwner, protocol::SubmitRecord{Bytes{1, 2}})), "");
}

TEST_F(CoordinatorTest, SubscribersGetWhatChangedAndLatecomersEverything) {
  join(kOwner);
  join(kWorker, true);
  tell(kOwner, submission());
  const auto updates = sent<protocol::StateUpdate>(step(Tick{}));
  ASSERT_EQ(updates.size(), 1u) << "one subscriber";
  std::vector<std::string> keys;
  for (const auto& entry : updates[0].entries) keys.push_back(entry.key);
  const JobId job = job_record().job;
  EXPECT_THAT(keys, testing::UnorderedElementsAre(protocol::spec_key(job), protocol::job_key(job)));
  step(LinkDown{id_of(kWorker)});
  const auto late = sent<protocol::StateUpdate>(join(kWorker, true));
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].entries.size(), 2u);
}

TEST_F(CoordinatorTest, ThePublisherSaysEveryChangeOnce) {
  Publisher publisher;
  EXPECT_THAT(publisher.changed(coordinator_->chain().state()), IsEmpty());
  join(kOwner);
  tell(kOwner, submission());
  step(Tick{});
  EXPECT_EQ(publisher.changed(coordinator_->chain().state()).size(), 2u);
  EXPECT_THAT(publisher.changed(coordinator_->chain().state()), IsEmpty());
  EXPECT_EQ(publisher.all(coordinator_->chain().state()).size(), 2u);
}

TEST_F(CoordinatorTest, QueriesPageThroughState) {
  join(kOwner);
  tell(kOwner, submission());
  step(Tick{});
  std::vector<std::string> keys;
  std::string after;
  for (int page = 0; page < 10; ++page) {
    const auto out =
        answer(coordinator_->chain(), protocol::StateQuery{7, protocol::kNodePrefix, after, 1});
    EXPECT_EQ(out.id, 7u);
    ASSERT_EQ(out.page.entries.size(), 1u);
    keys.push_back(after = out.page.entries[0].key);
    if (!out.more) break;
  }
  EXPECT_EQ(keys.size(), 3u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  const auto blocks = answer(coordinator_->chain(), protocol::BlockQuery{8, Height{1}});
  EXPECT_EQ(blocks.blocks.size(), 1u);
  for (const Height from : {Height{0}, Height{2}, Height{~std::uint64_t{0}}})
    EXPECT_THAT(answer(coordinator_->chain(), protocol::BlockQuery{8, from}).blocks, IsEmpty());
}

TEST_F(CoordinatorTest, StatusListsPeers) {
  join(kOwner);
  join(kWorker);
  const auto status = sent<protocol::StatusAnswer>(tell(kWorker, protocol::StatusQuery{3}));
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].peers.size(), 2u);
}

TEST_F(CoordinatorTest, OnlySubmittersStoreBlobsAndEverybodyReadsThem) {
  join(kOwner);
  join(kWorker);
  const Bytes blob(100, 7);
  const protocol::BlobPut put{crypto::blob_root(blob), blob.size(), 0, blob};
  EXPECT_THAT(sent<protocol::BlobPutStatus>(tell(kWorker, put)).at(0).error,
              HasSubstr("submitter"));
  EXPECT_EQ(sent<protocol::BlobMissing>(tell(kWorker, protocol::BlobRequest{put.root, 0})).size(),
            1u);
  EXPECT_TRUE(sent<protocol::BlobPutStatus>(tell(kOwner, put)).at(0).complete);
  EXPECT_EQ(
      sent<protocol::BlobFrame>(tell(kWorker, protocol::BlobRequest{put.root, 0})).at(0).bytes,
      blob);
  EXPECT_EQ(sent<protocol::BlobMissing>(tell(kWorker, protocol::BlobRequest{put.root, 101})).size(),
            1u);
}

TEST(BlobUploadsTest, ChecksOrderSizeAndRoot) {
  rounds::BlobCache cache;
  BlobUploads uploads(cache);
  const NodeId peer{{1}};
  Bytes blob(150'000);
  for (std::size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<std::uint8_t>(i * 7);
  const Digest root = crypto::blob_root(blob);
  const auto frame = [&](std::size_t at, std::size_t count) {
    return protocol::BlobPut{root, blob.size(), at, to_bytes(ByteView(blob).subspan(at, count))};
  };
  EXPECT_EQ(uploads.add(peer, frame(65'536, 65'536)).received, 0u) << "out of order";
  EXPECT_EQ(uploads.add(peer, frame(0, 65'536)).received, 65'536u);
  EXPECT_EQ(uploads.add(peer, frame(0, 65'536)).received, 65'536u) << "again";
  EXPECT_EQ(uploads.add(peer, frame(65'536, 70'000)).received, 65'536u) << "too long a frame";
  uploads.forget(peer);
  EXPECT_EQ(uploads.add(peer, frame(65'536, 65'536)).received, 0u) << "forgotten";
  uploads.add(peer, frame(0, 65'536));
  uploads.add(peer, frame(65'536, 65'536));
  EXPECT_TRUE(uploads.add(peer, frame(131'072, blob.size() - 131'072)).complete);
  ASSERT_NE(cache.get(root), nullptr);
  EXPECT_EQ(*cache.get(root), blob);
  const protocol::BlobPut lie{Digest{{1}}, 3, 0, {1, 2, 3}};
  EXPECT_NE(uploads.add(peer, lie).error, "");
  EXPECT_EQ(cache.get(lie.root), nullptr);
  auto huge = lie;
  huge.total = BlobUploads::kUploadBytesMax + 1;
  EXPECT_NE(uploads.add(peer, huge).error, "");
  huge.total = 0;
  EXPECT_NE(uploads.add(peer, huge).error, "");
  for (std::uint8_t i = 0; i < BlobUploads::kUploadsMax; ++i)
    EXPECT_EQ(
        uploads.add(NodeId{{static_cast<std::uint8_t>(10 + i)}}, {Digest{{2}}, 100, 0, {1}}).error,
        "");
  EXPECT_THAT(uploads.add(NodeId{{99}}, {Digest{{2}}, 100, 0, {1}}).error, HasSubstr("under way"));
}

}  // namespace
}  // namespace fedmesh::coordinator
