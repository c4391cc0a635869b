// The file that people write to start a job. TOML, read by the table of keys in JOB_FILE.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "coordinator/protocol/job_spec.h"

namespace fedmesh::protocol {

struct JobFile {
  // Complete but for the blob that `evaluation_path` stands for: see load_evaluation().
  JobSpec spec;
  // A data source (models/data/source.h) with the public validation set. A path is already
  // relative to the working directory.
  std::optional<std::string> evaluation_path;
};

// invalid_argument lists every mistake on a line of its own, in the order of the file:
// `clinics.toml:12: key 'privacy.unit': got "foo", allowed: worker, record`.
// `file_name` is what messages call the text, and what its relative paths are relative to.
Result<JobFile> parse_job_file(std::string_view toml_text, const std::string& file_name);

// Loads the validation set, names it in `file.spec` and gives the blob to upload; an empty blob
// where the job has no evaluation. From here on spec.validate() holds.
Result<Bytes> load_evaluation(JobFile& file);

// The reference of all keys, in Markdown: JOB_FILE.md is this text.
std::string job_file_reference();

}  // namespace fedmesh::protocol
