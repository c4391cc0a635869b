// The coordinator as a machine: who is heard, what is answered, and what becomes final.
#include "coordinator/coordinator.h"

#include "base/crypto/blob_hash.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/queries.h"
#include "tests/base/power_loss_disk.h"
#include "tests/coordinator/rounds/machine_fixture.h"
#include "tests/coordinator/rounds/sealed_fixture.h"

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
  static constexpr std::uint8_t kHub = 1, kOwner = 2, kWorker = 3, kOther = 4;

  CoordinatorTest() {
    genesis_.network_name = "test";
    genesis_.created_ms = now_.ms;
    genesis_.committee = {test_key(kHub).public_key()};
    genesis_.participants = {
        {test_key(kHub).public_key(), ledger::kCoordinator | ledger::kAggregator, "hub"},
        {test_key(kOwner).public_key(), ledger::kSubmitter, "owner"},
        {test_key(kWorker).public_key(), ledger::kWorker, "worker"},
        {test_key(kOther).public_key(), ledger::kWorker, "other"}};
    chain_ = ledger::chain_id(genesis_);
    boot();
  }
  void boot() {
    blobs_ = std::move(*net::BlobStore::open(disk_, "/blobs"));
    items_.emplace(std::move(*PrivateFolder::open(disk_, "/items")));
    coordinator_ = make(store_);
  }
  std::unique_ptr<Coordinator> make(ledger::Store& store) {
    auto created =
        Coordinator::create(genesis_, test_key(kHub), {store, *blobs_, *items_, random_});
    EXPECT_TRUE(created.ok());
    return std::move(*created);
  }
  // The machine loses power and starts again; links are gone.
  void crash() {
    coordinator_.reset();
    blobs_.reset();
    disk_.crash();
    boot();
  }

  static NodeId id_of(std::uint8_t number) { return test_key(number).node_id(); }
  Effects step(Event event) {
    now_ = now_ + Duration(10);
    return coordinator_->step(now_, std::move(event));
  }
  Effects tell(std::uint8_t peer, const protocol::Message& message) {
    return step(Received{id_of(peer), protocol::encode_message(message)});
  }
  Effects join(std::uint8_t peer, bool subscribe = false) {
    step(LinkUp{id_of(peer)});
    return tell(peer, protocol::Hello{chain_, "test", subscribe, std::nullopt});
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
  template <class Kind>
  static std::vector<Kind> of_kind(const Effects& effects) {
    std::vector<Kind> out;
    for (const auto& effect : effects)
      if (const auto* one = std::get_if<Kind>(&effect)) out.push_back(*one);
    return out;
  }
  static std::string halted(const Effects& effects) {
    const auto halts = of_kind<Halt>(effects);
    return halts.empty() ? "" : halts[0].reason.to_string();
  }
  ledger::Record job_record(std::uint8_t author = kOwner, std::uint64_t author_seq = 1) {
    const auto id =
        protocol::job_id(chain_, test_key(author).public_key(), author_seq, small_spec());
    return ledger::sign_record(test_key(author), ledger::RecordKind::job, chain_, id, author_seq,
                               codec::encode(protocol::Job{small_spec()}));
  }
  protocol::SubmitRecord submission(std::uint8_t author = kOwner, std::uint64_t author_seq = 1) {
    return {ledger::encode_record(job_record(author, author_seq))};
  }

  Instant now_{1'700'000'000'000};
  ledger::Genesis genesis_;
  ChainId chain_;
  ledger::MemoryStore store_;
  PowerLossDisk disk_;
  std::unique_ptr<net::BlobStore> blobs_;
  std::optional<PrivateFolder> items_;
  FixedRandom random_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, GarbageAndSilenceAboutOneselfEndTheLink) {
  step(LinkUp{id_of(kWorker)});
  EXPECT_NE(disconnected(step(Received{id_of(kWorker), Bytes{1, 2, 3}})), "");
  EXPECT_NE(disconnected(step(Received{id_of(kWorker), {}})), "");
  EXPECT_THAT(disconnected(tell(kWorker, protocol::StatusQuery{1})), HasSubstr("hello"));
  EXPECT_THAT(disconnected(tell(kWorker, protocol::Hello{ChainId{{9}}, "x", false, std::nullopt})),
              HasSubstr("another network"));
}

// Blocks stand in it, and its flush fails.
class FullDisk final : public ledger::Store {
 public:
  explicit FullDisk(ledger::Store& store) : store_(store) {}
  Result<void> add(const ledger::CertifiedBlock& block) override { return store_.add(block); }
  Result<void> flush() override { return exhausted("disk full"); }
  Result<ledger::CertifiedBlock> get(Height height) const override { return store_.get(height); }
  Height head() const override { return store_.head(); }

 private:
  ledger::Store& store_;
};

TEST_F(CoordinatorTest, WhatIsNotDurableNobodyIsToldOf) {
  FullDisk disk(store_);
  coordinator_ = make(disk);
  join(kOwner, true);
  tell(kOwner, submission());
  const Effects effects = step(Tick{});
  EXPECT_EQ(store_.head(), Height{1});
  EXPECT_THAT(halted(effects), HasSubstr("disk full"));
  EXPECT_EQ(effects.size(), 1u);
}

TEST_F(CoordinatorTest, WhoAsksForTooMuchStateAtOnceIsCutOff) {
  join(kWorker);
  const auto ask = [&] {
    return disconnected(coordinator_->step(
        now_, Received{id_of(kWorker), protocol::encode_message(protocol::StateQuery{
                                           1, protocol::kNodePrefix, "", 256})}));
  };
  int asked = 0;
  while (ask().empty() && asked < 10'000) ++asked;
  EXPECT_LE(asked, 5000);
  EXPECT_THAT(ask(), HasSubstr("too much state"));
  now_ = now_ + Duration(2000);
  EXPECT_EQ(ask(), "");
}

// The key of a round that is not open any more goes, but not before the block is durable of which
// that may be the consequence.
TEST_F(CoordinatorTest, NothingIsErasedBeforeTheBlocksAreDurable) {
  const std::string name = rounds::round_key_item(JobId{{7}}, {});
  for (const bool full : {true, false}) {
    ASSERT_TRUE(items_->write(name, Bytes(32, 1)).ok());
    FullDisk disk(store_);
    coordinator_ = full ? make(disk) : make(store_);
    join(kOwner);
    tell(kOwner, {protocol::SubmitRecord{ledger::encode_record(job_record())}});
    EXPECT_EQ(halted(step(Tick{})).empty(), !full);
    EXPECT_EQ(items_->load()->contains(name), full);
    store_ = ledger::MemoryStore();
  }
}

TEST_F(CoordinatorTest, AMessageWithoutALinkIsIgnored) {
  EXPECT_THAT(tell(kWorker, protocol::Hello{chain_, "x", false, std::nullopt}), IsEmpty());
}

TEST_F(CoordinatorTest, ANewcomerLearnsTheGenesis) {
  step(LinkUp{id_of(kWorker)});
  const auto welcome =
      sent<protocol::Welcome>(tell(kWorker, protocol::Hello{{}, "x", false, std::nullopt}));
  ASSERT_EQ(welcome.size(), 1u);
  EXPECT_EQ(*ledger::decode_genesis(welcome[0].genesis), genesis_);
}

TEST_F(CoordinatorTest, MessagesOfACoordinatorAreNotTakenByOne) {
  join(kWorker);
  const protocol::Message wrong[] = {protocol::Welcome{}, protocol::RecordResult{},
                                     protocol::BlobOfferAnswer{}, protocol::StatusAnswer{}};
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

// Commits of a cohort come within milliseconds; a block of each would be flushed and sent to all.
TEST_F(CoordinatorTest, RecordsOfOthersAreGatheredForABlock) {
  coordinator_->set_gathering(Duration(25));
  join(kOwner);
  const Height before = coordinator_->chain().height();
  tell(kOwner, submission());
  const auto due = coordinator_->next_wake();
  ASSERT_TRUE(due);
  EXPECT_EQ(*due, now_ + Duration(25));
  EXPECT_THAT(sent<protocol::RecordResult>(step(Tick{})), IsEmpty());
  EXPECT_THAT(sent<protocol::RecordResult>(step(Tick{})), IsEmpty());
  EXPECT_EQ(coordinator_->chain().height(), before);
  EXPECT_EQ(sent<protocol::RecordResult>(step(Tick{})).size(), 1u);
  EXPECT_EQ(coordinator_->chain().height().value, before.value + 1);
}

TEST_F(CoordinatorTest, WhatCameBeforeADeadlineEntersABlockBeforeIt) {
  join(kOwner);
  join(kWorker);
  tell(kOwner, submission());
  step(Tick{});
  const auto deadline = coordinator_->chain().next_deadline();  // of the enrolment
  ASSERT_TRUE(deadline);
  coordinator_->set_gathering(std::chrono::hours(100));
  tell(kWorker, submission(kWorker));
  EXPECT_EQ(coordinator_->next_wake(), *deadline + Duration(-1));
}

TEST_F(CoordinatorTest, AClockThatIsSetBackDoesNotKeepRecordsWaiting) {
  coordinator_->set_gathering(Duration(25));
  join(kOwner);
  tell(kOwner, submission());
  now_ = now_ + -std::chrono::hours(1);
  std::size_t answers = 0;
  for (int i = 0; i < 4; ++i) answers += sent<protocol::RecordResult>(step(Tick{})).size();
  EXPECT_EQ(answers, 1u);
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
  EXPECT_EQ(keys.size(), 4u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  const auto blocks = answer(coordinator_->chain(), protocol::BlockQuery{8, Height{1}});
  EXPECT_EQ(blocks.blocks.size(), 1u);
  for (const Height from : {Height{0}, Height{2}, Height{~std::uint64_t{0}}})
    EXPECT_THAT(answer(coordinator_->chain(), protocol::BlockQuery{8, from}).blocks, IsEmpty());
}

TEST_F(CoordinatorTest, BlocksAreGrantedUpToABurstAndThenAtARate) {
  join(kOwner);
  join(kWorker);
  for (std::uint64_t i = 1; i <= 16; ++i) {
    tell(kOwner, submission(kOwner, i));
    step(Tick{});
  }
  ASSERT_EQ(coordinator_->chain().height(), Height{16});
  const auto query = protocol::encode_message(protocol::BlockQuery{8, Height{1}});
  Effects effects;
  // Bytes until it is enough, in no time.
  const auto take = [&](std::uint8_t peer) {
    std::int64_t taken = 0;
    while (taken < 2 * protocol::kBlockBytesBurst) {
      effects = coordinator_->step(now_, Received{id_of(peer), query});
      const auto answers = of_kind<Send>(effects);
      if (answers.empty()) break;
      taken += static_cast<std::int64_t>(answers[0].message.size());
    }
    return taken;
  };
  const auto answer_bytes = static_cast<std::int64_t>(
      protocol::encode_message(answer(coordinator_->chain(), {8, Height{1}})).size());
  const auto expect_about = [&](std::int64_t taken, std::int64_t granted) {
    EXPECT_GE(taken, granted);
    EXPECT_LT(taken, granted + answer_bytes);
  };
  expect_about(take(kOwner), protocol::kBlockBytesBurst);
  EXPECT_THAT(disconnected(effects), HasSubstr("go on in a few seconds"));
  now_ = now_ + Duration(2000);
  const std::int64_t later = take(kOwner);
  EXPECT_LE(later, 2 * protocol::kBlockBytesPerSecond + answer_bytes);
  EXPECT_GE(later, 2 * protocol::kBlockBytesPerSecond - answer_bytes);
  expect_about(take(kWorker), protocol::kBlockBytesBurst);
  now_ = now_ + Duration(1000);
  for (int i = 0; i < 2000; ++i) {  // at its pace for ever
    now_ = now_ + Duration(answer_bytes * 1000 / protocol::kBlockBytesPerSecond + 1);
    effects = coordinator_->step(now_, Received{id_of(kOwner), query});
    ASSERT_EQ(of_kind<Send>(effects).size(), 1u) << disconnected(effects);
  }
}

TEST_F(CoordinatorTest, StatusListsPeers) {
  join(kOwner);
  join(kWorker);
  const auto status = sent<protocol::StatusAnswer>(tell(kWorker, protocol::StatusQuery{3}));
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].peers.size(), 2u);
}

TEST_F(CoordinatorTest, TheWelcomeNamesTheBulkPort) {
  coordinator_->set_bulk_port(7402);
  EXPECT_EQ(sent<protocol::Welcome>(join(kWorker)).at(0).bulk_port, 7402u);
}

TEST_F(CoordinatorTest, AnOfferedBlobIsFetchedFromItsSubmitter) {
  join(kOwner);
  join(kWorker);
  const Bytes blob(100, 7);
  const Digest root = crypto::blob_root(blob);
  const protocol::BlobOffer offer{root, blob.size()};
  EXPECT_THAT(sent<protocol::BlobOfferAnswer>(tell(kWorker, offer)).at(0).error,
              HasSubstr("submitter"));
  for (const std::uint64_t bytes : {std::uint64_t{0}, protocol::kMaxEvaluationBytes + 1})
    EXPECT_THAT(sent<protocol::BlobOfferAnswer>(tell(kOwner, {protocol::BlobOffer{root, bytes}}))
                    .at(0)
                    .error,
                HasSubstr("64 MiB"));
  const auto asked = tell(kOwner, offer);
  EXPECT_THAT(sent<protocol::BlobOfferAnswer>(asked), IsEmpty()) << "not before it is here";
  const auto fetches = of_kind<FetchBlob>(asked);
  ASSERT_EQ(fetches.size(), 1u);
  EXPECT_EQ(fetches[0].root, root);
  EXPECT_EQ(fetches[0].bytes_max, blob.size());
  EXPECT_EQ(fetches[0].holder, id_of(kOwner));
  ASSERT_TRUE(blobs_->put(blob).ok());
  const auto answers = sent<protocol::BlobOfferAnswer>(step(BlobArrived{root}));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].stored);
  const auto again = tell(kOwner, offer);
  EXPECT_THAT(of_kind<FetchBlob>(again), IsEmpty());
  EXPECT_TRUE(sent<protocol::BlobOfferAnswer>(again).at(0).stored) << "held already";
}

// A worker may reveal the same root, and a round's fetch does not flush.
TEST_F(CoordinatorTest, WhatASubmitterIsToldIsStoredSurvivesAPowerFailure) {
  join(kOwner);
  const Bytes blob(100, 7);
  const Digest root = crypto::blob_root(blob);
  tell(kOwner, protocol::BlobOffer{root, blob.size()});
  ASSERT_FALSE(
      blobs_->begin(root, {blob.size(), {crypto::blob_leaf(blob)}}, net::Flush::no).value());
  ASSERT_TRUE(blobs_->add(root, 0, blob).value());
  const auto answers = sent<protocol::BlobOfferAnswer>(step(BlobArrived{root}));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].stored);
  crash();
  EXPECT_TRUE(blobs_->read_all(root, blob.size()).ok());
}

TEST_F(CoordinatorTest, AnOfferThatCannotBeStoredIsAnswered) {
  join(kOwner);
  tell(kOwner, protocol::BlobOffer{Digest{{1}}, 100});
  const auto answers =
      sent<protocol::BlobOfferAnswer>(step(BlobFailed{Digest{{1}}, exhausted("the disk is full")}));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].stored);
  EXPECT_THAT(answers[0].error, HasSubstr("disk is full"));
  EXPECT_THAT(step(BlobArrived{Digest{{1}}}), IsEmpty()) << "nobody waits any more";
}

// Workers must not lose their rounds to this node's disk.
TEST_F(CoordinatorTest, AFullDiskOfItsOwnStopsIt) {
  const Error full = exhausted("the disk is full");
  EXPECT_EQ(halted(step(BlobFailed{Digest{{1}}, full, false})), "");
  EXPECT_THAT(halted(step(BlobFailed{Digest{{1}}, full, true})), HasSubstr("the disk is full"));
}

TEST_F(CoordinatorTest, OffersAreBoundedAndEndWithTheirSubmitter) {
  join(kOwner);
  const auto offer = [&](std::uint8_t number) {
    return tell(kOwner, protocol::BlobOffer{Digest{{number}}, 100});
  };
  for (std::uint8_t i = 0; i < Coordinator::kOffersMax; ++i)
    EXPECT_EQ(of_kind<FetchBlob>(offer(i)).size(), 1u);
  EXPECT_THAT(sent<protocol::BlobOfferAnswer>(offer(100)).at(0).error, HasSubstr("on their way"));
  EXPECT_EQ(of_kind<FetchBlob>(offer(0)).size(), 1u) << "one of them again";
  EXPECT_EQ(of_kind<ForgetBlob>(step(LinkDown{id_of(kOwner)})).size(), Coordinator::kOffersMax);
  join(kOwner);
  EXPECT_EQ(of_kind<FetchBlob>(offer(100)).size(), 1u);
}

// Two coordinators under one key, or one on an old copy of its ledger: certificates that nodes have
// seen stop the one that would fork.
class HeadTest : public CoordinatorTest {
 protected:
  HeadTest() {
    join(kOwner);
    tell(kOwner, submission());
    step(Tick{});
    const auto& chain = coordinator_->chain();
    head_ = {*chain.head_header(), *chain.head_certificate()};
  }
  // What a coordinator says to a node that shows it the head.
  Effects show(Coordinator& to, const protocol::ProvenHead& head) {
    to.step(now_, LinkUp{id_of(kWorker)});
    return to.step(now_, Received{id_of(kWorker), protocol::encode_message(protocol::Hello{
                                                      chain_, "test", false, head})});
  }
  protocol::ProvenHead head_;
};

TEST_F(HeadTest, ItsOwnHeadIsNoNews) { EXPECT_EQ(halted(show(*coordinator_, head_)), ""); }

TEST_F(HeadTest, AStaleCopyOfTheLedgerStops) {
  ledger::MemoryStore old;
  const auto stale = make(old);
  EXPECT_THAT(halted(show(*stale, head_)), HasSubstr("this ledger ends at block 0"));
}

TEST_F(HeadTest, AForkAtTheSameHeightStops) {
  ledger::MemoryStore other;
  const auto fork = make(other);
  fork->step(now_, LinkUp{id_of(kOwner)});
  fork->step(now_, Received{id_of(kOwner), protocol::encode_message(protocol::Hello{
                                               chain_, "test", false, std::nullopt})});
  fork->step(now_ + Duration(500), Received{id_of(kOwner), protocol::encode_message(submission())});
  fork->step(now_ + Duration(500), Tick{});
  ASSERT_EQ(fork->chain().height(), Height{1});
  EXPECT_THAT(halted(show(*fork, head_)), HasSubstr("another block 1"));
}

TEST_F(HeadTest, AForgedHeadIsIgnored) {
  const auto ignored = [&](auto change) {
    ledger::MemoryStore old;
    const auto stale = make(old);
    protocol::ProvenHead forged = head_;
    change(forged);
    const auto effects = show(*stale, forged);
    EXPECT_EQ(sent<protocol::Welcome>(effects).size(), 1u);
    return halted(effects);
  };
  using Head = protocol::ProvenHead;
  EXPECT_NE(ignored([](Head&) {}), "");
  EXPECT_EQ(ignored([](Head& h) { h.header.height = Height{1000}; }), "");
  EXPECT_EQ(ignored([](Head& h) { h.header.state_root.bytes[0] ^= 1; }), "");
  EXPECT_EQ(ignored([](Head& h) { h.header.chain.bytes[0] ^= 1; }), "");
  EXPECT_EQ(ignored([](Head& h) { h.certificate.signatures[0][5] ^= 1; }), "");
  EXPECT_EQ(ignored([](Head& h) { h.certificate.signatures.clear(); }), "");
  EXPECT_EQ(ignored([](Head& h) { h.certificate.bitmap.clear(); }), "");
  EXPECT_EQ(ignored([](Head& h) { h.certificate.height = Height{2}; }), "");
  EXPECT_EQ(ignored([](Head& h) { h.certificate.type = ledger::VoteType::notarize; }), "");
}

// Workers by hand, the coordinator's own effects carried out: blobs come and computations are done
// at once.
class WholeRoundTest : public CoordinatorTest {
 protected:
  static protocol::JobSpec spec() {
    protocol::JobSpec out = small_spec();
    out.privacy = {};
    out.federation.rounds = 1;
    return out;
  }
  void greet_all() {
    for (const std::uint8_t peer : {kOwner, kWorker, kOther}) join(peer);
  }
  void carry_out(Effects effects) {
    for (auto& effect : effects) {
      EXPECT_FALSE(std::holds_alternative<Halt>(effect));
      if (auto* log = std::get_if<Log>(&effect)) {
        kinds_.push_back(log->event.kind);
      } else if (auto* fetch = std::get_if<FetchBlob>(&effect)) {
        if (const auto at = sealed_.find(fetch->root); at != sealed_.end()) {
          EXPECT_TRUE(blobs_->put(at->second).ok());
          carry_out(step(BlobArrived{fetch->root}));
        }
      } else if (auto* task = std::get_if<Compute>(&effect)) {
        carry_out(step(ComputeDone{rounds::compute(task->task, *blobs_)}));
      }
    }
  }
  template <class Payload>
  void submit(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    const auto record =
        ledger::sign_record(test_key(author), kind, chain_, job_, ++seq_, codec::encode(payload));
    carry_out(tell(author, protocol::SubmitRecord{ledger::encode_record(record)}));
    tick();
  }
  void tick() {
    for (int i = 0; i < 4; ++i) carry_out(step(Tick{}));
  }
  void begin() {
    greet_all();
    job_ = protocol::job_id(chain_, test_key(kOwner).public_key(), 1, spec());
    submit(kOwner, ledger::RecordKind::job, protocol::Job{spec()});
    for (const std::uint8_t who : {kWorker, kOther})
      submit(who, ledger::RecordKind::enrol,
             protocol::Enrol{crypto::blake2b(Bytes{who}), 100u + who, spec().schema.hash(), 1024,
                             false});
  }
  protocol::RoundState round() const {
    return rounds::require<protocol::RoundState>(
        coordinator_->chain().state(), protocol::round_key(job_, {RoundNumber{1}, Attempt{0}}));
  }
  rounds::PlainUpdate update(std::uint8_t who) const {
    rounds::PlainUpdate out;
    out.worker = id_of(who);
    out.examples = 100u + who;
    out.salt.fill(who);
    out.content_key.fill(static_cast<std::uint8_t>(who + 1));
    out.values.assign(rounds::update_dimension(spec(), protocol::RoundKind::training), who);
    return out;
  }
  void commit(std::uint8_t who) {
    const auto now = round();
    const auto place = std::find_if(now.cohort.begin(), now.cohort.end(),
                                    [&](const auto& slot) { return slot.worker == id_of(who); });
    const auto plain = update(who);
    submit(who, ledger::RecordKind::commit,
           protocol::Commit{now.slot, plain.commitment(chain_, now, *place, plain.seal())});
  }
  void reveal(std::uint8_t who, bool serve = true) {
    const auto plain = update(who);
    const Bytes ciphertext = plain.seal();
    if (serve) sealed_[crypto::blob_root(ciphertext)] = ciphertext;
    submit(who, ledger::RecordKind::reveal, plain.reveal(chain_, round(), ciphertext));
  }

  JobId job_;
  std::uint64_t seq_ = 0;
  std::map<Digest, Bytes> sealed_;  // what workers serve
  std::vector<std::string> kinds_;  // of log events
};

TEST_F(WholeRoundTest, RunsToItsAttestedModel) {
  begin();
  ASSERT_EQ(round().phase, protocol::RoundPhase::committing);
  commit(kWorker);
  commit(kOther);
  reveal(kWorker);
  reveal(kOther);
  tick();
  EXPECT_EQ(round().phase, protocol::RoundPhase::finished);
  EXPECT_TRUE(blobs_->holds(round().aggregate->model_root));
  for (const auto& [root, bytes] : sealed_) EXPECT_FALSE(blobs_->holds(root));
  EXPECT_THAT(*items_->load(), IsEmpty());
}

// Each time the power fails, and the coordinator goes on with what is on its disk.
TEST_F(WholeRoundTest, GoesOnAfterEveryCrash) {
  begin();
  crash();
  greet_all();
  tick();
  ASSERT_EQ(round().phase, protocol::RoundPhase::committing);
  commit(kWorker);
  crash();
  greet_all();
  commit(kOther);
  reveal(kWorker);
  crash();
  greet_all();
  tick();
  reveal(kOther, false);
  EXPECT_EQ(round().phase, protocol::RoundPhase::checking);
  EXPECT_EQ(coordinator_->phases(), std::set<std::string>{"check"});
  crash();
  greet_all();
  const auto late = update(kOther).seal();
  sealed_[crypto::blob_root(late)] = late;
  tick();
  EXPECT_EQ(round().phase, protocol::RoundPhase::finished);
  const auto ended = round();
  EXPECT_EQ(std::count_if(ended.cohort.begin(), ended.cohort.end(),
                          [](const auto& slot) { return slot.in_set; }),
            2);
}

TEST_F(WholeRoundTest, AnAcceptanceWithoutItsKeyOnDiskNeverLeaves) {
  greet_all();
  job_ = protocol::job_id(chain_, test_key(kOwner).public_key(), 1, spec());
  submit(kOwner, ledger::RecordKind::job, protocol::Job{spec()});
  submit(kWorker, ledger::RecordKind::enrol,
         protocol::Enrol{crypto::blake2b(Bytes{kWorker}), 103, spec().schema.hash(), 1024, false});
  disk_.fail_after(0, exhausted("the disk is full"));
  const auto record =
      ledger::sign_record(test_key(kOther), ledger::RecordKind::enrol, chain_, job_, ++seq_,
                          codec::encode(protocol::Enrol{crypto::blake2b(Bytes{kOther}), 104,
                                                        spec().schema.hash(), 1024, false}));
  tell(kOther, protocol::SubmitRecord{ledger::encode_record(record)});
  const auto effects = step(Tick{});
  EXPECT_THAT(halted(effects), HasSubstr("the disk is full"));
  EXPECT_FALSE(round().members[0].round_key.has_value())
      << "a final acceptance without a key on disk";
}

// The power fails after the round's key was stored and before the blocks that open the round were
// durable: they are made again, and the key of that name with them.
TEST_F(WholeRoundTest, AKeyForBlocksThatWereLostIsReplacedNotErased) {
  begin();
  const std::string name = rounds::round_key_item(job_, round().slot);
  ASSERT_TRUE(items_->load()->contains(name));
  ledger::MemoryStore durable;
  for (Height at{1};; at = at.next()) {
    const auto block = *store_.get(at);
    const auto& records = block.block.records;
    if (!records.empty() && records[0].kind == ledger::RecordKind::beacon) break;
    ASSERT_TRUE(durable.append(block).ok());
  }
  store_ = durable;
  coordinator_ = make(store_);
  greet_all();
  tick();
  ASSERT_EQ(round().phase, protocol::RoundPhase::committing);
  const auto items = *items_->load();
  ASSERT_TRUE(items.contains(name));
  crypto::X25519Secret secret;
  std::copy(items.at(name).begin(), items.at(name).end(), secret.mutable_view().begin());
  EXPECT_EQ(crypto::x25519_public(secret), *round().members[0].round_key);
}

TEST_F(WholeRoundTest, TwoCommitmentsCostTheWorkerItsRoles) {
  begin();
  submit(kOther, ledger::RecordKind::commit, protocol::Commit{round().slot, Digest{{1}}});
  EXPECT_NE(rounds::node_state(coordinator_->chain().state(), id_of(kOther))->roles, 0u);
  submit(kOther, ledger::RecordKind::commit, protocol::Commit{round().slot, Digest{{2}}});
  const auto node = *rounds::node_state(coordinator_->chain().state(), id_of(kOther));
  EXPECT_EQ(node.roles, 0u);
  EXPECT_TRUE(node.banned);
  EXPECT_THAT(kinds_, testing::Contains("evidence.found"));
}

}  // namespace
}  // namespace fedmesh::coordinator
