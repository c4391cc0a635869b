#include "base/heap.h"

#include <cstdlib>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fedmesh {

void keep_freed_buffers() {
#if defined(__GLIBC__)
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_MMAP_THRESHOLD, 4 << 20);  // what is larger comes from the system and returns to it
#endif
}

}  // namespace fedmesh
