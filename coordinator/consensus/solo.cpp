#include "coordinator/consensus/solo.h"

#include <algorithm>
#include <utility>

namespace fedmesh::consensus {

Solo::Solo(ledger::Chain& chain, crypto::SigningKey key, const SoloOptions& options)
    : chain_(chain), key_(std::move(key)), options_(options), pool_(options.pool) {}

Result<std::unique_ptr<Solo>> Solo::create(ledger::Chain& chain, crypto::SigningKey key,
                                           const SoloOptions& options) {
  const auto& committee = chain.genesis().committee;
  if (committee.size() != 1 || committee[0] != key.public_key())
    return invalid_argument("the genesis names a committee of " + std::to_string(committee.size()) +
                            ", led by " + committee[0].short_hex() +
                            "; deciding alone needs exactly this key, " +
                            key.public_key().short_hex());
  if (options.block.records == 0 || options.block.bytes < ledger::kMaxRecordBytes ||
      options.blocks_per_step == 0)
    return invalid_argument("a block must have room for any one record");
  return std::unique_ptr<Solo>(new Solo(chain, std::move(key), options));
}

Effects Solo::step(Instant now, const Event& event) {
  Effects effects;
  if (halted_) return effects;
  if (const auto* records = std::get_if<Submit>(&event)) submit(*records, effects);
  run(now, effects);
  return effects;
}

void Solo::submit(const Submit& event, Effects& effects) {
  for (const ledger::Record& record : event.records) {
    if (auto good = chain_.check(record); !good.ok()) {
      effects.push_back(Rejected{ledger::record_hash(record), good.error()});
      continue;
    }
    // A record that waits already is answered once, when its block is final.
    if (auto added = pool_.add(record); !added.ok())
      effects.push_back(Rejected{ledger::record_hash(record), added.error()});
  }
}

bool Solo::deadline_due(Instant now) const {
  const std::optional<Instant> deadline = chain_.next_deadline();
  return deadline && *deadline <= std::max(now, chain_.timestamp()) &&
         deadline != uncleared_deadline_;
}

void Solo::run(Instant now, Effects& effects) {
  std::size_t blocks = 0;
  while (!halted_ && blocks < options_.blocks_per_step && (!pool_.empty() || deadline_due(now)) &&
         make_block(now, effects))
    ++blocks;
  if (halted_) return;
  if (!pool_.empty() || deadline_due(now)) {
    effects.push_back(WakeAt{now});
  } else if (const auto deadline = chain_.next_deadline();
             deadline && deadline != uncleared_deadline_) {
    effects.push_back(WakeAt{*deadline});
  }
}

bool Solo::make_block(Instant now, Effects& effects) {
  const auto candidates = pool_.candidates();
  auto proposal = chain_.propose(now, candidates, key_.public_key(), options_.block);
  if (!proposal.ok()) {
    halted_ = true;
    effects.push_back(Halted{proposal.error()});
    return false;
  }
  std::vector<std::size_t> done = proposal->included;
  Effects accepted;
  const ledger::Header header = proposal->block.header;
  for (const std::size_t i : proposal->included)
    accepted.push_back(Accepted{ledger::record_hash(candidates[i]), header.height});
  for (const auto& refusal : proposal->refused) {
    effects.push_back(Rejected{ledger::record_hash(candidates[refusal.candidate]), refusal.reason});
    done.push_back(refusal.candidate);
  }
  const bool wanted = !proposal->included.empty() || deadline_due(now);
  pool_.remove(done);
  if (!wanted) return false;

  const Digest hash = ledger::header_hash(header);
  const std::uint64_t view = header.height.value;
  const auto type = ledger::VoteType::finalize;
  const auto vote =
      key_.sign(ledger::vote_signed_bytes(type, chain_.session(), view, header.height, hash));
  ledger::CertifiedBlock block{
      std::move(proposal->block),
      ledger::make_certificate(type, chain_.session(), view, header.height, hash, 1, {{0, vote}})};
  if (auto stored = chain_.commit_own(block); !stored.ok()) {
    halted_ = true;
    effects.push_back(Halted{stored.error()});
    return false;
  }
  effects.push_back(Finalized{std::move(block)});
  std::move(accepted.begin(), accepted.end(), std::back_inserter(effects));
  const auto deadline = chain_.next_deadline();
  uncleared_deadline_ = deadline && deadline->ms <= header.timestamp_ms ? deadline : std::nullopt;
  return true;
}

}  // namespace fedmesh::consensus
