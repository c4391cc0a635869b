// The offline audit of a model: from the model file and an export of the ledger alone, without the
// network and without trust in whoever exported it. README.md here says what is checked.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/audit/report.h"

namespace fedmesh::audit {

struct AuditInput {
  Bytes model;             // a safetensors file
  std::string model_name;  // for messages, like the next
  Bytes ledger_export;     // ledger/export.h
  std::string export_name;
  std::optional<ChainId> pinned_chain;  // known from elsewhere than the export
};

// An error names the place: the export with block and record, or the model. not_found: the ledger
// is sound, and the model is of none of its rounds. A pure function; thread-safe.
Result<AuditReport> audit(const AuditInput& input);

}  // namespace fedmesh::audit
