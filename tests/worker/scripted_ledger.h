// A ledger whose state the test writes by hand, with real signatures, certificates and proofs; and
// the jobs that tests of the worker use.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto/keys.h"
#include "base/random.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/proof.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/state.h"
#include "models/data/generators.h"

namespace fedmesh::worker {

// Secrets that differ from draw to draw and repeat from run to run.
class CountingRandom final : public SecureRandom {
 public:
  explicit CountingRandom(std::uint64_t seed) : random_(seed) {}
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
  }

 private:
  SeededRandom random_;
};

inline crypto::SigningKey test_key(std::uint8_t number) {
  return crypto::SigningKey::from_seed(crypto::Secret<32>(std::array<std::uint8_t, 32>{number}));
}

// State entries under headers of a committee of one.
class ScriptedLedger {
 public:
  ScriptedLedger() {
    genesis_.network_name = "test";
    genesis_.created_ms = 1'000;
    genesis_.committee = {key_.public_key()};
  }

  const ledger::Genesis& genesis() const { return genesis_; }
  ChainId chain() const { return ledger::chain_id(genesis_); }

  template <class T>
  void put(const std::string& key, const T& value) {
    state_.put(key, codec::encode(value));
    changed_.push_back(key);
  }

  // The next block: a certified header over the state, with what changed since the last.
  protocol::StateUpdate block(Instant now) {
    ledger::Header header;
    header.chain = chain();
    header.height = last_ ? last_->height.next() : Height{1};
    header.parent_hash = last_ ? ledger::header_hash(*last_) : Digest{chain().bytes};
    header.timestamp_ms = std::max(now.ms, last_ ? last_->timestamp_ms + 1 : now.ms);
    header.state_root = state_.root();
    header.committee_hash = header.next_committee_hash = ledger::committee_hash(genesis_.committee);
    header.proposer = key_.public_key();
    last_ = header;
    protocol::StateUpdate update{header, certify(header), {}};
    for (const auto& key : changed_) update.entries.push_back(ledger::state_entry(state_, key));
    changed_.clear();
    return update;
  }

  ledger::Certificate certify(const ledger::Header& header) const {
    const Digest hash = ledger::header_hash(header);
    const Digest session = ledger::session_id(chain(), 0, {}, header.committee_hash);
    const Bytes vote =
        ledger::vote_signed_bytes(ledger::VoteType::finalize, session, 1, header.height, hash);
    return ledger::make_certificate(ledger::VoteType::finalize, session, 1, header.height, hash, 1,
                                    {{0, key_.sign(vote)}});
  }

 private:
  crypto::SigningKey key_ = test_key(99);
  ledger::Genesis genesis_;
  ledger::State state_;
  std::vector<std::string> changed_;
  std::optional<ledger::Header> last_;
};

// Unit worker on the generated clinics, small enough to answer by hand: 12 parameters.
inline protocol::JobSpec clinics_job() {
  protocol::JobSpec spec;
  spec.name = "clinics";
  spec.schema = models::clinics_schema();
  spec.architecture.kind = models::ArchitectureKind::logistic;
  spec.architecture.input_shape = {static_cast<std::int64_t>(spec.schema.features())};
  spec.training.options.learning_rate_nano = 50'000'000;
  spec.federation.rounds = 5;
  spec.federation.enrol_ms = 60'000;
  spec.federation.commit_ms = 60'000;
  spec.federation.reveal_ms = 60'000;
  spec.federation.committee_ms = 20'000;
  spec.federation.evaluation_ms = 20'000;
  spec.privacy.fraction_bits = 16;
  return spec;
}

inline protocol::JobSpec private_clinics_job() {
  protocol::JobSpec spec = clinics_job();
  spec.privacy.mechanism = protocol::Mechanism::laplace;
  spec.privacy.clip_granules = 1 << 16;
  spec.privacy.epsilon_per_round_nano = 100'000'000;
  spec.privacy.total = {1'000'000'000, 0};
  return spec;
}

}  // namespace fedmesh::worker
