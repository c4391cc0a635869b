// fedmesh ledger head, show, export, verify
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/ledger/export.h"
#include "coordinator/rounds/rounds_machine.h"

namespace fedmesh::cli {
namespace {

Result<std::uint64_t> parse_height(const std::string& text) {
  FM_TRY(const std::int64_t nano, parse_nano(text));
  if (nano < 1'000'000'000 || nano % 1'000'000'000 != 0)
    return invalid_argument("HEIGHT is a whole number from 1");
  return static_cast<std::uint64_t>(nano / 1'000'000'000);
}

nlohmann::json block_json(const ledger::CertifiedBlock& certified) {
  const auto& header = certified.block.header;
  auto records = nlohmann::json::array();
  for (const auto& record : certified.block.records)
    records.push_back({{"kind", ledger::to_string(record.kind)},
                       {"author", record.author_id().hex()},
                       {"job", record.job.is_zero() ? "" : record.job.hex()},
                       {"author_seq", record.author_seq},
                       {"hash", ledger::record_hash(record).hex()},
                       {"payload_bytes", record.payload.size()}});
  return {{"height", header.height.value},
          {"hash", ledger::header_hash(header).hex()},
          {"parent", header.parent_hash.hex()},
          {"timestamp_ms", header.timestamp_ms},
          {"time", time_text(header.timestamp_ms)},
          {"state_root", header.state_root.hex()},
          {"log_size", header.log_size},
          {"log_root", header.log_root.hex()},
          {"signatures", certified.certificate.signatures.size()},
          {"records", records}};
}

void print_block(const ledger::CertifiedBlock& certified) {
  const auto& header = certified.block.header;
  std::printf("block %llu  %s  %s\n", static_cast<unsigned long long>(header.height.value),
              time_text(header.timestamp_ms).c_str(), ledger::header_hash(header).hex().c_str());
  std::printf(
      "  parent %s\n  state  %s\n  log    %llu records, root %s\n  final by %zu signature(s)\n",
      header.parent_hash.hex().c_str(), header.state_root.hex().c_str(),
      static_cast<unsigned long long>(header.log_size), header.log_root.hex().c_str(),
      certified.certificate.signatures.size());
  for (const auto& record : certified.block.records)
    std::printf("  %-12s by %s%s%s  %zu bytes  %s\n", ledger::to_string(record.kind),
                record.author_id().short_hex().c_str(), record.job.is_zero() ? "" : " job ",
                record.job.is_zero() ? "" : record.job.short_hex().c_str(), record.payload.size(),
                ledger::record_hash(record).short_hex().c_str());
}

// The block is checked against genesis' committee before anything of it is shown.
Result<ledger::CertifiedBlock> fetch_block(Client& client, Height height) {
  FM_TRY(auto blocks, client.blocks(height));
  if (blocks.empty())
    return not_found("there is no block " + std::to_string(height.value) + " yet");
  auto& first = blocks.front();
  if (first.block.header.height != height) return corruption("the coordinator sent another block");
  FM_TRY_VOID(ledger::verify_certificate(first.certificate, first.block.header,
                                         client.genesis().committee));
  if (ledger::body_root(first.block.records) != first.block.header.body_root)
    return corruption("the block's records do not match its header");
  return std::move(first);
}

Result<int> show(const Options& options, Client& client, Height height) {
  FM_TRY(const auto block, fetch_block(client, height));
  if (wants_json(options)) {
    std::printf("%s\n", block_json(block).dump(2).c_str());
  } else {
    print_block(block);
  }
  return kExitDone;
}

}  // namespace

Result<int> run_ledger_head(const Options& options) {
  FM_TRY(const auto client, connect(options));
  Height head;
  FM_TRY_VOID(client->blocks(Height{1}, &head));
  if (head.value == 0) {
    std::printf("chain %s has no block yet\n", client->chain().hex().c_str());
    return kExitDone;
  }
  return show(options, *client, head);
}

Result<int> run_ledger_show(const Options& options) {
  FM_TRY(const std::uint64_t height, parse_height(options.argument("HEIGHT")));
  FM_TRY(const auto client, connect(options));
  return show(options, *client, Height{height});
}

Result<int> run_ledger_export(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const Bytes bytes, download_export(*client));
  const std::filesystem::path path = options.argument("FILE");
  FM_TRY_VOID(write_file(path, bytes));
  std::printf("wrote %s: %zu bytes\n", path.c_str(), bytes.size());
  return kExitDone;
}

Result<int> run_ledger_verify(const Options& options) {
  const std::filesystem::path path = options.argument("FILE");
  FM_TRY(const Bytes bytes, read_file(path));
  const auto place = [&](const Error& error) { return error.with_context(path.string()); };
  const auto ledger_export = ledger::read_export(bytes);
  if (!ledger_export.ok()) return place(ledger_export.error());
  std::size_t records = 0;
  for (const auto& block : ledger_export->blocks) records += block.block.records.size();
  const rounds::RoundsMachine machine;
  if (const auto verified = ledger::verify_export(*ledger_export, machine); !verified.ok())
    return place(verified.error());
  std::printf(
      "%s verifies: chain %s, %zu blocks, %zu records; every signature, hash and proof was checked "
      "and every block executed again\n",
      path.c_str(), ledger::chain_id(ledger_export->genesis).hex().c_str(),
      ledger_export->blocks.size(), records);
  return kExitDone;
}

}  // namespace fedmesh::cli
