#include "coordinator/protocol/state.h"

#include <cstdio>

namespace fedmesh::protocol {
namespace {

std::string padded(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof(text), "%010llu", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

const char* to_string(JobPhase phase) {
  switch (phase) {
    case JobPhase::enrolling:
      return "enrolling";
    case JobPhase::waiting_for_workers:
      return "waiting for workers";
    case JobPhase::waiting_for_aggregators:
      return "waiting for aggregators";
    case JobPhase::drawing:
      return "drawing";
    case JobPhase::running:
      return "running";
    case JobPhase::finished:
      return "finished";
    case JobPhase::stopped:
      return "stopped";
    case JobPhase::failed:
      return "failed";
  }
  return "unknown";
}

const char* to_string(RoundPhase phase) {
  switch (phase) {
    case RoundPhase::accepting:
      return "accept";
    case RoundPhase::committing:
      return "train and commit";
    case RoundPhase::revealing:
      return "reveal";
    case RoundPhase::checking:
      return "check";
    case RoundPhase::aggregating:
      return "aggregate";
    case RoundPhase::scoring:
      return "score";
    case RoundPhase::unveiling:
      return "open scores";
    case RoundPhase::finished:
      return "finished";
    case RoundPhase::voided:
      return "void";
  }
  return "unknown";
}

std::string job_key(const JobId& job) { return kJobPrefix + job.hex(); }
std::string spec_key(const JobId& job) { return "spec/" + job.hex(); }
std::string enrol_key(const JobId& job, const NodeId& node) {
  return "enrol/" + job.hex() + "/" + node.hex();
}
std::string round_prefix(const JobId& job) { return "round/" + job.hex() + "/"; }
std::string round_key(const JobId& job, const Slot& slot) {
  return round_prefix(job) + padded(slot.round.value) + "/" + padded(slot.attempt.value);
}
std::string contribution_key(const JobId& job, const RoundNumber& round, const NodeId& worker) {
  return "contribution/" + job.hex() + "/" + padded(round.value) + "/" + worker.hex();
}
std::string node_key(const NodeId& node) { return kNodePrefix + node.hex(); }

}  // namespace fedmesh::protocol
