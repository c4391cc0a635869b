// A small real network in one process: chain, committee of one, aggregator, two workers, one job.
// What it writes is what a coordinator's export holds.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "coordinator/audit/audit.h"
#include "coordinator/consensus/solo.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/protocol/state.h"
#include "coordinator/rounds/aggregator.h"
#include "coordinator/rounds/rounds_machine.h"
#include "tests/base/power_loss_disk.h"
#include "tests/coordinator/rounds/sealed_fixture.h"

namespace fedmesh::audit {

// The rounds' state machine with a coordinator's own ideas about some rule.
class CrookedMachine final : public ledger::StateMachine {
 public:
  using Twist = std::function<void(ledger::State&)>;
  Twist after_record;  // of any kind
  Twist before_end;    // of a block
  Twist after_end;
  bool takes_any_evidence = false;  // without looking at it

  Result<void> init(const ledger::Genesis& genesis, ledger::State& state) const override {
    return honest_.init(genesis, state);
  }
  Result<void> apply(const ledger::BlockContext& context, const ledger::Record& record,
                     ledger::State& state) const override {
    if (!takes_any_evidence || record.kind != ledger::RecordKind::evidence)
      FM_TRY_VOID(honest_.apply(context, record, state));
    if (after_record) after_record(state);
    return {};
  }
  void end_block(const ledger::BlockContext& context, ledger::State& state) const override {
    if (before_end) before_end(state);
    honest_.end_block(context, state);
    if (after_end) after_end(state);
  }
  std::optional<Instant> next_deadline(const ledger::State& state) const override {
    return honest_.next_deadline(state);
  }

 private:
  rounds::RoundsMachine honest_;
};

// Logistic on two columns, Laplace noise per worker, two rounds of exactly two workers.
protocol::JobSpec small_job();

struct Play {                    // of one round
  std::set<std::size_t> silent;  // workers that do not commit; the deadline ends the phase
  // What an aggregator says instead.
  std::function<void(protocol::Attest&, std::size_t aggregator)> attest;
};

class World {
 public:
  explicit World(protocol::JobSpec spec = small_job(), std::uint8_t nonce = 1,
                 const ledger::StateMachine* machine = nullptr);

  // Submits the job and enrols both workers: the state then waits for the first beacon.
  void start();
  void play_round(const Play& play = {});
  void stop_job(const std::string& reason);
  // A commit record of this worker for the round that opens next; `number` tells several apart.
  ledger::Record commitment(std::size_t worker, std::uint8_t number);
  // The owner's evidence, its two records in order.
  void say_evidence(const ledger::Record& one, const ledger::Record& two);

  const ledger::Chain& chain() const { return *chain_; }
  const JobId& job() const { return job_; }
  protocol::JobState job_state() const;
  protocol::RoundState round_state(std::uint64_t round, std::uint64_t attempt = 0) const;
  NodeId aggregator(std::size_t number) const { return aggregators_[number]->key.node_id(); }
  Bytes model() const;  // the newest released one
  Bytes export_bytes() const;
  AuditInput input() const;  // of the newest model, nothing pinned

 private:
  void submit(const crypto::SigningKey& author, ledger::RecordKind kind, Bytes payload);
  template <class Payload>
  void say(const crypto::SigningKey& author, ledger::RecordKind kind, const Payload& payload) {
    submit(author, kind, codec::encode(payload));
  }
  void flush();      // what was submitted becomes final
  void aggregate();  // the aggregators do what the state asks of them, until it asks nothing
  void commit(const protocol::RoundState& round, const Play& play);
  void reveal(const protocol::RoundState& round);
  void score(const protocol::RoundState& round);
  void pass_deadline();
  rounds::PlainUpdate update(const protocol::RoundState& round, std::size_t worker) const;
  // What the member's aggregator asks for.
  void carry_out(std::size_t member, rounds::AggregatorEffects effects);
  std::size_t worker_of(const NodeId& node) const;

  rounds::RoundsMachine honest_;
  ledger::MemoryStore store_;
  std::unique_ptr<ledger::Chain> chain_;
  std::unique_ptr<consensus::Solo> solo_;
  crypto::SigningKey coordinator_;
  crypto::SigningKey owner_;
  std::vector<crypto::SigningKey> workers_;
  class Randomness final : public SecureRandom {
   public:
    explicit Randomness(std::uint64_t seed) : random_(seed) {}
    void fill(MutableByteView out) override {
      for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
    }

   private:
    SeededRandom random_;
  };
  struct Member {
    Member(const ChainId& chain, crypto::SigningKey signing, std::uint64_t seed)
        : key(std::move(signing)),
          random(seed),
          blobs(std::move(*net::BlobStore::open(disk, "/blobs"))),
          duty(chain, key.node_id(), *blobs, random, {}) {}
    crypto::SigningKey key;
    PowerLossDisk disk;
    Randomness random;
    std::unique_ptr<net::BlobStore> blobs;
    rounds::Aggregator duty;
  };
  std::vector<std::unique_ptr<Member>> aggregators_;  // the coordinator first
  std::function<void(protocol::Attest&, std::size_t)> attest_;
  std::map<Digest, Bytes> sealed_;  // what the workers serve
  protocol::JobSpec spec_;
  JobId job_;
  Instant now_{1'767'225'600'000};  // 2026-01-01 00:00 UTC
  std::vector<ledger::Record> pending_;
};

}  // namespace fedmesh::audit
