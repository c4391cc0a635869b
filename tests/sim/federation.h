// A whole federation in the world: one coordinator, workers with in-process trainers, one
// submitter. The same step machines as in the real processes, driven by virtual time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_log.h"
#include "coordinator/coordinator.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/protocol/sealing.h"
#include "tests/base/power_loss_disk.h"
#include "tests/sim/bulk_end.h"
#include "tests/sim/world.h"
#include "worker/trainer/task_executor.h"
#include "worker/worker.h"

namespace fedmesh::sim {

// The simulator's own SecureRandom: a seeded stream, so that a seed replays a run. Never linked
// into a program that talks to a network.
class SimulatedSecureRandom final : public SecureRandom {
 public:
  explicit SimulatedSecureRandom(std::uint64_t seed) : random_(seed) {}
  void fill(MutableByteView out) override;

 private:
  SeededRandom random_;
};

struct FederationOptions {
  std::uint64_t seed = 1;
  std::vector<std::string> data;  // a URI per worker
  LinkModel links;
  Duration task_duration{50};    // virtual time of a trainer task
  Duration compute_duration{2};  // ... of the aggregator checking an update or summing a set
  std::function<std::unique_ptr<trainer::TaskExecutor>()> make_executor;  // default: KernelExecutor
  std::vector<worker::ConsentPolicy> consent;  // per worker; missing ones consent to all
  worker::Capabilities capabilities{4096, false};
  std::vector<Duration> clock_error;  // per worker: how far its clock is ahead
  Duration coordinator_clock_error{0};
  // Between a worker's step and its effects: adversaries, and crashes in the middle of a step (drop
  // the rest of the effects and crash from World::after). Never destroys the process itself.
  std::function<void(std::size_t worker, worker::Effects& effects)> tamper;
  // Further nodes with the roles of a worker, each a process of the test's own: adversaries.
  std::function<std::unique_ptr<Process>(class Federation&, std::size_t rogue)> make_rogue;
  std::size_t rogues = 0;
};

// What a worker sealed, as only it and the committee know it.
struct SealedPlain {
  JobId job;
  protocol::Slot slot;
  NodeId worker;
  protocol::UpdateHeader header;
  std::vector<std::int32_t> values;
  std::array<std::uint8_t, 32> content_key{};
};

class Federation {
 public:
  explicit Federation(FederationOptions options);
  ~Federation();
  Federation(const Federation&) = delete;
  Federation& operator=(const Federation&) = delete;

  World& world() { return world_; }
  JobId submit(const protocol::JobSpec& spec, const Bytes& evaluation_blob);
  void stop(const JobId& job, const std::string& reason);
  // Runs until the job is in a terminal phase; false: it was not in time.
  bool run(const JobId& job, Duration limit = std::chrono::hours(1));

  const ledger::Chain& chain() const;  // of the coordinator that runs now
  protocol::JobState job(const JobId& id) const;
  std::vector<protocol::RoundState> rounds(const JobId& id) const;
  std::optional<Bytes> blob(const Digest& root) const;  // as the coordinator served it
  Bytes ledger_export() const;

  NodeId worker_id(std::size_t index) const { return worker_keys_[index].node_id(); }
  NodeId coordinator_id() const { return coordinator_key_.node_id(); }
  NodeId owner_id() const { return owner_key_.node_id(); }
  std::size_t workers() const { return worker_keys_.size(); }
  const crypto::SigningKey& worker_key(std::size_t index) const { return worker_keys_[index]; }
  worker::PersistedItems items(std::size_t index);  // that the worker has stored
  PowerLossDisk& disk(std::size_t index) { return *disks_[index]; }
  PowerLossDisk& coordinator_disk() { return coordinator_disk_; }
  // Every update that a worker stored before it committed to it.
  const std::vector<SealedPlain>& sealed() const { return sealed_; }
  const SealedPlain* sealed(const JobId& job, const protocol::Slot& slot,
                            const NodeId& worker) const;
  NodeId rogue_id(std::size_t index) const { return rogue_keys_[index].node_id(); }
  const crypto::SigningKey& rogue_key(std::size_t index) const { return rogue_keys_[index]; }
  const ledger::Genesis& genesis() const { return genesis_; }
  SecureRandom& secure_random() { return random_; }
  const std::map<Digest, Bytes>& blobs() const { return blobs_; }
  bool running() const { return running_ != nullptr; }  // the coordinator
  // How far its clock is ahead from its next start on: within a process no clock goes back.
  void set_coordinator_clock_error(Duration error) { options_.coordinator_clock_error = error; }
  const std::string& last_line(std::size_t worker) const { return lines_[worker]; }
  // Record refusals that the submitter was told.
  const std::vector<std::string>& refusals() const { return refusals_; }
  const std::vector<LogEvent>& events() const { return log_.events(); }

 private:
  friend class CoordinatorProcess;
  friend class WorkerProcess;
  friend class SubmitterProcess;

  FederationOptions options_;
  SimulatedSecureRandom random_;
  crypto::SigningKey coordinator_key_;
  crypto::SigningKey owner_key_;
  std::vector<crypto::SigningKey> worker_keys_;
  ledger::Genesis genesis_;
  ledger::MemoryStore store_;  // what was appended is durable
  // At a crash they lose what was not flushed.
  PowerLossDisk coordinator_disk_;
  PowerLossDisk submitter_disk_;
  std::vector<std::unique_ptr<PowerLossDisk>> disks_;
  std::vector<crypto::SigningKey> rogue_keys_;
  std::vector<SealedPlain> sealed_;
  std::vector<std::unique_ptr<trainer::TaskExecutor>> executors_;
  std::vector<std::string> lines_;
  std::vector<std::string> refusals_;
  std::map<Digest, Bytes> blobs_;
  MemoryEventLog log_;
  std::uint64_t owner_seq_ = 0;
  coordinator::Coordinator* running_ = nullptr;
  class SubmitterProcess* submitter_ = nullptr;
  World world_;
};

}  // namespace fedmesh::sim
