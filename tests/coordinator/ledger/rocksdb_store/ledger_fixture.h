// A folder for ledgers, and a toy chain's blocks to put into them.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "coordinator/ledger/rocksdb_store/rocksdb_store.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {

inline std::string file_contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void set_contents(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "fedmesh-ledger-XXXXXX").string();
    home_ = ::mkdtemp(pattern.data());
  }
  ~LedgerTest() override { std::filesystem::remove_all(home_); }

  std::filesystem::path folder() const { return home_ / "ledger"; }
  const ChainId& chain() const { return network_.chain->id(); }
  // The next block of the toy chain, which has a memory of its own.
  CertifiedBlock block() {
    const auto number = std::to_string(network_.chain->height().value);
    return network_.extend({network_.record(RecordKind::enrol, "k" + number + "=v")},
                           2000 + static_cast<std::int64_t>(network_.chain->height().value));
  }
  std::vector<CertifiedBlock> blocks(int count) {
    std::vector<CertifiedBlock> out;
    for (int i = 0; i < count; ++i) out.push_back(block());
    return out;
  }
  Result<std::unique_ptr<RocksDbStore>> open() const { return open(options_); }
  Result<std::unique_ptr<RocksDbStore>> open(const RocksDbOptions& options) const {
    return RocksDbStore::open(folder(), chain(), options);
  }
  std::unique_ptr<RocksDbStore> must_open() const { return must_open(options_); }
  std::unique_ptr<RocksDbStore> must_open(const RocksDbOptions& options) const {
    auto store = open(options);
    EXPECT_TRUE(store.ok()) << store.error().to_string();
    return store.ok() ? std::move(*store) : nullptr;
  }
  void fill(const std::vector<CertifiedBlock>& with) const {
    const auto store = must_open();
    for (const auto& block : with) ASSERT_TRUE(store->append(block).ok());
  }
  std::vector<std::filesystem::path> files(const std::string& extension) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder()))
      if (entry.path().extension() == extension) found.push_back(entry.path());
    return found;
  }

  std::filesystem::path home_;
  RocksDbOptions options_;
  toy::Network network_;
};

}  // namespace fedmesh::ledger
