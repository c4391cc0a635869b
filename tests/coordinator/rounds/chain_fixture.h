// A real chain with a committee of one, three workers and one job: records are signed and final.
// What the aggregator does with it, and the disk it does it on, is the test's business.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "coordinator/consensus/solo.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/rounds/rounds_machine.h"
#include "coordinator/rounds/state_access.h"
#include "tests/coordinator/rounds/machine_fixture.h"
#include "tests/coordinator/rounds/sealed_fixture.h"

namespace fedmesh::rounds {

class ChainTest : public testing::Test {
 protected:
  static constexpr std::uint8_t kHub = 1, kOwner = 2, kOperator = 3, kStranger = 4;
  static constexpr std::size_t kWorkers = 3;

  ChainTest() {
    ledger::Genesis genesis;
    genesis.network_name = "test";
    genesis.created_ms = now_.ms;
    genesis.committee = {test_key(kHub).public_key()};
    genesis.operators = {test_key(kOperator).public_key()};
    genesis.participants = {
        {test_key(kHub).public_key(), ledger::kCoordinator | ledger::kAggregator, "hub"},
        {test_key(kOwner).public_key(), ledger::kSubmitter, "owner"}};
    for (std::size_t i = 0; i < kWorkers; ++i)
      genesis.participants.push_back(
          {test_key(worker(i)).public_key(), ledger::kWorker | ledger::kValidator, "worker"});
    chain_ = std::move(*ledger::Chain::open(genesis, machine_, store_));
    solo_ = std::move(*consensus::Solo::create(*chain_, test_key(kHub)));
  }

  static std::uint8_t worker(std::size_t index) { return static_cast<std::uint8_t>(10 + index); }
  static NodeId id_of(std::uint8_t number) { return test_key(number).node_id(); }

  template <class Payload>
  ledger::Record record(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    return ledger::sign_record(test_key(author), kind, chain_->id(),
                               kind == ledger::RecordKind::admit ? JobId{} : job_, ++seq_,
                               codec::encode(payload));
  }
  // The block with these records; the reasons of those that were refused.
  std::vector<std::string> make_final(std::vector<ledger::Record> records) {
    now_ = now_ + Duration(1000);
    std::vector<std::string> refused;
    for (const auto& effect : solo_->step(now_, consensus::Submit{std::move(records)}))
      if (const auto* rejected = std::get_if<consensus::Rejected>(&effect))
        refused.push_back(rejected->reason.to_string());
    return refused;
  }
  template <class Payload>
  void say(std::uint8_t author, ledger::RecordKind kind, const Payload& payload) {
    EXPECT_THAT(make_final({record(author, kind, payload)}), testing::IsEmpty());
  }
  void pass_deadline() {
    const auto at = chain_->next_deadline();
    ASSERT_TRUE(at.has_value());
    now_ = std::max(now_, *at);
    solo_->step(now_, consensus::Tick{});
  }
  // Submitted, everybody enrolled: the beacon is missing.
  void start(const protocol::JobSpec& spec = small_spec()) {
    spec_ = spec;
    job_ = protocol::job_id(chain_->id(), test_key(kOwner).public_key(), seq_ + 1, spec);
    say(kOwner, ledger::RecordKind::job, protocol::Job{spec});
    for (std::size_t i = 0; i < kWorkers; ++i)
      say(worker(i), ledger::RecordKind::enrol,
          protocol::Enrol{crypto::blake2b(Bytes{static_cast<std::uint8_t>(i)}), 100 + i,
                          spec.schema.hash(), 1024, false});
  }
  void open() {
    protocol::Beacon beacon{job().next, {}};
    beacon.randomness.fill(1);
    say(kHub, ledger::RecordKind::beacon, beacon);
    slot_ = beacon.slot;
    ASSERT_EQ(round().cohort.size(), kWorkers);
  }
  PlainUpdate update(std::size_t index) const {
    PlainUpdate out;
    out.worker = id_of(worker(index));
    out.examples = 100 + index;
    out.seed_share.fill(static_cast<std::uint8_t>(1 + index));
    out.salt.fill(static_cast<std::uint8_t>(11 + index));
    out.content_key.fill(static_cast<std::uint8_t>(21 + index));
    out.values.assign(update_dimension(spec_, round().kind), static_cast<std::int32_t>(index) - 1);
    return out;
  }
  protocol::Commit commitment(const PlainUpdate& of) const {
    const auto now = round();
    const auto place = std::find_if(now.cohort.begin(), now.cohort.end(),
                                    [&](const auto& slot) { return slot.worker == of.worker; });
    return {now.slot, of.commitment(chain_->id(), now, *place, of.seal())};
  }
  void commit(const std::vector<PlainUpdate>& updates) {
    for (std::size_t i = 0; i < updates.size(); ++i)
      say(worker(i), ledger::RecordKind::commit, commitment(updates[i]));
  }
  protocol::Reveal revelation(const PlainUpdate& of) const {
    return of.reveal(chain_->id(), round(), of.seal());
  }
  void reveal(std::size_t index, const PlainUpdate& of) {
    say(worker(index), ledger::RecordKind::reveal, revelation(of));
  }

  protocol::JobState job() const {
    return require<protocol::JobState>(chain_->state(), protocol::job_key(job_));
  }
  protocol::RoundState round() const {
    return require<protocol::RoundState>(chain_->state(), protocol::round_key(job_, slot_));
  }

  Instant now_{1'700'000'000'000};
  RoundsMachine machine_;
  ledger::MemoryStore store_;
  std::unique_ptr<ledger::Chain> chain_;
  std::unique_ptr<consensus::Solo> solo_;
  protocol::JobSpec spec_;
  JobId job_;
  protocol::Slot slot_;
  std::uint64_t seq_ = 0;
};

}  // namespace fedmesh::rounds
