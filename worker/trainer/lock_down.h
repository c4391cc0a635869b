// Takes the network away from this process, for good.
#pragma once

#include "base/result.h"

namespace fedmesh::trainer {

// From now on this process and its children cannot create sockets (EPERM), local ones excepted
// where `allow_local`, nor reach them through io_uring. Call while there is one thread, or before
// the others matter: the filter (seccomp) is put on all of them. unavailable: the system has no
// such filter; training works without.
Result<void> deny_network(bool allow_local);

}  // namespace fedmesh::trainer
