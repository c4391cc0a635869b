// What several commands share: connecting by options, output formats, files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "coordinator/cli/client.h"

namespace fedmesh::cli {

// --coordinator, --key, --chain; without --chain the genesis.fm beside the key names the network,
// if there is one.
Result<std::unique_ptr<Client>> connect(const Options& options, bool subscribe = false);

bool wants_json(const Options& options);

// Columns padded to their widest cell; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

// Beside the file and renamed. The error names the file.
Result<void> write_file(const std::filesystem::path& path, ByteView bytes);
Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t bytes_max = 4ull << 30);

// Every block of the chain, verified by re-execution, as a ledger export.
Result<Bytes> download_export(Client& client);

std::string time_text(std::int64_t ms);                             // UTC
std::string percent_text(std::uint64_t part, std::uint64_t whole);  // "87.3 %"
std::string nano_text(std::int64_t nano, int decimals);             // "0.910"

}  // namespace fedmesh::cli
