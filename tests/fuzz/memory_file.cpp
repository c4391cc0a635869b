#include "tests/fuzz/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

namespace fedmesh::fuzz {

MemoryFile::MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  FM_CHECK(descriptor_ >= 0 && ::fchmod(descriptor_, 0600) == 0, "no file in memory");
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

void MemoryFile::write(ByteView bytes) {
  FM_CHECK(::ftruncate(descriptor_, 0) == 0, "a file in memory can be emptied");
  FM_CHECK(
      ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
      "a file in memory can be written");
}

}  // namespace fedmesh::fuzz
