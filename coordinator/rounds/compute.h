// The aggregator's work on bulk data: minutes of it must not stop the node's loop, so it is asked
// for as an effect and answered by an event. The host runs it on a thread of its own, the simulator
// at once.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "coordinator/rounds/aggregate.h"
#include "coordinator/rounds/running_sum.h"
#include "net/blob_store.h"

namespace fedmesh::rounds {

// What both need to know; immutable.
struct RoundView {
  ChainId chain;
  protocol::JobSpec spec;
  protocol::RoundState round;
};

// Opens and checks one worker's sealed update, which the store holds.
struct CheckTask {
  std::shared_ptr<const RoundView> view;
  NodeId worker;
  protocol::Reveal reveal;
  RoundKey key;
};
struct Checked {
  JobId job;
  protocol::Slot slot;
  NodeId worker;
  Result<OpenedUpdate> update;
};

// Computes the aggregate of S and stores the files.
struct AggregateTask {
  std::shared_ptr<const RoundView> view;
  std::vector<OpenedUpdate> updates;  // exactly those of S, in worker order
};
struct Aggregated {
  JobId job;
  protocol::Slot slot;
  Result<protocol::Attest> attest;
};

using ComputeTask = std::variant<CheckTask, AggregateTask>;
using ComputeDone = std::variant<Checked, Aggregated>;

// Thread-safe as far as the store is. With a running sum, which belongs to the caller, updates that
// were checked with it are not read again to be added.
ComputeDone compute(const ComputeTask& task, net::BlobStore& blobs, RunningSum* running = nullptr);

// A blob of the store as a source. Verify::no is for sealed updates: the leaves were checked when
// they came, and decryption authenticates every byte that is used.
Result<std::unique_ptr<ByteSource>> open_blob(net::BlobStore& blobs, const Digest& root,
                                              net::Verify verify);

}  // namespace fedmesh::rounds
