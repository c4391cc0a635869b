// Which public blobs a worker asks for, how often, and what it does with what comes.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Digest root_of(std::uint8_t number) {
  Digest out;
  out.bytes.fill(number);
  return out;
}

TEST(BlobWantsTest, AsksOnceAndAgainOnlyAfterAFailure) {
  BlobWants wants;
  EXPECT_EQ(wants.want(root_of(1), 10), nullptr);
  EXPECT_EQ(wants.want(root_of(2), protocol::kMaxBlobBytes + 1), nullptr);
  const auto first = wants.take_new();
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].bytes_max, 10u);
  EXPECT_EQ(first[1].bytes_max, protocol::kMaxBlobBytes);
  EXPECT_EQ(wants.want(root_of(1), 10), nullptr);
  EXPECT_THAT(wants.take_new(), IsEmpty());
  wants.ask_again();
  EXPECT_THAT(wants.take_new(), IsEmpty()) << "both are under way";
  wants.failed(root_of(2));
  EXPECT_THAT(wants.take_new(), IsEmpty());
  wants.ask_again();
  EXPECT_THAT(wants.take_new(), SizeIs(1));
  wants.put(root_of(1), Bytes{7});
  ASSERT_NE(wants.want(root_of(1), 10), nullptr);
  wants.keep_only({root_of(2)});
  EXPECT_EQ(wants.bytes_max(root_of(1)), std::nullopt);
  EXPECT_EQ(wants.want(root_of(1), 10), nullptr);
  EXPECT_THAT(wants.take_new(), SizeIs(1)) << "asked for anew after it was dropped";
}

class FetchTest : public WorkerTest {
 protected:
  // A round that trains from a model which only others have.
  void open_later_round() {
    link();
    open_job(clinics_job());
    const std::vector<float> parameters(models::elements(spec_.architecture.layout()), 0.5f);
    model_ = models::encode_safetensors(models::unflatten(parameters, spec_.architecture.layout()));
    job_.base_root = crypto::blob_root(model_);
    job_.rounds_done = 1;
    job_.next.round = {1};
    open_round();
  }
  Bytes model_;
};

TEST_F(FetchTest, ALaterModelIsFetchedOnce) {
  open_later_round();
  EXPECT_THAT(tasks_, IsEmpty());
  ASSERT_THAT(fetches_, SizeIs(1));
  EXPECT_EQ(fetches_[0].root, job_.base_root);
  EXPECT_GE(fetches_[0].bytes_max, model_.size());
  EXPECT_LT(fetches_[0].bytes_max, model_.size() + (2u << 20)) << "what a valid model can have";
  EXPECT_THAT(kept_, Contains(job_.base_root)) << "the host does not drop what is being fetched";
  EXPECT_THAT(worker_->status(now_), HasSubstr("fetching the model"));
  for (int i = 0; i < 10; ++i) put_round(protocol::RoundPhase::committing);
  EXPECT_THAT(fetches_, SizeIs(1));
  step(BlobArrived{job_.base_root, model_});
  ASSERT_THAT(tasks_, SizeIs(1));
  EXPECT_EQ(trainer::decode_task<trainer::TrainTask>(tasks_.front().body)->model, model_);
}

TEST_F(FetchTest, AFailedFetchIsRepeatedAfterAWhile) {
  open_later_round();
  fetches_.clear();
  step(BlobFailed{job_.base_root, "disk full"});
  EXPECT_THAT(fetches_, IsEmpty());
  EXPECT_THAT(said(), HasSubstr("disk full"));
  ASSERT_TRUE(worker_->next_wake().has_value());
  EXPECT_LE(*worker_->next_wake(), now_ + Worker::kBlobRetry);
  pass(Worker::kBlobRetry);
  EXPECT_THAT(fetches_, SizeIs(1));
  pass(Worker::kBlobRetry);
  EXPECT_THAT(fetches_, SizeIs(1));
  step(BlobArrived{job_.base_root, model_});
  EXPECT_THAT(tasks_, SizeIs(1));
}

TEST_F(FetchTest, WhatNobodyAskedForIsIgnored) {
  open_later_round();
  const auto before = all_.size();
  step(BlobArrived{root_of(4), Bytes(1000)});
  step(BlobFailed{root_of(4), "no"});
  EXPECT_EQ(all_.size(), before) << said();
  step(BlobArrived{job_.base_root, model_});
  step(BlobArrived{job_.base_root, Bytes(3)});  // it is here already
  ASSERT_THAT(tasks_, SizeIs(1));
  EXPECT_EQ(trainer::decode_task<trainer::TrainTask>(tasks_.front().body)->model, model_);
}

TEST_F(FetchTest, AnOversizedModelIsRefused) {
  open_later_round();
  step(BlobArrived{job_.base_root, Bytes(fetches_.at(0).bytes_max + 1)});
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(said(), HasSubstr("make sense"));
  pass(Duration(61'000));
  EXPECT_THAT(said(), HasSubstr("commit deadline"));
}

TEST_F(FetchTest, ALateModelOfARoundThatIsOverIsIgnored) {
  open_later_round();
  put_round(protocol::RoundPhase::voided);
  EXPECT_THAT(kept_, Not(Contains(job_.base_root)));
  step(BlobArrived{job_.base_root, model_});
  EXPECT_THAT(tasks_, IsEmpty());
}

}  // namespace
}  // namespace fedmesh::worker
