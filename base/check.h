// Always-on invariant checks. A failed FM_CHECK is a defect of ours and stops the process; input
// from a peer, a file or a flag must never be able to reach one (return a Result instead).
#pragma once

namespace fedmesh::internal {
[[noreturn]] void check_failed(const char* expression, const char* file, int line,
                               const char* message);
}  // namespace fedmesh::internal

#define FM_CHECK(condition, message)                                                \
  do {                                                                              \
    if (!(condition)) [[unlikely]]                                                  \
      ::fedmesh::internal::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
