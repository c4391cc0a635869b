#include "samples.h"

#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/sealing.h"
#include "coordinator/protocol/state.h"
#include "sample_job.h"

namespace fedmesh::protocol {
namespace {

using crypto::PublicKey;

PublicKey key(std::uint8_t first) { return PublicKey{sample_id(first).bytes}; }
NodeId node(std::uint8_t first) { return NodeId{sample_id(first).bytes}; }
JobId job() { return JobId{sample_id(40).bytes}; }
ChainId chain() { return ChainId{sample_id(50).bytes}; }

constexpr Slot kSlot{RoundNumber{3}, Attempt{1}};
const Bytes kText{'f', 'e', 'd'};

ledger::Header header() {
  ledger::Header out;
  out.chain = chain();
  out.height = Height{12};
  out.parent_hash = sample_id(1);
  out.timestamp_ms = 1'700'000'000'000;
  out.body_root = sample_id(2);
  out.state_root = sample_id(3);
  out.log_size = 77;
  out.log_root = sample_id(4);
  out.committee_hash = sample_id(5);
  out.next_committee_hash = sample_id(6);
  out.proposer = key(7);
  return out;
}

ledger::Certificate certificate() {
  ledger::Certificate out;
  out.session = sample_id(8);
  out.view = 5;
  out.height = Height{12};
  out.block_hash = sample_id(9);
  out.bitmap = {0x01};
  out.signatures = {ledger::SignatureBytes{1, 2, 3}};
  return out;
}

ledger::Record record() {
  ledger::Record out;
  out.kind = ledger::RecordKind::commit;
  out.chain = chain();
  out.author = key(10);
  out.job = job();
  out.author_seq = 4;
  out.payload = kText;
  out.signature.bytes[0] = 9;
  return out;
}

StateUpdate state_update() {
  StateUpdate out{header(), certificate(), {}};
  out.entries.push_back({"job/x", kText, {{sample_id(11), sample_id(12)}, std::nullopt}});
  out.entries.push_back(
      {"job/y", std::nullopt, {{}, ledger::StateLeaf{sample_id(13), sample_id(14)}}});
  return out;
}

Attest attest() { return {kSlot, sample_id(15), sample_id(16), sample_id(17), sample_id(18)}; }
Score score() { return {693'147, 812, 1000}; }

// Two commit records of one worker for one slot, which name different commitments.
Evidence evidence() {
  const auto worker = crypto::SigningKey::from_seed(crypto::Secret<32>(sample_id(10).bytes));
  const auto signed_commit = [&](std::uint64_t seq, std::uint8_t commitment) {
    return ledger::encode_record(
        ledger::sign_record(worker, ledger::RecordKind::commit, chain(), job(), seq,
                            codec::encode(Commit{kSlot, sample_id(commitment)})));
  };
  Evidence out{signed_commit(4, 1), signed_commit(5, 2)};
  if (BytesLess()(out.second, out.first)) std::swap(out.first, out.second);
  return out;
}

std::array<std::uint8_t, 32> salt() { return sample_id(60).bytes; }

JobState job_state() {
  JobState out;
  out.id = job();
  out.owner = key(20);
  out.name = "clinics";
  out.config_hash = sample_id(21);
  out.submitted_ms = 1'700'000'000'000;
  out.phase = JobPhase::running;
  out.reason = "round 3 is open";
  out.phase_deadline_ms = 1'700'000'060'000;
  out.next = kSlot;
  out.void_rounds = 1;
  out.privacy.total = {1'000'000'000, 0};
  out.privacy.charged = {{90'000'000, 2}, {100'000'000, 1}};
  out.privacy.reserved = {{90'000'000, 1}};
  out.base_root = sample_id(22);
  out.model_root = sample_id(23);
  out.model_sha256 = sample_id(24);
  out.standardisation_root = sample_id(25);
  out.enrolled = {node(26), node(27)};
  out.declined = {node(28)};
  out.beacon = sample_id(29);
  out.validation = score();
  out.rounds_done = 2;
  return out;
}

RoundState round_state() {
  RoundState out;
  out.job = job();
  out.slot = kSlot;
  out.phase = RoundPhase::unveiling;
  out.reason = "";
  out.opened_ms = 10;
  out.phase_opened_ms = 20;
  out.deadline_ms = 30;
  out.beacon = sample_id(30);
  out.base_root = sample_id(31);
  out.config_hash = sample_id(32);
  out.epsilon_nano = 90'000'000;
  out.charged = true;
  out.cohort.push_back({node(26), sample_id(33), 500, sample_id(34), sample_id(35), 1, true});
  out.cohort.push_back({node(27), sample_id(36), 600, std::nullopt, std::nullopt, 0, false});
  out.members.push_back({node(37), crypto::X25519Public{sample_id(38).bytes}, true, sample_id(39)});
  out.replacements = {node(41)};
  out.committee_tier = 1;
  out.replaced = {node(42)};
  out.reveal_set_root = sample_id(43);
  out.aggregate = attest();
  out.attestations = 1;
  out.validators.push_back({node(44), sample_id(45), score()});
  out.validation = score();
  return out;
}

class Samples {
 public:
  Samples() {
    messages();
    payloads();
    states();
  }
  std::vector<Sample> take() { return std::move(samples_); }

 private:
  void message(std::string name, const Message& value) {
    samples_.push_back(
        {"message " + std::move(name), encode_message(value), [](ByteView bytes) -> Result<Bytes> {
           FM_TRY(const Message back, decode_message(bytes));
           return encode_message(back);
         }});
  }
  template <class T>
  void payload(std::string name, const T& value) {
    samples_.push_back(
        {"payload " + std::move(name), codec::encode(value), [](ByteView bytes) -> Result<Bytes> {
           FM_TRY(const T back, decode_payload<T>(bytes));
           return codec::encode(back);
         }});
  }
  template <class T>
  void state(std::string name, const T& value) {
    samples_.push_back(
        {"state " + std::move(name), codec::encode(value), [](ByteView bytes) -> Result<Bytes> {
           FM_TRY(const T back, decode_state<T>(bytes));
           return codec::encode(back);
         }});
  }

  void messages() {
    message("hello", Hello{chain(), "fedmesh/0.1.0", true, std::nullopt});
    message("hello with head",
            Hello{chain(), "fedmesh/0.1.0", true, ProvenHead{header(), certificate()}});
    message("welcome", Welcome{kText, Height{9}, 7402});
    message("submit record", SubmitRecord{kText});
    message("record result", RecordResult{sample_id(1), Height{9}, ""});
    message("record refused", RecordResult{sample_id(1), std::nullopt, "stale"});
    message("state update", state_update());
    message("blob offer", BlobOffer{sample_id(1), 3000});
    message("blob stored", BlobOfferAnswer{sample_id(1), true, ""});
    message("blob refused", BlobOfferAnswer{sample_id(1), false, "no room"});
    message("state query", StateQuery{1, "job/", "job/a", 50});
    message("state answer", StateAnswer{1, state_update(), true});
    message("block query", BlockQuery{2, Height{5}});
    message("block answer", BlockAnswer{2, Height{12}, {{{header(), {record()}}, certificate()}}});
    message("status query", StatusQuery{3});
    message("status answer", StatusAnswer{3, "fedmesh/0.1.0", {{node(1), 10, 20}}});
  }

  void payloads() {
    payload("admit", Admit{key(1), kRoleWorker | kRoleValidator, "clinic-a"});
    payload("job of records", Job{record_job()});
    payload("job of workers", Job{worker_job()});
    payload("stop", Stop{"enough"});
    payload("enrol", Enrol{sample_id(1), 1200, sample_id(2), 2048, true});
    payload("decline", Decline{true});
    payload("beacon", Beacon{kSlot, salt()});
    payload("accept", Accept{kSlot, crypto::X25519Public{sample_id(3).bytes}});
    payload("commit", Commit{kSlot, sample_id(4)});
    payload("reveal", Reveal{kSlot,
                             kSealSuite,
                             sample_id(5),
                             1234,
                             {{node(6), Bytes(kBoxBytes, 0x5a)}, {node(7), kText}}});
    payload("avail", Avail{kSlot, {0x05}});
    payload("attest", attest());
    payload("score commit", ScoreCommit{kSlot, sample_id(7)});
    payload("score reveal", ScoreReveal{kSlot, score(), salt()});
    payload("evidence", evidence());
  }

  void states() {
    state("job", job_state());
    state("spec", record_job());
    state("round", round_state());
    state("contribution", Contribution{job(), kSlot, node(1), sample_id(2), true, true, 500});
    state("node", NodeState{key(1), kAllRoles, "clinic-a", 500'000, 2, false});
    state("banned node", NodeState{key(1), 0, "clinic-a", 0, 2, true});
  }

  std::vector<Sample> samples_;
};

}  // namespace

const std::vector<Sample>& all_samples() {
  static const std::vector<Sample> kSamples = Samples().take();
  return kSamples;
}

}  // namespace fedmesh::protocol
