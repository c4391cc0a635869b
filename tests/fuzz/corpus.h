// The kept corpus is made here: seeds from valid samples, so that no format is written down twice.
// `make_corpus FOLDER` writes every seed to FOLDER/<target>/<name>.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fedmesh::fuzz {

class Corpus {
 public:
  void add(const std::string& target, std::string name, Bytes bytes);  // names are made distinct
  void add_text(const std::string& target, const std::string& name, std::string_view text) {
    add(target, name, to_bytes(as_bytes(text)));
  }
  const std::map<std::string, std::map<std::string, Bytes>>& files() const { return files_; }

 private:
  std::map<std::string, std::map<std::string, Bytes>> files_;  // by target and name
};

Bytes prefixed(std::uint8_t first, ByteView rest);

void add_protocol_seeds(Corpus& corpus);
void add_ledger_seeds(Corpus& corpus);
void add_data_seeds(Corpus& corpus);
void add_text_seeds(Corpus& corpus);
void add_trainer_seeds(Corpus& corpus);
void add_net_seeds(Corpus& corpus);
void add_update_seeds(Corpus& corpus);

}  // namespace fedmesh::fuzz
