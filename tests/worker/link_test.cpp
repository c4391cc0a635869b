// What the worker says first, whom it believes, and when it gives a link up.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(WorkerTest, GreetsAndWaitsForTheWelcome) {
  EXPECT_EQ(worker_->status(now_), "waiting for the coordinator");
  link();
  const auto hello = take_sent<protocol::Hello>();
  ASSERT_THAT(hello, SizeIs(1));
  EXPECT_EQ(hello[0].chain, ledger_.chain());
  EXPECT_TRUE(hello[0].subscribe);
  EXPECT_FALSE(hello[0].head.has_value()) << "nothing is proven yet";
  EXPECT_EQ(worker_->status(now_), "connected, no job is open");
}

TEST_F(WorkerTest, HelloCarriesTheNewestProvenHeadAlsoAfterARestart) {
  link();
  block();
  pass(Duration(20'000));
  const auto update = ledger_.block(now_);
  receive(update);
  take_sent<protocol::Hello>();
  for (int round = 0; round < 2; ++round) {
    unlink();
    link();
    const auto hello = take_sent<protocol::Hello>();
    ASSERT_THAT(hello, SizeIs(1));
    ASSERT_TRUE(hello[0].head.has_value());
    EXPECT_EQ(hello[0].head->header, update.header);
    EXPECT_EQ(hello[0].head->certificate, update.certificate);
    start();
  }
}

TEST_F(WorkerTest, WithoutAWelcomeTheLinkIsGivenUpAndTriedAgain) {
  linked_ = true;
  step(LinkUp{kCoordinator});
  ASSERT_TRUE(worker_->next_wake().has_value());
  EXPECT_EQ(*worker_->next_wake(), now_ + Worker::kWelcomeWithin);
  pass(Worker::kWelcomeWithin - Duration(1));
  EXPECT_THAT(disconnects_, IsEmpty());
  pass(Duration(1));
  EXPECT_THAT(disconnects_, ElementsAre(HasSubstr("no welcome")));
  unlink();  // the host dials again
  link();
  EXPECT_EQ(worker_->status(now_), "connected, no job is open");
  pass(Worker::kWelcomeWithin * 3);
  EXPECT_THAT(disconnects_, SizeIs(1)) << "a welcomed link stays";
}

TEST_F(WorkerTest, DialsTheBulkPlaneThatTheWelcomeNames) {
  link(7701);
  EXPECT_THAT(bulk_ports_, ElementsAre(7701));
}

class BulkPortTest : public WorkerTest, public testing::WithParamInterface<std::uint32_t> {};

TEST_P(BulkPortTest, WhatIsNoPortIsNotDialled) {
  link(GetParam());
  EXPECT_THAT(bulk_ports_, IsEmpty());
  EXPECT_THAT(disconnects_, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Hostile, BulkPortTest, testing::Values(0u, 65536u, 0xffffffffu));

TEST_F(WorkerTest, LeavesACoordinatorOfAnotherNetwork) {
  linked_ = true;
  step(LinkUp{kCoordinator});
  auto other = ledger_.genesis();
  other.network_name = "other";
  receive(protocol::Welcome{ledger::encode_genesis(other), {0}, 7701});
  EXPECT_THAT(disconnects_, ElementsAre(HasSubstr("pinned")));
  EXPECT_THAT(bulk_ports_, IsEmpty());
}

TEST_F(WorkerTest, TalksToOneCoordinatorAtATime) {
  link();
  const NodeId stranger = test_key(33).node_id();
  step(LinkUp{stranger});
  EXPECT_THAT(disconnects_, SizeIs(1));
  step(Received{stranger, Bytes{1, 2, 3}});
  EXPECT_THAT(disconnects_, SizeIs(1)) << "what a stranger says is not read";
}

TEST_F(WorkerTest, GarbageAndForeignMessagesEndTheLink) {
  link();
  step(Received{kCoordinator, Bytes{0xff, 0x00}});
  EXPECT_THAT(disconnects_, SizeIs(1));
  unlink();
  link();
  receive(protocol::StatusQuery{1});
  EXPECT_THAT(disconnects_, SizeIs(2));
}

TEST_F(WorkerTest, AForgedEntryEndsTheLinkAndIsNotUsed) {
  link();
  spec_ = clinics_job();
  job_.id.bytes.fill(7);
  job_.config_hash = spec_.config_hash();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  auto update = ledger_.block(now_);
  for (auto& entry : update.entries) {
    if (entry.key == protocol::job_key(job_.id)) (*entry.value)[10] ^= 1;
  }
  receive(update);
  EXPECT_THAT(disconnects_, ElementsAre(HasSubstr("proof")));
  EXPECT_EQ(worker_->live_jobs(), 0u);
}

TEST_F(WorkerTest, AForgedCertificateEndsTheLink) {
  link();
  auto update = ledger_.block(now_);
  update.header.timestamp_ms += 1;
  receive(update);
  EXPECT_THAT(disconnects_, SizeIs(1));
}

TEST_F(WorkerTest, AnOlderHeadThanBeforeTheRestartIsNotBelieved) {
  link();
  const auto old = ledger_.block(now_);
  receive(old);
  pass(Duration(20'000));
  block();
  start();
  link();
  receive(old);
  EXPECT_EQ(worker_->live_jobs(), 0u);
  EXPECT_THAT(log_.back().event.kind, AnyOf("ledger.stale", "link.up"));
}

}  // namespace
}  // namespace fedmesh::worker
