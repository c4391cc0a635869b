// Puts together what the keys of a job file say, and finds the mistakes that no single key shows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "coordinator/protocol/job_check.h"
#include "coordinator/protocol/job_file.h"
#include "coordinator/protocol/job_file_keys.h"

namespace fedmesh::protocol {

using GivenKeys = std::function<bool(const std::string& path)>;  // whether the file has the key

struct DraftResult {
  JobFile file;
  std::vector<JobProblem> problems;
};

// `file_name`: relative data paths are relative to its folder.
DraftResult assemble_job(JobDraft draft, const GivenKeys& given, const std::string& file_name);

}  // namespace fedmesh::protocol
