// Turns what the ledger says about a job into the report that people read.
#pragma once

#include <map>
#include <string>

#include "coordinator/audit/report.h"
#include "coordinator/cli/jobs.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/report.h"

namespace fedmesh::cli {

// One sentence on who is protected against whom, and what is not protected.
std::string protection_sentence(const protocol::JobSpec& spec, std::size_t aggregators);

// `traffic` may lack rounds: their bytes are not measured then.
JobReport build_report(const JobView& view, const std::map<std::string, RoundTraffic>& traffic);
void add_audit(JobReport& report, const audit::AuditReport& audit);

// "validation loss 0.3391, accuracy 87.2 %" or what became of the round.
std::string round_line(const JobView& view, const protocol::RoundState& round);

// Shows what the job waits for, and a line for every round that is over. Both arguments outlive the
// hooks.
FollowHooks progress_hooks(ProgressLine& line, const Clock& clock);

}  // namespace fedmesh::cli
