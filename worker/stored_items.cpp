// What outlives the process: the secret behind the data roots, how far the ledger was, what was
// consented to, openings and scores of rounds under way.
#include <algorithm>
#include <charconv>

#include "worker/worker.h"

namespace fedmesh::worker {
namespace {

constexpr const char* kSecretItem = "data-secret";
constexpr const char* kHeadItem = "head";
constexpr const char* kGrantsItem = "grants";
constexpr std::string_view kReceiptWanted = "wanted-receipt-";

struct StoredHead {
  ledger::Header header;
  ledger::Certificate certificate;
  std::uint64_t last_seq = 0;
  FM_FIELDS(header, certificate, last_seq)
};

struct StoredGrants {
  std::vector<std::pair<JobId, std::int64_t>> live;
  std::vector<std::pair<JobId, std::vector<OpenedRound>>> opened;
  std::int64_t ended_nano = 0;
  FM_FIELDS(live, opened, ended_nano)
};

struct ItemName {
  JobId job;
  protocol::Slot slot;
};

template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// "<kind>-<job>-<round>-<attempt>": what opening_item() and score_item() make.
std::optional<ItemName> parse_item(std::string_view name) {
  name.remove_prefix(std::min(name.size(), name.find('-')));
  if (name.size() < 67 || name[65] != '-') return std::nullopt;
  const auto job = JobId::from_hex(name.substr(1, 64));
  name.remove_prefix(66);
  ItemName out;
  if (!job.ok() || !take_number(name, out.slot.round) || !name.starts_with('-'))
    return std::nullopt;
  name.remove_prefix(1);
  if (!take_number(name, out.slot.attempt) || !name.empty()) return std::nullopt;
  out.job = *job;
  return out;
}

std::string slot_name(const JobId& job, const protocol::Slot& slot) {
  return job.hex() + "-" + std::to_string(slot.round.value) + "-" +
         std::to_string(slot.attempt.value);
}

}  // namespace

std::string opening_item(const JobId& job, const protocol::Slot& slot) {
  return "opening-" + slot_name(job, slot);
}
std::string score_item(const JobId& job, const protocol::Slot& slot) {
  return "score-" + slot_name(job, slot);
}

std::string receipt_wanted_item(const JobId& job, const RoundNumber& round) {
  return std::string(kReceiptWanted) + job.hex() + "-" + std::to_string(round.value);
}

Result<void> Worker::restore(PersistedItems items) {
  const auto damaged = [](const std::string& name, const Error& error) {
    return corruption("the stored item '" + name + "' is damaged (" + error.detail +
                      "). Restore it from a backup; without it this worker forgets what it has "
                      "promised or spent (removing 'grants' forgets all epsilon spent so far)");
  };
  for (auto& [name, bytes] : items) {
    if (name == kSecretItem) {
      if (bytes.size() != 32) return damaged(name, corruption("it has another length"));
      std::copy(bytes.begin(), bytes.end(), data_secret_.mutable_view().begin());
      crypto::wipe(bytes);
      data_secret_stored_ = true;
    } else if (name == kHeadItem) {
      const auto head = codec::decode<StoredHead>(bytes);
      if (!head.ok()) return damaged(name, head.error());
      // A head of another network is one that this worker was moved away from.
      if (head->header.chain != chain_) continue;
      if (auto taken = client_.advance(head->header, head->certificate); !taken.ok())
        return damaged(name, taken.error());
      outbox_.restore(head->last_seq);
      head_stored_ = head->header.height;
    } else if (name == kGrantsItem) {
      const auto grants = codec::decode<StoredGrants>(bytes);
      if (!grants.ok()) return damaged(name, grants.error());
      granted_.insert(grants->live.begin(), grants->live.end());
      opened_.insert(grants->opened.begin(), grants->opened.end());
      ended_epsilon_nano_ = grants->ended_nano;
    } else if (name.starts_with(kReceiptWanted)) {
      receipts_wanted_.try_emplace(std::string(as_text(bytes)));
    } else if (name.starts_with("opening-") || name.starts_with("score-")) {
      if (const auto opening = codec::decode<StoredOpening>(bytes); opening.ok())
        restored_roots_[name] = opening->ciphertext_root;
      restored_.emplace(name, std::move(bytes));
    }
  }
  return {};
}

// From the moment the reveal is final: a worker that ends before it has the receipt asks for it
// when it is back, even if the round ended meanwhile.
void Worker::promise_receipt(const JobView& job) {
  const std::string key = protocol::contribution_key(job.id, job.round->slot.round, id_);
  persist(receipt_wanted_item(job.id, job.round->slot.round), to_bytes(as_bytes(key)));
}

void Worker::want_receipt(const JobView& job) {
  if (receipts_wanted_.size() >= kReceiptsWantedMax) return;
  receipts_wanted_.try_emplace(protocol::contribution_key(job.id, job.round->slot.round, id_));
}

// Neither the round nor its job can bring it any more.
void Worker::forget_receipt(const std::string& key) {
  receipts_wanted_.erase(key);
  const auto parts = key.substr(0, key.rfind('/'));
  const auto round = parts.substr(parts.rfind('/') + 1);
  const auto job = parts.substr(0, parts.rfind('/'));
  effects_.push_back(
      Erase{std::string(kReceiptWanted) + job.substr(job.rfind('/') + 1) + "-" + round});
}

// Before anything is committed to with it.
void Worker::ensure_data_secret() {
  if (data_secret_stored_) return;
  random_.fill(data_secret_.mutable_view());
  persist(kSecretItem, to_bytes(data_secret_.view()));
  data_secret_stored_ = true;
}

std::int64_t Worker::spent_nano() const {
  std::int64_t sum = ended_epsilon_nano_;
  for (const auto& [job, epsilon] : granted_)
    sum = epsilon > INT64_MAX - sum ? INT64_MAX : sum + epsilon;
  return sum;
}

void Worker::persist_grants() {
  StoredGrants grants{
      {granted_.begin(), granted_.end()}, {opened_.begin(), opened_.end()}, ended_epsilon_nano_};
  persist(kGrantsItem, codec::encode(grants));
}

// A worker that forgot how far the ledger was could be shown an older, genuine head after a
// restart. Once in ten seconds bounds the cost of flushing.
void Worker::remember_head() {
  const ledger::Header* newest = client_.newest();
  if (newest == nullptr || newest->height <= head_stored_) return;
  if (head_stored_at_ && now_ - *head_stored_at_ < Duration(10'000)) return;
  head_stored_ = newest->height;
  head_stored_at_ = now_;
  persist(kHeadItem,
          codec::encode(StoredHead{*newest, *client_.newest_certificate(), outbox_.last_seq()}));
}

// Of the openings and scores that an earlier process left.
std::set<JobId> Worker::restored_jobs() const {
  std::set<JobId> out;
  for (const auto& [name, bytes] : restored_) {
    const auto id = JobId::from_hex(name.substr(name.find('-') + 1, 64));
    if (id.ok()) out.insert(*id);
  }
  return out;
}

// The coordinator names every live job after its welcome; what belongs to no live job is erased.
void Worker::erase_orphans() {
  if (!orphans_at_ || now_ < *orphans_at_ || restored_.empty() || !peer_ || !welcomed_) return;
  std::vector<std::string> orphans;
  for (const auto& [name, bytes] : restored_) {
    const auto item = parse_item(name);
    if (!item || !jobs_.contains(item->job)) orphans.push_back(name);
  }
  for (const auto& name : orphans) give_up_restored(name);
  orphans_at_ = now_ + Duration(60'000);
}

void Worker::erase_restored(const JobId& job,
                            const std::function<bool(const protocol::Slot&)>& is_over) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : restored_) {
    const auto item = parse_item(name);
    if (item && item->job == job && is_over(item->slot)) names.push_back(name);
  }
  for (const auto& name : names) give_up_restored(name);
}

// What an earlier process left and this one came too late for.
void Worker::give_up_restored(const std::string& name) {
  const auto item = parse_item(name);
  if (item && name.starts_with("opening-")) hope_for_receipt(item->job, item->slot.round);
  erase(name);
}

// The round ended before this worker heard whether its reveal is final. If it is there is a
// receipt; if nothing is answered, there is none.
void Worker::hope_for_receipt(const JobId& job, const RoundNumber& round) {
  const std::string key = protocol::contribution_key(job, round, id_);
  if (receipts_wanted_.contains(key) || receipts_hoped_for_.size() >= kReceiptsWantedMax) return;
  receipts_hoped_for_.emplace(key, 0);
  if (peer_ && welcomed_) ask_for_hoped();
}

void Worker::ask_for_hoped() {
  for (auto& [key, query] : receipts_hoped_for_) {
    if (query != 0) continue;
    query = ++last_query_;
    send(protocol::StateQuery{query, key, "", 1});
  }
}

}  // namespace fedmesh::worker
