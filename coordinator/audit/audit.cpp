#include "coordinator/audit/audit.h"

#include "coordinator/audit/lineage.h"
#include "coordinator/audit/recount.h"
#include "coordinator/ledger/block_check.h"
#include "coordinator/ledger/export.h"
#include "coordinator/rounds/rounds_machine.h"

namespace fedmesh::audit {
namespace {

Result<void> check_pin(const AuditInput& input, const ledger::Genesis& genesis) {
  const ChainId chain = ledger::chain_id(genesis);
  if (!input.pinned_chain || *input.pinned_chain == chain) return {};
  return unauthenticated("it is of chain " + chain.hex() + ", the audit is for chain " +
                         input.pinned_chain->hex());
}

// Heights, hashes and roots of all blocks. Nearly every damage shows here, before the first
// signature is verified.
Result<void> check_hashes(const ledger::Export& ledger) {
  const ChainId chain = ledger::chain_id(ledger.genesis);
  ledger::Tip tip = ledger::genesis_tip(ledger.genesis);
  for (const auto& certified : ledger.blocks) {
    const ledger::Block& block = certified.block;
    FM_TRY_VOID(ledger::check_header(ledger.genesis, chain, tip, block.header));
    FM_TRY(auto body, ledger::check_body(tip, block, [](const ledger::Record&, const Digest&) {
             return Result<void>();
           }));
    tip = std::move(body.tip);
  }
  return {};
}

Result<AuditReport> audit_model(const AuditInput& input, const ledger::Export& ledger,
                                const ledger::State& state) {
  FM_TRY(const auto match, match_model(input, state));
  auto counted = recount(ledger.genesis, records_of(ledger, match.job), state, match.job);
  if (!counted.ok()) return counted.error().with_context(printable(input.export_name));
  AuditReport report = trace(input, ledger, state, match, *counted);
  report.statements = statements_of(report);
  return report;
}

}  // namespace

Result<AuditReport> audit(const AuditInput& input) {
  const std::string place = printable(input.export_name);
  auto ledger = ledger::read_export(input.ledger_export);
  if (!ledger.ok()) return ledger.error().with_context(place);
  if (auto good = check_pin(input, ledger->genesis); !good.ok())
    return good.error().with_context(place);
  if (auto good = check_hashes(*ledger); !good.ok()) return good.error().with_context(place);
  std::optional<Result<AuditReport>> report;
  const auto verified = ledger::verify_export(
      *ledger, rounds::RoundsMachine(),
      [&](const ledger::Chain& chain) { report = audit_model(input, *ledger, chain.state()); });
  if (!verified.ok()) return verified.error().with_context(place);
  return std::move(*report);
}

}  // namespace fedmesh::audit
