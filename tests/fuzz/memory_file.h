// A file that lives in memory, for readers that take a path.
#pragma once

#include <string>

#include "base/bytes.h"

namespace fedmesh::fuzz {

class MemoryFile {
 public:
  MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  ~MemoryFile();
  void write(ByteView bytes);  // replaces what was there
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace fedmesh::fuzz
