#include "coordinator/audit/job_story.h"

#include <algorithm>
#include <optional>

#include "base/crypto/digest.h"
#include "coordinator/ledger/block_check.h"

namespace fedmesh::audit {
namespace {

using ledger::RecordKind;
using protocol::Slot;

bool contains(const std::vector<crypto::PublicKey>& keys, const crypto::PublicKey& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

class Reader {
 public:
  Reader(const ledger::Genesis& genesis, const JobId& job)
      : genesis_(genesis), chain_(ledger::chain_id(genesis)), job_(job) {}

  Result<void> read(const JobRecord& record) {
    if (record.record->kind == RecordKind::admit) return {};  // says nothing about the job
    if (!submitted_ && record.record->kind != RecordKind::job)
      return corruption("it comes before the record that creates the job");
    if (story_.stopped) return corruption("it comes after the job was stopped");
    switch (record.record->kind) {
      case RecordKind::admit:
        return {};
      case RecordKind::job:
        return submit(record);
      case RecordKind::stop:
        return stop(record);
      case RecordKind::enrol:
        return enrol(record);
      case RecordKind::decline:
        return decline(record);
      case RecordKind::beacon:
        return beacon(record);
      case RecordKind::accept:
        return note<protocol::Accept>(record, Stage::accept, &RoundStory::accepts);
      case RecordKind::commit:
        return note<protocol::Commit>(record, Stage::commit, &RoundStory::commits);
      case RecordKind::reveal:
        return note<protocol::Reveal>(record, Stage::reveal, &RoundStory::reveals);
      case RecordKind::avail:
        return note<protocol::Avail>(record, Stage::avail, &RoundStory::avails);
      case RecordKind::attest:
        return note<protocol::Attest>(record, Stage::attest, &RoundStory::attests);
      case RecordKind::score_commit:
        return note<protocol::ScoreCommit>(record, Stage::score_commit, &RoundStory::score_commits);
      case RecordKind::score_reveal:
        return note<protocol::ScoreReveal>(record, Stage::score_reveal, &RoundStory::score_reveals);
      case RecordKind::evidence:
        return evidence(record);
    }
    return corruption("a record of an unknown kind");
  }

  Result<JobStory> finish() {
    if (!submitted_)
      return corruption("job " + job_.short_hex() + ": no record of the ledger creates it");
    return std::move(story_);
  }

 private:
  Result<void> submit(const JobRecord& at) {
    if (submitted_) return corruption("the job is created twice");
    FM_TRY(const auto payload, protocol::decode_payload<protocol::Job>(at.record->payload));
    FM_TRY_VOID(payload.spec.validate());
    if (protocol::job_id(chain_, at.record->author, at.record->author_seq, payload.spec) != job_)
      return corruption("the job's id is not the hash of its record");
    story_.spec = payload.spec;
    story_.owner = at.record->author;
    story_.submitted_ms = at.header->timestamp_ms;
    submitted_ = true;
    return {};
  }

  // It stands for itself: two commitments that one key signed for one round.
  Result<void> evidence(const JobRecord& at) {
    FM_TRY(const auto evidence, protocol::decode_payload<protocol::Evidence>(at.record->payload));
    std::vector<std::pair<crypto::PublicKey, protocol::Commit>> said;
    for (const Bytes* bytes : {&evidence.first, &evidence.second}) {
      FM_TRY(const auto record, ledger::decode_record(*bytes));
      FM_TRY_VOID(ledger::verify_record(record, chain_));
      if (record.kind != RecordKind::commit || record.job != job_)
        return corruption("evidence that is not about commitments of this job");
      FM_TRY(const auto commit, protocol::decode_payload<protocol::Commit>(record.payload));
      said.emplace_back(record.author, commit);
    }
    if (said[0].first != said[1].first || said[0].second.slot != said[1].second.slot ||
        said[0].second.commitment == said[1].second.commitment)
      return corruption("evidence that proves nothing");
    return {};
  }

  Result<void> stop(const JobRecord& at) {
    if (at.record->author != story_.owner && !contains(genesis_.operators, at.record->author))
      return corruption("neither the job's owner nor an operator signed it");
    story_.stopped = true;
    return {};
  }

  // Rounds keep the enrolments that they were opened with.
  Enrolments& changeable_enrolments() {
    if (story_.enrolled.use_count() > 1)
      story_.enrolled = std::make_shared<Enrolments>(*story_.enrolled);
    return *story_.enrolled;
  }

  Result<void> enrol(const JobRecord& at) {
    FM_TRY(auto enrol, protocol::decode_payload<protocol::Enrol>(at.record->payload));
    if (enrol.schema_hash != story_.spec.schema.hash())
      return corruption("the worker enrolled with data of another schema");
    const NodeId worker = at.record->author_id();
    if (!changeable_enrolments().emplace(worker, std::move(enrol)).second)
      return corruption("worker " + worker.short_hex() + " enrolled twice");
    story_.declined.erase(worker);
    return {};
  }

  Result<void> decline(const JobRecord& at) {
    const NodeId worker = at.record->author_id();
    if (!story_.declined.insert(worker).second)
      return corruption("worker " + worker.short_hex() + " declined twice");
    changeable_enrolments().erase(worker);
    return {};
  }

  Result<void> beacon(const JobRecord& at) {
    FM_TRY(const auto beacon, protocol::decode_payload<protocol::Beacon>(at.record->payload));
    if (at.record->author != at.header->proposer ||
        !contains(genesis_.committee, at.record->author))
      return corruption("the beacon is not of the member of the committee that proposed the block");
    if (open_ && beacon.slot < *open_)
      return corruption("the beacon is for " + slot_text(beacon.slot) + ", after " +
                        slot_text(*open_));
    RoundStory& round = story_.rounds[beacon.slot];
    if (round.stage != Stage::open)
      return corruption(slot_text(beacon.slot) + " has begun already");
    story_.beacon = crypto::Blake2b("fedmesh/beacon/v1")
                        .add(story_.beacon)
                        .add(job_)
                        .add(beacon.slot.round)
                        .add(beacon.slot.attempt)
                        .add(ByteView(beacon.randomness))
                        .finish();
    round.beacon = &at;
    round.beacon_value = story_.beacon;
    round.enrolled = story_.enrolled;
    open_ = beacon.slot;
    return {};
  }

  Result<void> enter_stage(const JobRecord& at, RoundStory& round, Stage stage) {
    if (stage < round.stage) return corruption("it comes after records of a later phase");
    // Phases change between blocks; only the opening happens within one.
    if (stage > round.stage && round.stage != Stage::open &&
        at.header->height == round.stage_height)
      return corruption("a phase ended and the next began in one block");
    round.stage = stage;
    round.stage_height = at.header->height;
    return {};
  }

  template <class Payload>
  Result<void> note(const JobRecord& at, Stage stage, SaidBy<Payload> RoundStory::*list) {
    FM_TRY(auto payload, protocol::decode_payload<Payload>(at.record->payload));
    if (open_ != payload.slot)
      return corruption("it is for " + slot_text(payload.slot) + ", which is not open");
    RoundStory& round = story_.rounds[payload.slot];
    FM_TRY_VOID(enter_stage(at, round, stage));
    const NodeId author = at.record->author_id();
    if (!(round.*list).emplace(author, Said<Payload>{std::move(payload), &at}).second)
      return corruption("node " + author.short_hex() + " has said this already");
    return {};
  }

  const ledger::Genesis& genesis_;
  const ChainId chain_;
  const JobId job_;
  JobStory story_;
  bool submitted_ = false;
  std::optional<Slot> open_;  // of the newest beacon
};

}  // namespace

std::string slot_text(const Slot& slot) {
  std::string text = "round " + std::to_string(slot.round.value);
  if (slot.attempt.value > 0) text += " attempt " + std::to_string(slot.attempt.value);
  return text;
}

std::string JobRecord::place() const { return ledger::describe(header->height, index, *record); }

std::vector<JobRecord> records_of(const ledger::Export& ledger, const JobId& job) {
  std::vector<JobRecord> out;
  for (const auto& certified : ledger.blocks) {
    const auto& block = certified.block;
    for (std::size_t i = 0; i < block.records.size(); ++i)
      if (block.records[i].job == job)
        out.push_back({&block.records[i], &block.header, i, ledger::record_hash(block.records[i])});
  }
  return out;
}

Result<JobStory> read_story(const ledger::Genesis& genesis, const std::vector<JobRecord>& records,
                            const JobId& job) {
  Reader reader(genesis, job);
  for (const JobRecord& record : records)
    if (auto good = reader.read(record); !good.ok())
      return corruption(record.place() + ": " + good.error().detail);
  return reader.finish();
}

}  // namespace fedmesh::audit
