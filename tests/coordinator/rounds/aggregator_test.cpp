// The aggregator's duty on a chain and a disk: what it does in every phase, what survives a crash,
// whom it believes.
#include "coordinator/rounds/aggregator.h"

#include "base/private_folder.h"
#include "models/data/safetensors.h"
#include "tests/base/power_loss_disk.h"
#include "tests/coordinator/rounds/chain_fixture.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::RoundPhase;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class TestRandom final : public SecureRandom {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
  }

 private:
  SeededRandom random_{std::uint64_t{99}};
};

// Carries out what the aggregator asks for: records and items at once, fetches and computations
// when the test says so.
class AggregatorTest : public ChainTest {
 protected:
  AggregatorTest() {
    spec_ = plain_spec();
    boot();
  }
  static protocol::JobSpec plain_spec() {
    protocol::JobSpec spec = small_spec();
    spec.privacy = {};
    return spec;
  }
  void boot() {
    blobs_ = std::move(*net::BlobStore::open(disk_, "/blobs"));
    items_.emplace(std::move(*PrivateFolder::open(disk_, "/items")));
    duty_.emplace(chain_->id(), id_of(kHub), *blobs_, random_, std::move(*items_->load()));
  }
  // The process dies with the machine; fetches and computations under way are lost.
  void crash() {
    duty_.reset();
    blobs_.reset();
    fetches_.clear();
    tasks_.clear();
    running_.forget();
    disk_.crash();
    boot();
  }

  void take(AggregatorEffects effects) {
    std::vector<ledger::Record> records;
    for (auto& effect : effects) {
      if (auto* submit = std::get_if<SubmitPayload>(&effect)) {
        order_.push_back(ledger::to_string(submit->kind));
        said_.push_back(submit->kind);
        records.push_back(ledger::sign_record(test_key(kHub), submit->kind, chain_->id(),
                                              submit->job, ++seq_, submit->payload));
      } else if (auto* fetch = std::get_if<FetchUpdate>(&effect)) {
        fetches_.push_back(*fetch);
      } else if (auto* drop = std::get_if<DropUpdate>(&effect)) {
        order_.push_back("drop");
        dropped_.insert(drop->root);
        blobs_->remove(drop->root);
      } else if (auto* compute = std::get_if<Compute>(&effect)) {
        tasks_.push_back(std::move(compute->task));
      } else if (auto* item = std::get_if<PersistItem>(&effect)) {
        order_.push_back("persist");
        key_ = item->bytes;
        EXPECT_TRUE(items_->write(item->name, item->bytes).ok());
      } else if (auto* erased = std::get_if<EraseItem>(&effect)) {
        order_.push_back("erase");
        EXPECT_TRUE(items_->erase(erased->name).ok());
      } else if (auto* over = std::get_if<ForgetSum>(&effect)) {
        forgotten_.push_back(over->job);
        running_.forget(over->job);
      } else {
        const auto& event = std::get<Note>(effect).event;
        notes_.push_back(event.kind + ": " + std::get<std::string>(event.fields.back().second));
      }
    }
    if (!records.empty()) {
      EXPECT_THAT(make_final(std::move(records)), IsEmpty());
    }
  }
  // Steps until nothing more is said.
  void settle() {
    for (int i = 0; i < 10; ++i) {
      const Height before = chain_->height();
      take(duty_->step(now_, *chain_));
      if (chain_->height() == before) return;
    }
    ADD_FAILURE() << "it never comes to rest";
  }
  void deliver(const PlainUpdate& update) {
    const Digest root = *blobs_->put(update.seal());
    std::erase_if(fetches_, [&](const FetchUpdate& fetch) { return fetch.root == root; });
    take(duty_->arrived(now_, *chain_, root));
    settle();
  }
  void compute_all() {
    while (!tasks_.empty()) {
      const ComputeTask task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
      take(duty_->done(now_, *chain_, compute(task, *blobs_, &running_)));
      settle();
    }
  }
  // Until the aggregate is due.
  void check_all() {
    while (round().phase == RoundPhase::checking && !tasks_.empty()) {
      const ComputeTask task = std::move(tasks_.front());
      tasks_.erase(tasks_.begin());
      take(duty_->done(now_, *chain_, compute(task, *blobs_, &running_)));
      settle();
    }
    ASSERT_EQ(tasks_.size(), 1u);
    ASSERT_TRUE(std::holds_alternative<AggregateTask>(tasks_.front()));
  }
  // A job whose first round is open and accepted.
  void begin(bool with_base = true) {
    start(spec_);
    if (with_base) {
      ASSERT_TRUE(blobs_
                      ->put(models::encode_safetensors(
                          models::initial_parameters(spec_.architecture, spec_.initial_seed)))
                      .ok());
      blobs_->pin("test", {job().base_root});
    }
    open();
    settle();
  }
  void damage(const Digest& root) {
    const auto names = *disk_.list("/blobs");
    for (const auto& name : names) {
      if (name.find(root.hex()) == std::string::npos) continue;
      const auto file = *disk_.open("/blobs/" + name, Disk::Mode::update);
      ASSERT_TRUE(file->write(150, Bytes(8, 0x5a)).ok());
    }
  }
  std::vector<PlainUpdate> updates() const { return {update(0), update(1), update(2)}; }
  // Until every reveal is final.
  void reveal_all(const std::vector<PlainUpdate>& updates) {
    commit(updates);
    for (std::size_t i = 0; i < updates.size(); ++i) reveal(i, updates[i]);
    settle();
  }
  void play(const std::vector<PlainUpdate>& updates) {
    reveal_all(updates);
    for (const auto& update : updates) deliver(update);
    compute_all();
  }
  std::vector<bool> in_set() const {
    std::vector<bool> out(kWorkers);
    for (const auto& slot : round().cohort)
      for (std::size_t i = 0; i < kWorkers; ++i)
        if (slot.worker == id_of(worker(i))) out[i] = slot.in_set;
    return out;
  }
  std::size_t times(RecordKind kind) const {
    return static_cast<std::size_t>(std::count(said_.begin(), said_.end(), kind));
  }
  // After a crash ciphertexts may be there again, which nobody can open any more.
  void expect_nothing_left(bool ciphertexts_too = true) {
    EXPECT_THAT(*items_->load(), IsEmpty());
    EXPECT_FALSE(disk_.contains(key_)) << "the round key";
    EXPECT_THAT(duty_->pins(), IsEmpty());
    EXPECT_EQ(duty_->status(job_), "");
    if (!ciphertexts_too) return;
    for (std::size_t i = 0; i < kWorkers; ++i) EXPECT_FALSE(blobs_->holds(root_of(i))) << i;
  }
  Digest root_of(std::size_t index) const { return crypto::blob_root(update(index).seal()); }

  PowerLossDisk disk_;
  TestRandom random_;
  std::unique_ptr<net::BlobStore> blobs_;
  std::optional<PrivateFolder> items_;
  std::optional<Aggregator> duty_;
  std::vector<std::string> order_;  // of effects
  std::vector<RecordKind> said_;
  std::vector<FetchUpdate> fetches_;
  std::vector<ComputeTask> tasks_;
  std::set<Digest> dropped_;
  std::vector<JobId> forgotten_;
  RunningSum running_;
  std::vector<std::string> notes_;
  Bytes key_;
};

TEST_F(AggregatorTest, TheKeyIsOnDiskBeforeTheAcceptanceLeaves) {
  begin();
  EXPECT_THAT(order_, ElementsAre("persist", "accept"));
  const auto items = *items_->load();
  ASSERT_EQ(items.count(round_key_item(job_, slot_)), 1u);
  crypto::X25519Secret secret;
  std::ranges::copy(items.at(round_key_item(job_, slot_)), secret.mutable_view().begin());
  EXPECT_EQ(round().members[0].round_key, crypto::x25519_public(secret));
  settle();
  EXPECT_EQ(times(RecordKind::accept), 1u);
}

TEST_F(AggregatorTest, WithoutTheBaseModelItDoesNotAccept) {
  begin(false);
  EXPECT_THAT(order_, IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("is not in the blob store any more")));
}

// Epsilon would be charged before anybody noticed.
TEST_F(AggregatorTest, WithADamagedBaseModelItDoesNotAccept) {
  start(spec_);
  ASSERT_TRUE(blobs_
                  ->put(models::encode_safetensors(
                      models::initial_parameters(spec_.architecture, spec_.initial_seed)))
                  .ok());
  damage(job().base_root);
  open();
  settle();
  EXPECT_THAT(order_, IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("damaged there")));
}

TEST_F(AggregatorTest, AWholeRoundFromRevealToAttestation) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  ASSERT_EQ(fetches_.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(fetches_[i].root, root_of(i)) << "in the order of the reveals";
    EXPECT_EQ(fetches_[i].worker, sealed[i].worker);
    EXPECT_EQ(fetches_[i].bytes, sealed[i].seal().size());
  }
  EXPECT_THAT(duty_->pins(), UnorderedElementsAre(root_of(0), root_of(1), root_of(2)));
  EXPECT_THAT(duty_->status(job_), HasSubstr("0 of 3 updates checked, fetching"));
  deliver(sealed[0]);
  ASSERT_EQ(tasks_.size(), 1u);
  compute_all();
  EXPECT_THAT(duty_->status(job_), HasSubstr("1 of 3 updates checked"));
  EXPECT_EQ(times(RecordKind::avail), 0u);
  deliver(sealed[1]);
  deliver(sealed[2]);
  compute_all();
  EXPECT_EQ(round().phase, RoundPhase::finished);
  EXPECT_THAT(in_set(), ElementsAre(true, true, true));
  EXPECT_EQ(times(RecordKind::avail), 1u);
  EXPECT_EQ(times(RecordKind::attest), 1u);
  EXPECT_TRUE(blobs_->holds(round().aggregate->model_root));
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_THAT(dropped_, UnorderedElementsAre(root_of(0), root_of(1), root_of(2)));
  EXPECT_THAT(forgotten_, ElementsAre(job_)) << "their sum is private";
  expect_nothing_left();
}

// The machine loses power after so many steps of a round and starts again: the round ends as it
// would have, under the same key.
class AggregatorCrash : public AggregatorTest, public testing::WithParamInterface<int> {};

TEST_P(AggregatorCrash, InAnyPhaseLosesNothingButTime) {
  const int at = GetParam();
  int point = 0;
  const auto pass = [&] {
    if (++point == at) {
      crash();
      settle();
    }
  };
  begin();
  const Bytes key = key_;
  pass();  // 1: accepted
  const auto sealed = updates();
  commit(sealed);
  settle();
  pass();  // 2: committed
  reveal(0, sealed[0]);
  settle();
  pass();  // 3: the first fetch is out
  deliver(sealed[0]);
  pass();  // 4: fetched, the check is out
  compute_all();
  reveal(1, sealed[1]);
  settle();
  pass();  // 5: one is checked
  reveal(2, sealed[2]);
  settle();
  pass();  // 6: the phase is over
  deliver(sealed[1]);
  deliver(sealed[2]);
  while (round().phase == RoundPhase::checking && !tasks_.empty()) {
    const ComputeTask task = std::move(tasks_.front());
    tasks_.erase(tasks_.begin());
    take(duty_->done(now_, *chain_, compute(task, *blobs_, &running_)));
    settle();
  }
  EXPECT_EQ(round().phase, RoundPhase::aggregating);
  pass();  // 7: the aggregate is being computed
  compute_all();
  pass();  // 8: attested
  EXPECT_EQ(round().phase, RoundPhase::finished);
  EXPECT_THAT(in_set(), ElementsAre(true, true, true));
  for (const auto kind : {RecordKind::accept, RecordKind::avail, RecordKind::attest})
    EXPECT_EQ(times(kind), 1u) << ledger::to_string(kind);
  EXPECT_EQ(key_, key) << "no other key was made";
  EXPECT_THAT(notes_, IsEmpty());
  expect_nothing_left(at != 8);
}

INSTANTIATE_TEST_SUITE_P(Points, AggregatorCrash, testing::Range(1, 9));

TEST_F(AggregatorTest, WithItsKeyLostItSaysSoAtOnce) {
  begin();
  ASSERT_TRUE(items_->erase(round_key_item(job_, slot_)).ok());
  crash();
  reveal_all(updates());
  EXPECT_EQ(times(RecordKind::avail), 1u);
  EXPECT_THAT(fetches_, IsEmpty());
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(in_set(), Each(false));
  EXPECT_EQ(round().phase, RoundPhase::voided);
  EXPECT_FALSE(round().charged) << "nothing was released";
}

TEST_F(AggregatorTest, AKeyThatDoesNotFitIsLost) {
  begin();
  ASSERT_TRUE(items_->write(round_key_item(job_, slot_), Bytes(32, 1)).ok());
  crash();
  reveal_all(updates());
  EXPECT_THAT(notes_, Each(HasSubstr("key is lost")));
  EXPECT_EQ(round().phase, RoundPhase::voided);
}

TEST_F(AggregatorTest, KeysOfOtherRoundsAreErasedAtTheStart) {
  begin();
  const std::string old = round_key_item(JobId{{3}}, {RoundNumber{1}, Attempt{0}});
  ASSERT_TRUE(items_->write(old, Bytes(32, 0xab)).ok());
  ASSERT_TRUE(items_->write("else", Bytes{1}).ok());
  crash();
  settle();
  const auto left = *items_->load();
  EXPECT_FALSE(left.contains(old));
  EXPECT_TRUE(left.contains("else"));
  EXPECT_TRUE(left.contains(round_key_item(job_, slot_)));
  EXPECT_FALSE(disk_.contains(Bytes(32, 0xab)));
}

TEST_F(AggregatorTest, AMissingUpdateIsWaitedForHalfThePhase) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  ASSERT_EQ(round().phase, RoundPhase::checking);
  deliver(sealed[0]);
  deliver(sealed[2]);
  compute_all();
  EXPECT_EQ(times(RecordKind::avail), 0u);
  const auto open = round();
  const Instant half{(open.phase_opened_ms + open.deadline_ms) / 2};
  ASSERT_EQ(duty_->next_wake(), half);
  now_ = half + Duration(-1);
  settle();
  EXPECT_EQ(times(RecordKind::avail), 0u);
  now_ = half;
  settle();
  EXPECT_EQ(times(RecordKind::avail), 1u);
  EXPECT_THAT(in_set(), ElementsAre(true, false, true));
  compute_all();
  EXPECT_EQ(round().phase, RoundPhase::finished);
}

TEST_F(AggregatorTest, AnUpdateThatCannotBeStoredIsNotWaitedFor) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  deliver(sealed[0]);
  deliver(sealed[1]);
  compute_all();
  take(duty_->fetch_failed(now_, *chain_, root_of(2), exhausted("no room")));
  settle();
  compute_all();
  EXPECT_THAT(in_set(), ElementsAre(true, true, false));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("cannot be stored: exhausted: no room")));
  EXPECT_EQ(round().phase, RoundPhase::finished);
}

// One worker cheats, the others' updates are taken; the reason is noted.
TEST_F(AggregatorTest, BadUpdatesAreRefusedWithAReason) {
  spec_ = small_spec();  // with a clip norm of 2^20 granules
  begin();
  auto sealed = updates();
  sealed[1].values[0] = (1 << 20) + 1;
  play(sealed);
  EXPECT_THAT(in_set(), ElementsAre(true, false, true));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("exceeds the L1 norm")));
}

TEST_F(AggregatorTest, AnUpdateOfOtherRecordsIsRefused) {
  begin();
  auto sealed = updates();
  sealed[0].examples += 1;
  play(sealed);
  EXPECT_THAT(in_set(), ElementsAre(false, true, true));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("counts other records")));
}

TEST_F(AggregatorTest, AnUpdateThatWasNotCommittedToIsRefused) {
  begin();
  auto sealed = updates();
  commit(sealed);
  sealed[2].values[0] += 1;
  for (std::size_t i = 0; i < 3; ++i) reveal(i, sealed[i]);
  settle();
  for (const auto& update : sealed) deliver(update);
  compute_all();
  EXPECT_THAT(in_set(), ElementsAre(true, true, false));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("does not open the commitment")));
}

TEST_F(AggregatorTest, AKeyThatIsNotTheUpdatesIsRefused) {
  begin();
  const auto sealed = updates();
  commit(sealed);
  auto wrong = revelation(sealed[0]);
  wrong.keys[0].box[40] ^= 1;
  say(worker(0), RecordKind::reveal, wrong);
  reveal(1, sealed[1]);
  reveal(2, sealed[2]);
  settle();
  for (const auto& update : sealed) deliver(update);
  compute_all();
  EXPECT_THAT(in_set(), ElementsAre(false, true, true));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("update.refused")));
}

TEST_F(AggregatorTest, ABlobThatTheDiskDamagedIsFetchedAgain) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  for (const auto& update : sealed) deliver(update);
  ASSERT_EQ(tasks_.size(), 3u);
  damage(root_of(1));
  compute_all();
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("update.damaged")));
  ASSERT_EQ(fetches_.size(), 1u);
  EXPECT_EQ(fetches_[0].root, root_of(1));
  EXPECT_EQ(times(RecordKind::avail), 0u);
  deliver(sealed[1]);
  compute_all();
  EXPECT_THAT(in_set(), ElementsAre(true, true, true));
  EXPECT_EQ(round().phase, RoundPhase::finished);
}

TEST_F(AggregatorTest, ABlobThatIsLostAfterItsCheckIsFetchedAgain) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  for (const auto& update : sealed) deliver(update);
  ASSERT_TRUE(running_.begin(JobId{{77}}, slot_, 1)) << "another job's: these are read again";
  check_all();
  blobs_->remove(root_of(2));
  compute_all();
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("aggregate.failed")));
  ASSERT_EQ(fetches_.size(), 1u);
  EXPECT_EQ(fetches_[0].worker, sealed[2].worker);
  EXPECT_EQ(times(RecordKind::attest), 0u);
  deliver(sealed[2]);
  compute_all();
  EXPECT_EQ(times(RecordKind::attest), 1u);
  EXPECT_EQ(round().phase, RoundPhase::finished);
  expect_nothing_left();
}

// What the disk does between the check and the aggregate changes how often an update is read, and
// nothing of the sum.
struct Trouble {
  const char* what;
  bool occupied = false;  // another job's sum is kept while these are checked
  bool freed = false;     // ... and not any more when the aggregate is due
  bool damaged = false;   // one of them, by then
  bool failing = false;   // the disk: one is lost, and the model cannot be written at first
  std::size_t fetched_again = 0;
};

class AggregatorTrouble : public AggregatorTest, public testing::WithParamInterface<Trouble> {};

TEST_P(AggregatorTrouble, EveryUpdateIsSummedOnce) {
  const Trouble& trouble = GetParam();
  SCOPED_TRACE(trouble.what);
  const JobId other{{77}};
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  for (const auto& update : sealed) deliver(update);
  if (trouble.occupied) {
    ASSERT_TRUE(running_.begin(other, slot_, 1));
  }
  check_all();
  const auto expected = std::get<Aggregated>(compute(tasks_.front(), *blobs_)).attest.value();
  if (trouble.freed) running_.forget(other);
  if (trouble.damaged) damage(root_of(1));
  if (trouble.failing) {
    blobs_->remove(root_of(1));
    disk_.fail_after(2, exhausted("the disk is full"));  // two files are made, none is written
    auto failed = compute(tasks_.front(), *blobs_, &running_);
    disk_.repair();
    EXPECT_EQ(std::get<Aggregated>(failed).attest.error().detail, "the disk is full");
    tasks_.clear();
    take(duty_->done(now_, *chain_, std::move(failed)));
  }
  compute_all();
  ASSERT_EQ(fetches_.size(), trouble.fetched_again);
  if (trouble.fetched_again > 0) {
    EXPECT_EQ(times(RecordKind::attest), 0u);
    deliver(sealed[1]);
    compute_all();
  }
  EXPECT_EQ(times(RecordKind::attest), 1u);
  ASSERT_EQ(round().phase, RoundPhase::finished);
  EXPECT_EQ(round().aggregate->model_root, expected.model_root);
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, AggregatorTrouble,
    testing::Values(Trouble{.what = "none"},
                    Trouble{.what = "the sum has what is damaged", .damaged = true},
                    Trouble{.what = "what is damaged has to be read",
                            .occupied = true,
                            .damaged = true,
                            .fetched_again = 1},
                    Trouble{.what = "a second check begins a sum that has one update",
                            .occupied = true,
                            .freed = true,
                            .damaged = true,
                            .fetched_again = 1},
                    Trouble{.what = "the sum was taken", .failing = true, .fetched_again = 1}),
    [](const auto& test) { return std::to_string(test.index); });

TEST_F(AggregatorTest, AVoidOrStoppedRoundLeavesNothing) {
  begin();
  const auto sealed = updates();
  commit(sealed);
  reveal(0, sealed[0]);
  settle();
  deliver(sealed[0]);
  compute_all();
  pass_deadline();  // too few reveals
  settle();
  EXPECT_EQ(round().phase, RoundPhase::voided);
  expect_nothing_left();
  EXPECT_THAT(dropped_, ElementsAre(root_of(0)));
  open();  // the next attempt
  settle();
  EXPECT_EQ(slot_.attempt, Attempt{1});
  say(kOwner, RecordKind::stop, protocol::Stop{"enough"});
  settle();
  expect_nothing_left();
}

TEST_F(AggregatorTest, LateAndForeignResultsAreIgnored) {
  begin();
  const auto sealed = updates();
  reveal_all(sealed);
  deliver(sealed[0]);
  const auto result = [&](std::size_t of, const protocol::Slot& slot) {
    return Checked{job_, slot, id_of(worker(of)), invalid_argument("nonsense")};
  };
  take(duty_->done(now_, *chain_, result(0, {RoundNumber{1}, Attempt{1}})));
  take(duty_->done(now_, *chain_, result(1, slot_)));
  take(duty_->done(now_, *chain_, Checked{JobId{{8}}, slot_, id_of(worker(0)), corruption("x")}));
  take(duty_->done(now_, *chain_, Aggregated{job_, slot_, corruption("x")}));
  EXPECT_THAT(notes_, IsEmpty());
  deliver(sealed[1]);
  deliver(sealed[2]);
  compute_all();
  EXPECT_THAT(in_set(), Each(true));
}

// Somebody names another worker's ciphertext as his own: he must not become the one it is fetched
// from, and its end must not take the blob away from whom it belongs to.
TEST_F(AggregatorTest, ARepeatedRootStaysWithWhoNamedItFirst) {
  begin();
  const auto sealed = updates();
  commit(sealed);
  reveal(1, sealed[1]);
  auto copied = revelation(sealed[0]);
  copied.ciphertext_root = root_of(1);
  say(worker(0), RecordKind::reveal, copied);
  settle();
  ASSERT_EQ(fetches_.size(), 1u);
  EXPECT_EQ(fetches_[0].worker, sealed[1].worker);
  crash();
  settle();
  ASSERT_EQ(fetches_.size(), 1u);
  EXPECT_EQ(fetches_[0].worker, sealed[1].worker) << "also after a restart";
  reveal(2, sealed[2]);
  settle();
  deliver(sealed[1]);
  deliver(sealed[2]);
  compute_all();
  EXPECT_THAT(in_set(), ElementsAre(false, true, true));
  EXPECT_EQ(round().phase, RoundPhase::finished);
}

// A model that a job needs is no ciphertext, whatever a reveal says.
TEST_F(AggregatorTest, NamingTheBaseModelDoesNotRemoveIt) {
  begin();
  const auto sealed = updates();
  commit(sealed);
  auto lying = revelation(sealed[0]);
  lying.ciphertext_root = job().base_root;
  say(worker(0), RecordKind::reveal, lying);
  reveal(1, sealed[1]);
  reveal(2, sealed[2]);
  settle();
  const Digest base = round().base_root;
  deliver(sealed[1]);
  deliver(sealed[2]);
  compute_all();
  EXPECT_EQ(round().phase, RoundPhase::finished);
  EXPECT_TRUE(blobs_->holds(base));
  EXPECT_FALSE(dropped_.contains(base));
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("update.refused")));
}

}  // namespace
}  // namespace fedmesh::rounds
