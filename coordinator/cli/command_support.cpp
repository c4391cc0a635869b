#include "coordinator/cli/command_support.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

#include "coordinator/ledger/export.h"
#include "coordinator/ledger/genesis.h"

namespace fedmesh::cli {

Result<std::unique_ptr<Client>> connect(const Options& options, bool subscribe) {
  ClientConfig config;
  config.endpoint = options.text("coordinator");
  config.subscribe = subscribe;
  if (options.is_set("chain")) {
    auto chain = ChainId::from_hex(options.text("chain"));
    if (!chain.ok()) return chain.error().with_context("--chain");
    config.chain = *chain;
  }
  const std::filesystem::path path = options.text("key");
  // The genesis beside the key names the network that is meant.
  const auto genesis_file = path.parent_path() / "genesis.fm";
  if (!config.chain && std::filesystem::exists(genesis_file)) {
    FM_TRY(const auto genesis, ledger::load_genesis(genesis_file));
    config.chain = ledger::chain_id(genesis);
  }
  auto key = crypto::load_key(path);
  if (!key.ok() && key.error().code == ErrorCode::not_found)
    return not_found("there is no key " + path.string() +
                     "; make a network with `fedmesh init` or name a key with --key");
  if (!key.ok()) return key.error();
  return Client::connect(config, std::move(key).value());
}

bool wants_json(const Options& options) { return options.text("format") == "json"; }

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out += "\n";
  }
  return out;
}

Result<void> write_file(const std::filesystem::path& path, ByteView bytes) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return unavailable("cannot write " + part.string());
  std::filesystem::rename(part, path, error);
  if (error) return unavailable("cannot write " + path.string() + ": " + error.message());
  return {};
}

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t bytes_max) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return not_found("cannot read " + path.string() + ": " + error.message());
  if (size > bytes_max)
    return invalid_argument(path.string() + " is larger than " + std::to_string(bytes_max) +
                            " bytes");
  Bytes bytes(size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!in) return unavailable("cannot read " + path.string());
  return bytes;
}

Result<Bytes> download_export(Client& client) {
  std::ostringstream out;
  ledger::ExportWriter writer(out, client.genesis());
  Height next{1};
  Height head;
  do {
    FM_TRY(const auto blocks, client.blocks(next, &head));
    if (blocks.empty()) break;
    for (const auto& block : blocks) {
      FM_TRY_VOID(writer.add(block));
      next = next.next();
    }
  } while (next <= head);
  FM_TRY_VOID(writer.finish());
  return to_bytes(as_bytes(out.str()));
}

std::string time_text(std::int64_t ms) {
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts);
  return text;
}

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%",
                whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

std::string nano_text(std::int64_t nano, int decimals) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.*f", decimals, static_cast<double>(nano) / 1e9);
  return text;
}

}  // namespace fedmesh::cli
