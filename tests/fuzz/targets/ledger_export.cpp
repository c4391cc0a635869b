// An exported ledger: its form, and everything that an auditor verifies but execution.
#include <sstream>

#include "coordinator/ledger/export.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

// What was read, written again; empty where its blocks do not follow each other.
std::string written(const ledger::Export& ledger) {
  std::ostringstream out;
  ledger::ExportWriter writer(out, ledger.genesis);
  for (const auto& block : ledger.blocks)
    if (!writer.add(block).ok()) return {};
  return writer.finish().ok() ? out.str() : std::string();
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto ledger = ledger::read_export(bytes);
  if (!ledger.ok()) return 0;
  const std::string again = written(*ledger);
  FM_CHECK(again.empty() || again == as_text(bytes), "an export is written with other bytes");
  if (ledger::verify_export(*ledger).ok()) fuzz::accepted();
  return 0;
}
