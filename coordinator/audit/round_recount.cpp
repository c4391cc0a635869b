#include "coordinator/audit/round_recount.h"

#include <algorithm>
#include <optional>
#include <set>

#include "coordinator/ledger/merkle.h"

namespace fedmesh::audit {
namespace {

using protocol::CohortSlot;
using protocol::MemberSlot;
using protocol::RoundKind;
using protocol::RoundPhase;
using protocol::RoundState;
using protocol::ValidatorSlot;

template <class Payload>
const Said<Payload>* find(const SaidBy<Payload>& list, const NodeId& node) {
  const auto at = list.find(node);
  return at == list.end() ? nullptr : &at->second;
}

// Whoever has a record is one of `slots` that the state marks so, and the other way round.
template <class Payload, class Slot, class Marked>
Result<void> same_authors(const SaidBy<Payload>& said, const std::vector<Slot>& slots,
                          NodeId Slot::*id, Marked marked, const char* what) {
  std::size_t matched = 0;
  for (const Slot& slot : slots) {
    const auto* found = find(said, slot.*id);
    if (marked(slot) != (found != nullptr))
      return corruption(std::string("the state and the records disagree whether node ") +
                        (slot.*id).short_hex() + " sent its " + what);
    if (found != nullptr) ++matched;
  }
  if (matched == said.size()) return {};
  for (const auto& [author, record] : said) {
    const bool known = std::any_of(slots.begin(), slots.end(),
                                   [&](const Slot& slot) { return slot.*id == author; });
    if (!known)
      return corruption(record.record->place() + ": its author " + author.short_hex() +
                        " has no part in the round");
  }
  return corruption(std::string("a node stands twice among those who send their ") + what);
}

class RoundRecount {
 public:
  explicit RoundRecount(const RoundQuestion& q)
      : q_(q), spec_(q.spec), story_(q.story), round_(q.round) {}

  Result<std::uint32_t> run() {
    FM_TRY_VOID(opening());
    FM_TRY_VOID(cohort());
    FM_TRY_VOID(commitments());
    FM_TRY_VOID(members());
    FM_TRY_VOID(reveal_set());
    FM_TRY_VOID(epsilon());
    FM_TRY_VOID(attestations());
    FM_TRY_VOID(scores());
    FM_TRY_VOID(outcome());
    return attested_;
  }

 private:
  bool frozen() const { return round_.reveal_set_root.has_value(); }
  std::size_t faults() const { return (round_.members.size() - 1) / 3; }
  std::size_t quorum() const { return round_.members.size() - faults(); }

  Result<void> opening() {
    const bool query = round_.slot.round.value == 0;
    if (query && !spec_.has_query_round()) return corruption("the job asks for no query round");
    if ((round_.kind == RoundKind::standardisation) != query)
      return corruption("the state names another kind of round than the job has here");
    if (story_.beacon == nullptr) return corruption("no beacon record opens it");
    if (round_.beacon != story_.beacon_value)
      return corruption("its beacon is not the hash chain over the beacon records");
    if (round_.opened_ms != story_.beacon->header->timestamp_ms)
      return corruption("it was opened at another time than its beacon's block");
    if (round_.config_hash != q_.config_hash)
      return corruption("its config hash is not that of the job record");
    if (round_.base_root != q_.base_root)
      return corruption("its base model is not what the round before has left");
    return {};
  }

  Result<void> cohort() {
    const auto& cohort = round_.cohort;
    if (cohort.size() < spec_.federation.min_updates ||
        cohort.size() > spec_.federation.max_participants)
      return corruption("a cohort of " + std::to_string(cohort.size()) +
                        " workers, the job allows " + std::to_string(spec_.federation.min_updates) +
                        " to " + std::to_string(spec_.federation.max_participants));
    for (std::size_t i = 0; i < cohort.size(); ++i) {
      if (i > 0 && cohort[i].worker <= cohort[i - 1].worker)
        return corruption("the cohort is not in id order");
      const auto enrolled = story_.enrolled->find(cohort[i].worker);
      if (enrolled == story_.enrolled->end())
        return corruption("worker " + cohort[i].worker.short_hex() + " has not enrolled");
      if (enrolled->second.data_root != cohort[i].data_root ||
          enrolled->second.record_count != cohort[i].record_count)
        return corruption("worker " + cohort[i].worker.short_hex() +
                          " enrolled with other data than the state says");
    }
    return {};
  }

  Result<void> commitments() {
    FM_TRY_VOID(same_authors(
        story_.commits, round_.cohort, &CohortSlot::worker,
        [](const CohortSlot& slot) { return slot.commitment.has_value(); }, "commitment"));
    FM_TRY_VOID(same_authors(
        story_.reveals, round_.cohort, &CohortSlot::worker,
        [](const CohortSlot& slot) { return slot.reveal.has_value(); }, "reveal"));
    std::set<Digest> seen;
    for (const CohortSlot& slot : round_.cohort) {
      if (!slot.commitment) {
        if (slot.reveal) return corruption("a worker revealed what it had not committed to");
        continue;
      }
      if (*slot.commitment != find(story_.commits, slot.worker)->what.commitment)
        return corruption("the commitment of worker " + slot.worker.short_hex() +
                          " is not that of its record");
      if (!seen.insert(*slot.commitment).second)
        return corruption("two workers have the same commitment");
      if (slot.reveal && *slot.reveal != find(story_.reveals, slot.worker)->record->hash)
        return corruption("the reveal of worker " + slot.worker.short_hex() +
                          " is not the hash of its record");
    }
    return {};
  }

  Result<void> members() {
    if (round_.members.empty() || round_.members.size() % 3 != 1 ||
        round_.members.size() > spec_.aggregation.aggregators)
      return corruption("a committee of " + std::to_string(round_.members.size()) +
                        " aggregators, the job asks for " +
                        std::to_string(spec_.aggregation.aggregators));
    FM_TRY_VOID(same_authors(
        story_.accepts, round_.members, &MemberSlot::member,
        [](const MemberSlot& slot) { return slot.round_key.has_value(); }, "acceptance"));
    for (const MemberSlot& slot : round_.members)
      if (slot.round_key && *slot.round_key != find(story_.accepts, slot.member)->what.round_key)
        return corruption("the round key of member " + slot.member.short_hex() +
                          " is not that of its record");
    FM_TRY_VOID(same_authors(
        story_.avails, round_.members, &MemberSlot::member,
        [](const MemberSlot& slot) { return slot.availed; }, "availability"));
    return same_authors(
        story_.attests, round_.members, &MemberSlot::member,
        [](const MemberSlot& slot) { return slot.attested.has_value(); }, "attestation");
  }

  // How many members checked and kept the update of each cohort member.
  Result<std::vector<std::size_t>> yes_counts() const {
    const std::size_t count = round_.cohort.size();
    std::vector<std::size_t> yes(count);
    for (const auto& [member, avail] : story_.avails) {
      const Bytes& bitmap = avail.what.bitmap;
      if (bitmap.size() != (count + 7) / 8)
        return corruption(avail.record->place() + ": its bitmap has another size than the cohort");
      for (std::size_t i = 0; i < bitmap.size() * 8; ++i) {
        if (((bitmap[i / 8] >> (i % 8)) & 1) == 0) continue;
        if (i >= count || !round_.cohort[i].reveal)
          return corruption(avail.record->place() + ": it vouches for an update that is not there");
        ++yes[i];
      }
    }
    return yes;
  }

  Result<void> reveal_set() {
    FM_TRY(const std::vector<std::size_t> yes, yes_counts());
    std::vector<Digest> leaves;
    for (std::size_t i = 0; i < yes.size(); ++i) {
      const CohortSlot& slot = round_.cohort[i];
      const bool in_set = frozen() && slot.reveal && yes[i] >= faults() + 1;
      if (slot.yes != yes[i] || slot.in_set != in_set)
        return corruption("the availability of worker " + slot.worker.short_hex() +
                          "'s update is not what the records say");
      if (in_set) leaves.push_back(find(story_.reveals, slot.worker)->record->hash);
    }
    if (!frozen()) return {};
    if (story_.avails.size() < quorum())
      return corruption("the reveal set is frozen without a quorum of availability records");
    if (leaves.size() < spec_.federation.min_updates)
      return corruption("the reveal set has " + std::to_string(leaves.size()) +
                        " updates, the job needs " + std::to_string(spec_.federation.min_updates));
    if (*round_.reveal_set_root != ledger::merkle_root_of_hashes(leaves))
      return corruption("the reveal set's root is not that of the reveal records");
    return {};
  }

  Result<void> epsilon() {
    const bool is_private = spec_.privacy.mechanism != protocol::Mechanism::none;
    const std::int64_t due = !is_private ? 0
                             : round_.kind == RoundKind::standardisation
                                 ? spec_.preprocessing.epsilon_nano
                                 : spec_.privacy.epsilon_per_round_nano;
    if (round_.epsilon_nano != due)
      return corruption("it costs an epsilon of " + std::to_string(round_.epsilon_nano) +
                        " nano, the job says " + std::to_string(due));
    if (round_.charged != (is_private && frozen()))
      return corruption("a frozen reveal set is charged for, and nothing else is");
    return {};
  }

  Result<void> attestations() {
    for (const MemberSlot& slot : round_.members) {
      if (!slot.attested) continue;
      const auto& said = *find(story_.attests, slot.member);
      if (!frozen())
        return corruption(said.record->place() + ": it attests before the reveal set is frozen");
      const Digest binding =
          protocol::attest_binding(q_.config_hash, *round_.reveal_set_root, said.what.base_root,
                                   said.what.model_root, said.what.model_sha256);
      if (said.what.binding != binding || *slot.attested != binding)
        return corruption(said.record->place() + ": it is not bound to the round's reveal set");
    }
    return round_.aggregate ? aggregate(*round_.aggregate) : Result<void>();
  }

  // The binding does not cover the SHA-256, so the state counts attestations that differ in it.
  // Here only those to exactly this file count.
  Result<void> aggregate(const protocol::Attest& chosen) {
    std::size_t equal = 0;
    for (const auto& [member, said] : story_.attests) {
      if (said.what.binding != chosen.binding) continue;
      ++equal;
      if (said.what.model_sha256 == chosen.model_sha256) ++attested_;
    }
    if (attested_ < quorum())
      return corruption("no quorum of aggregators attests the model's SHA-256");
    if (chosen.slot != round_.slot || equal < quorum() || equal != round_.attestations)
      return corruption("the aggregate is attested by " + std::to_string(equal) + " of " +
                        std::to_string(round_.members.size()) + " aggregators, the state says " +
                        std::to_string(round_.attestations) + ", " + std::to_string(quorum()) +
                        " are needed");
    if (round_.kind == RoundKind::standardisation && chosen.base_root != round_.base_root)
      return corruption("a query round changed the base model");
    if (round_.kind == RoundKind::training && !spec_.training.average_iterates &&
        chosen.base_root != chosen.model_root)
      return corruption("the next round does not start from the released model");
    return {};
  }

  Result<void> scores() {
    FM_TRY_VOID(same_authors(
        story_.score_commits, round_.validators, &ValidatorSlot::validator,
        [](const ValidatorSlot& slot) { return slot.commitment.has_value(); }, "score commitment"));
    FM_TRY_VOID(same_authors(
        story_.score_reveals, round_.validators, &ValidatorSlot::validator,
        [](const ValidatorSlot& slot) { return slot.score.has_value(); }, "score"));
    std::vector<protocol::Score> opened;
    for (const ValidatorSlot& slot : round_.validators) {
      if (!slot.score) continue;
      const auto& said = *find(story_.score_reveals, slot.validator);
      const auto* committed = find(story_.score_commits, slot.validator);
      const Digest expected = protocol::score_commitment(
          q_.chain, round_.job, round_.slot, slot.validator, said.what.score, said.what.salt);
      if (committed == nullptr || committed->what.commitment != expected ||
          !(said.what.score == *slot.score))
        return corruption(said.record->place() + ": the score does not open its commitment");
      opened.push_back(said.what.score);
    }
    const bool due = round_.phase == RoundPhase::finished && !opened.empty();
    if (round_.validation != (due ? std::optional(lower_median(opened)) : std::nullopt))
      return corruption("its validation is not the median of the opened scores");
    return {};
  }

  static protocol::Score lower_median(const std::vector<protocol::Score>& scores) {
    protocol::Score out;
    const auto middle = [&](auto field) {
      std::multiset<std::remove_cvref_t<decltype(out.*field)>> values;
      for (const auto& score : scores) values.insert(score.*field);
      return *std::next(values.begin(), static_cast<std::ptrdiff_t>((values.size() - 1) / 2));
    };
    out.loss_micro = middle(&protocol::Score::loss_micro);
    out.correct = middle(&protocol::Score::correct);
    out.count = middle(&protocol::Score::count);
    return out;
  }

  Result<void> outcome() {
    if (round_.phase == RoundPhase::finished && !round_.aggregate)
      return corruption("it is finished without an aggregate");
    if (round_.aggregate && !frozen()) return corruption("an aggregate without a reveal set");
    return {};
  }

  const RoundQuestion& q_;
  const protocol::JobSpec& spec_;
  const RoundStory& story_;
  const RoundState& round_;
  std::uint32_t attested_ = 0;
};

}  // namespace

Result<std::uint32_t> recount_round(const RoundQuestion& question) {
  return RoundRecount(question).run();
}

}  // namespace fedmesh::audit
