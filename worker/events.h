// What a worker hears and what it wants done. The host (host.h) and the simulator turn the one into
// the other.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/ids.h"
#include "worker/trainer/task.h"

namespace fedmesh::worker {

struct LinkUp {
  NodeId peer;
};
struct LinkDown {
  NodeId peer;
  std::string reason;
};
struct Received {
  NodeId peer;
  Bytes message;
};
struct TaskDone {
  trainer::Response response;
};
struct Tick {};  // whenever next_wake() is due
using Event = std::variant<LinkUp, LinkDown, Received, TaskDone, Tick>;

struct Send {
  NodeId to;
  Bytes message;
};
// Answered by exactly one TaskDone, unless cancelled.
struct RunTask {
  trainer::Request request;
  Duration deadline{0};  // without a sign of life
};
struct CancelTask {
  std::uint64_t id = 0;
};
// Written and flushed to disk before any later effect is carried out; private (mode 0600, wiped
// from memory afterwards). Names are file names. If it cannot be written the host stops.
struct Persist {
  std::string name;
  Bytes bytes;
};
struct Erase {
  std::string name;
};
struct Disconnect {
  NodeId peer;
  std::string reason;
};
// For the event log; where `line` is not empty it is for the terminal too. Never holds a value
// derived from private data.
struct Log {
  LogEvent event;
  std::string line;
};
using Effect = std::variant<Send, RunTask, CancelTask, Persist, Erase, Disconnect, Log>;
using Effects = std::vector<Effect>;  // carried out in order

}  // namespace fedmesh::worker
