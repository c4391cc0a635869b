// A worker of the test's own that enrols and takes part like an honest one but for one crime. It
// believes whatever the coordinator says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "tests/sim/federation.h"

namespace fedmesh::sim {

// What a rogue is about to send; a crime changes it.
struct RogueRound {
  const protocol::RoundState& round;
  const protocol::JobSpec& spec;
  protocol::UpdateHeader header;
  std::vector<std::int32_t> values;
};

struct Crime {
  const char* name = "none";
  // Before sealing.
  std::function<void(RogueRound&)> update;
  // The commitment as it is committed to.
  std::function<Digest(const RogueRound&, Digest honest)> commitment;
  // The reveal before it is signed.
  std::function<void(const RogueRound&, protocol::Reveal&)> reveal;
  bool commits_twice = false;
  bool serves = true;                               // its sealed updates over the bulk plane
  std::uint64_t enrols_with = 50;                   // records
  std::function<void(class Rogue&)> every_message;  // after each state update: floods
};

class Rogue final : public Process {
 public:
  Rogue(Federation& federation, std::size_t index, Crime crime);

  void link_up(const NodeId& peer) override;
  void link_down(const NodeId& peer) override;
  void receive(const NodeId& peer, const Bytes& message, Channel channel) override;
  void tick() override { bulk_->tick(); }
  std::optional<Instant> next_wake() const override { return bulk_->next_wake(); }

  // Tools of crimes.
  void submit(ledger::RecordKind kind, const JobId& job, Bytes payload);
  void send(Bytes message, Channel channel = Channel::control);
  Federation& federation() { return federation_; }
  const crypto::SigningKey& key() const { return key_; }
  const std::vector<std::string>& refusals() const { return refusals_; }

 private:
  struct Job {
    std::optional<protocol::JobSpec> spec;
    bool enrolled = false;
    std::optional<protocol::Slot> committed;
    std::optional<protocol::Slot> revealed;
    protocol::ContentKey content_key;
    Digest root;
    std::uint64_t length = 0;
  };

  void take(const ledger::StateEntry& entry);
  void take_round(const protocol::RoundState& round);
  void commit(Job& job, const protocol::RoundState& round, const protocol::CohortSlot& slot);
  void reveal(Job& job, const protocol::RoundState& round);

  Federation& federation_;
  crypto::SigningKey key_;
  Crime crime_;
  PowerLossDisk disk_;
  std::unique_ptr<BulkEnd> bulk_;
  std::map<JobId, Job> jobs_;
  std::uint64_t seq_ = 0;
  std::vector<std::string> refusals_;
};

}  // namespace fedmesh::sim
