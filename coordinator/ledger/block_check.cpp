#include "coordinator/ledger/block_check.h"

#include <algorithm>

namespace fedmesh::ledger {

Tip genesis_tip(const Genesis& genesis) {
  return {Height{0}, Digest{chain_id(genesis).bytes}, genesis.created_ms, {}};
}

std::string describe(Height height) { return "block " + std::to_string(height.value); }

std::string describe(Height height, std::size_t index, const Record& record) {
  return describe(height) + ", record " + std::to_string(index) + " (" + to_string(record.kind) +
         ")";
}

Result<void> check_header(const Genesis& genesis, const ChainId& chain, const Tip& tip,
                          const Header& header) {
  const auto bad = [&](const std::string& what) {
    return invalid_argument(describe(header.height) + ": " + what);
  };
  if (header.height != tip.height.next())
    return bad("block " + std::to_string(tip.height.next().value) + " is expected here");
  if (header.version != kHeaderVersion)
    return bad("header version " + std::to_string(header.version) +
               ", this program knows version " + std::to_string(kHeaderVersion));
  if (header.chain != chain)
    return bad("it belongs to chain " + header.chain.short_hex() + ", this is chain " +
               chain.short_hex());
  if (header.epoch != 0) return bad("epoch " + std::to_string(header.epoch) + ", expected 0");
  if (header.parent_hash != tip.hash)
    return bad("parent_hash " + header.parent_hash.short_hex() + ", the block before is " +
               tip.hash.short_hex());
  if (header.timestamp_ms <= tip.timestamp_ms || header.timestamp_ms > kMaxTimestampMs)
    return bad("timestamp " + std::to_string(header.timestamp_ms) +
               " is not after its parent's, which is " + std::to_string(tip.timestamp_ms) +
               ", and within the year 9999");
  const Digest committee = committee_hash(genesis.committee);
  if (header.committee_hash != committee || header.next_committee_hash != committee)
    return bad("it names another committee than the genesis");
  if (std::find(genesis.committee.begin(), genesis.committee.end(), header.proposer) ==
      genesis.committee.end())
    return bad("proposer " + header.proposer.short_hex() + " is not in the committee");
  return {};
}

Result<BodyResult> check_body(
    const Tip& tip, const Block& block,
    const std::function<Result<void>(const Record&, const Digest&)>& check_record) {
  const Header& header = block.header;
  const auto bad = [&](const std::string& what) {
    return invalid_argument(describe(header.height) + ": " + what);
  };
  if (block.records.size() > kMaxBlockRecords)
    return bad("more than " + std::to_string(kMaxBlockRecords) + " records");
  BodyResult result{{header.height, header_hash(header), header.timestamp_ms, tip.log}, {}};
  MerkleFrontier body;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    const Record& record = block.records[i];
    const Bytes encoded = encode_record(record);
    bytes += encoded.size();
    if (bytes > kMaxBodyBytes)
      return bad("its records are longer than " + std::to_string(kMaxBodyBytes) + " bytes");
    const Digest hash = merkle_leaf(encoded);
    if (auto good = check_record(record, hash); !good.ok())
      return good.error().with_context(describe(header.height, i, record));
    body.append(hash);
    result.tip.log.append(hash);
    result.record_hashes.push_back(hash);
  }
  if (header.body_root != body.root()) return bad("body_root does not match its records");
  if (header.log_size != result.tip.log.size())
    return bad("log_size " + std::to_string(header.log_size) + ", with its records the log has " +
               std::to_string(result.tip.log.size()));
  if (header.log_root != result.tip.log.root())
    return bad("log_root does not match the records so far");
  return result;
}

}  // namespace fedmesh::ledger
