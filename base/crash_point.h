// Places where a process can be made to die as if by kill -9, for tests: the one that the
// environment names in FEDMESH_CRASH_AT ("coordinator.after-block.reveal", or with ":3" its third
// passage). Without that variable a crash point costs one comparison.
#pragma once

#include <string_view>

namespace fedmesh {

// Thread-safe.
void crash_point(std::string_view name);
// Whether any is named, for places whose names take time to find.
bool crash_points_armed();

}  // namespace fedmesh
