// make_corpus FOLDER: writes the seeds of every target. What is in the way goes, but for files that
// begin with "found-": those are inputs that once broke something.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "base/crypto/keys.h"
#include "tests/fuzz/corpus.h"

namespace fedmesh::fuzz {

void Corpus::add(const std::string& target, std::string name, Bytes bytes) {
  for (char& c : name)
    if (c == ' ') c = '-';
  auto& files = files_[target];
  const std::string stem = name;
  for (int again = 2; files.contains(name); ++again) name = stem + "-" + std::to_string(again);
  files.emplace(std::move(name), std::move(bytes));
}

Bytes prefixed(std::uint8_t first, ByteView rest) {
  Bytes out;
  out.reserve(1 + rest.size());
  out.push_back(first);
  append(out, rest);
  return out;
}

namespace {

namespace fs = std::filesystem;

void erase_seeds(const fs::path& folder) {
  if (!fs::is_directory(folder)) return;
  for (const auto& entry : fs::directory_iterator(folder))
    if (!entry.path().filename().string().starts_with("found-")) fs::remove(entry.path());
}

void write(const fs::path& folder, const Corpus& corpus) {
  for (const auto& [target, files] : corpus.files()) {
    fs::create_directories(folder / target);
    erase_seeds(folder / target);
    for (const auto& [name, bytes] : files) {
      std::ofstream out(folder / target / name, std::ios::binary);
      out.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
      FM_CHECK(out.good(), "a seed cannot be written");
    }
  }
}

}  // namespace
}  // namespace fedmesh::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  fedmesh::crypto::initialise();
  fedmesh::fuzz::Corpus corpus;
  fedmesh::fuzz::add_protocol_seeds(corpus);
  fedmesh::fuzz::add_ledger_seeds(corpus);
  fedmesh::fuzz::add_data_seeds(corpus);
  fedmesh::fuzz::add_text_seeds(corpus);
  fedmesh::fuzz::add_trainer_seeds(corpus);
  fedmesh::fuzz::add_net_seeds(corpus);
  add_update_seeds(corpus);
  fedmesh::fuzz::write(argv[1], corpus);
  return 0;
}
