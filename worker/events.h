// What a worker hears and what it wants done. The host (host.h) and the simulator turn the one into
// the other.
#pragma once

#include <cstdint>
#include <set>
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
struct BlobArrived {  // of a FetchBlob; the bytes under the root
  Digest root;
  Bytes bytes;
};
struct BlobFailed {  // of a FetchBlob: it cannot be stored or read here
  Digest root;
  std::string reason;
};
struct Tick {};  // whenever next_wake() is due
using Event = std::variant<LinkUp, LinkDown, Received, TaskDone, BlobArrived, BlobFailed, Tick>;

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
// A sealed update, put into the blob store and flushed before any later effect is carried out; from
// then on whoever asks is served.
struct StoreBlob {
  Digest root;
  Bytes bytes;
};
struct FetchBlob {
  Digest root;
  std::uint64_t bytes_max = 0;
};
// What this worker needs of its blob store and of fetches under way; everything else goes.
struct KeepBlobs {
  std::set<Digest> roots;
};
// The peer's bulk plane listens on this port of its host.
struct DialBulk {
  NodeId peer;
  std::uint32_t port = 0;
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
using Effect = std::variant<Send, RunTask, CancelTask, Persist, Erase, StoreBlob, FetchBlob,
                            KeepBlobs, DialBulk, Disconnect, Log>;
using Effects = std::vector<Effect>;  // carried out in order

}  // namespace fedmesh::worker
