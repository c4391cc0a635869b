// What a person reads about a job when it is over (or still runs): `fedmesh job report`, as one
// JSON object, one HTML page that needs nothing else, or a table for the terminal. Pure functions
// of values that somebody else has verified.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fedmesh::cli {

struct RoundRow {
  std::uint64_t round = 0;
  std::uint64_t attempt = 0;
  std::string kind = "training";           // or "standardisation"
  std::uint64_t workers = 0;               // whose updates are in the aggregate
  std::uint64_t cohort = 0;                // who was asked
  std::optional<std::int64_t> loss_micro;  // validation
  std::optional<std::int64_t> accuracy_micro;
  std::int64_t epsilon_spent_nano = 0;      // of the whole job, this round included
  std::optional<std::uint64_t> bytes_up;    // from workers; none: not measured
  std::optional<std::uint64_t> bytes_down;  // to workers
  std::int64_t duration_ms = 0;
  std::string aggregator;  // name or short id of rank 0
  std::uint64_t ledger_height = 0;
  std::string note;  // why it is void, who was replaced, ...
};

// How well a statement about the job is supported.
enum class Evidence : std::uint8_t {
  proved,    // the auditor computed it itself
  attested,  // k of n aggregators signed it
  claimed,   // somebody said so
};
const char* to_string(Evidence evidence);

struct AuditStatement {
  Evidence evidence = Evidence::claimed;
  std::uint64_t signers = 0;  // attested: k
  std::uint64_t members = 0;  // attested: n
  std::string text;

  std::string label() const;  // "attested 3 of 4"
};

struct JobReport {
  std::string name;
  std::string job_id;
  std::string chain_id;
  std::string outcome;  // the job's phase: "finished", ...
  std::string reason;   // and why
  std::string model_path;
  std::string model_sha256;             // hex
  std::int64_t epsilon_total_nano = 0;  // 0: no differential privacy
  std::int64_t epsilon_spent_nano = 0;
  std::int64_t delta_pico = 0;
  std::string protection;  // one sentence: who is protected against whom
  std::vector<RoundRow> rounds;
  std::vector<AuditStatement> audit;
};

// One object, indented, with a newline at the end. Keys, in this order and never renamed:
//   report_version (1), name, job_id, chain_id, outcome, reason,
//   model {path, sha256},
//   privacy {epsilon_total, epsilon_spent, delta, protection},
//   rounds [{round, attempt, kind, workers, cohort, validation_loss, accuracy, epsilon_spent,
//            bytes_up, bytes_down, duration_ms, aggregator, ledger_height, note}],
//   audit [{evidence, signers, members, text}].
// Losses, accuracies, epsilons, delta and bytes are numbers, null where nothing was measured. Text
// that is not UTF-8 is repaired with U+FFFD.
std::string to_json(const JobReport& report);

// One page: no script, no other file, light or dark as the reader's system is. Well-formed XML
// inside <html>; all text is escaped.
std::string to_html(const JobReport& report);

// Aligned columns: round, workers, validation loss, accuracy, epsilon spent, bytes up/down,
// seconds, aggregator, ledger height. Notes follow as lines of their own. Control characters are
// shown as
// '?', so that no name can write to the terminal.
std::string to_table(const JobReport& report);

}  // namespace fedmesh::cli
