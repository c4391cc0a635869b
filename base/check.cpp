#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace fedmesh::internal {

void check_failed(const char* expression, const char* file, int line, const char* message) {
  std::fprintf(stderr, "%s:%d: invariant violated: %s (%s)\n", file, line, message, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace fedmesh::internal
