// Openings on their way from the workers of one round: received in frames, checked when complete,
// wiped when the round is over. Not thread-safe: owned by the aggregator.
#pragma once

#include <map>
#include <string>

#include "coordinator/protocol/messages.h"
#include "coordinator/rounds/aggregate.h"

namespace fedmesh::rounds {

class Openings {
 public:
  Openings() = default;
  Openings(Openings&&) = default;
  Openings& operator=(Openings&& other) noexcept;
  Openings(const Openings&) = delete;
  ~Openings();

  // Answers the frame. A frame out of order is answered with how far we are, so that the worker
  // resumes there. Memory is bounded by the cohort times what a valid opening of the round can
  // have.
  protocol::OpeningStatus add(const ChainId& chain, const protocol::JobSpec& spec,
                              const protocol::RoundState& round, const NodeId& worker,
                              const protocol::OpeningFrame& frame);

  const CheckedUpdate* checked(const NodeId& worker) const;  // nullptr: not complete, or refused
  bool settled(const NodeId& worker) const;                  // checked or refused for good

 private:
  struct Transfer {
    Bytes bytes;
    std::uint64_t total = 0;
    std::string refused;
    bool complete = false;
    CheckedUpdate update;
  };
  void wipe();

  std::map<NodeId, Transfer> transfers_;
};

}  // namespace fedmesh::rounds
