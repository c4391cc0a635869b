#include "coordinator/queries.h"

#include <algorithm>

#include "coordinator/publisher.h"

namespace fedmesh::coordinator {
namespace {

constexpr std::uint32_t kPageEntries = 256;
constexpr std::size_t kPageBytes = 512 * 1024;

}  // namespace

protocol::StateAnswer answer(const ledger::Chain& chain, const protocol::StateQuery& query) {
  protocol::StateAnswer out;
  out.id = query.id;
  if (chain.head_header() == nullptr) return out;  // height 0: nothing is proven yet
  out.page.header = *chain.head_header();
  out.page.certificate = *chain.head_certificate();
  const std::uint32_t limit = std::clamp<std::uint32_t>(query.limit, 1, kPageEntries);
  std::size_t bytes = 0;
  for (const auto& [key, value] : chain.state().prefix(query.prefix)) {
    if (key <= query.after) continue;
    if (out.page.entries.size() == limit || bytes >= kPageBytes) {
      out.more = true;
      break;
    }
    out.page.entries.push_back(ledger::state_entry(chain.state(), key));
    bytes += codec::encode(out.page.entries.back()).size();
  }
  return out;
}

protocol::BlockAnswer answer(const ledger::Chain& chain, const protocol::BlockQuery& query) {
  protocol::BlockAnswer out;
  out.id = query.id;
  out.head = chain.height();
  std::size_t bytes = 0;
  for (Height at = query.from; at.value > 0 && at <= chain.height(); at = at.next()) {
    auto block = chain.get(at);
    if (!block.ok()) break;
    const std::size_t size = ledger::encode_certified_block(*block).size();
    if (!out.blocks.empty() && bytes + size > kPageBytes) break;
    bytes += size;
    out.blocks.push_back(std::move(block).value());
  }
  return out;
}

}  // namespace fedmesh::coordinator
