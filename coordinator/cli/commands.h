// The commands of the `fedmesh` program, one function each. Every function prints its answer and
// returns its exit code; an Error is printed by main() with what to do next.
#pragma once

#include "base/options.h"
#include "base/result.h"

namespace fedmesh::cli {

Result<int> run_init(const Options& options);
Result<int> run_key_show(const Options& options);
Result<int> run_node_admit(const Options& options);
Result<int> run_node_list(const Options& options);
Result<int> run_job_submit(const Options& options);
Result<int> run_job_list(const Options& options);
Result<int> run_job_show(const Options& options);
Result<int> run_job_watch(const Options& options);
Result<int> run_job_stop(const Options& options);
Result<int> run_job_fetch(const Options& options);
Result<int> run_job_reference(const Options& options);
Result<int> run_ledger_head(const Options& options);
Result<int> run_ledger_show(const Options& options);
Result<int> run_ledger_export(const Options& options);
Result<int> run_ledger_verify(const Options& options);
Result<int> run_ledger_backup(const Options& options);
Result<int> run_ledger_restore(const Options& options);
Result<int> run_audit(const Options& options);
Result<int> run_evaluate(const Options& options);
Result<int> run_simulate(const Options& options);
Result<int> run_demo(const Options& options);
Result<int> run_explain(const Options& options);
Result<int> run_doctor(const Options& options);
Result<int> run_receipts(const Options& options);
Result<int> run_receipts_verify(const Options& options);

}  // namespace fedmesh::cli
