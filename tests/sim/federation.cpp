#include "tests/sim/federation.h"

#include <sstream>

#include "base/check.h"
#include "base/crypto/blob_hash.h"
#include "coordinator/ledger/export.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::sim {

void SimulatedSecureRandom::fill(MutableByteView out) {
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
}

class CoordinatorProcess final : public Process {
 public:
  explicit CoordinatorProcess(Federation& owner) : owner_(owner) {
    auto created = coordinator::Coordinator::create(owner.genesis_, owner.coordinator_key_.clone(),
                                                    owner.store_, owner.random_);
    FM_CHECK(created.ok(), "the simulator's genesis is valid");
    machine_ = std::move(created).value();
    owner_.running_ = machine_.get();
  }
  ~CoordinatorProcess() override { owner_.running_ = nullptr; }

  void link_up(const NodeId& peer) override { step(coordinator::LinkUp{peer}); }
  void link_down(const NodeId& peer) override { step(coordinator::LinkDown{peer}); }
  void receive(const NodeId& peer, const Bytes& message) override {
    step(coordinator::Received{peer, message});
  }
  void tick() override { step(coordinator::Tick{}); }
  std::optional<Instant> next_wake() const override {
    return pending_ ? std::optional(owner_.world_.now()) : machine_->next_wake();
  }

 private:
  void step(const coordinator::Event& event) {
    pending_ = !std::holds_alternative<coordinator::Tick>(event);
    for (auto& effect : machine_->step(owner_.world_.now(), event)) {
      if (auto* send = std::get_if<coordinator::Send>(&effect)) {
        owner_.world_.send(owner_.coordinator_id(), send->peer, std::move(send->message));
      } else if (auto* disconnect = std::get_if<coordinator::Disconnect>(&effect)) {
        owner_.log_.write(
            {owner_.world_.now(), "sim.disconnect", {{"reason", disconnect->reason}}});
        owner_.world_.disconnect(owner_.coordinator_id(), disconnect->peer);
      } else if (auto* log = std::get_if<coordinator::Log>(&effect)) {
        owner_.log_.write(log->event);
      } else {
        FM_CHECK(false, "the simulated store never fails");
      }
    }
  }

  Federation& owner_;
  std::unique_ptr<coordinator::Coordinator> machine_;
  bool pending_ = false;  // events came since the last tick
};

class WorkerProcess final : public Process {
 public:
  WorkerProcess(Federation& owner, std::size_t index) : owner_(owner), index_(index) {
    worker::WorkerConfig config;
    config.genesis = owner.genesis_;
    config.data_uri = owner.options_.data[index];
    if (index < owner.options_.consent.size()) config.consent = owner.options_.consent[index];
    config.capabilities = owner.options_.capabilities;
    auto created = worker::Worker::create(std::move(config), owner.worker_keys_[index].clone(),
                                          owner.random_, owner.disks_[index]);
    FM_CHECK(created.ok(), "the simulator's disks are sound");
    machine_ = std::move(created).value();
  }

  void link_up(const NodeId& peer) override { step(worker::LinkUp{peer}); }
  void link_down(const NodeId& peer) override { step(worker::LinkDown{peer, "simulated"}); }
  void receive(const NodeId& peer, const Bytes& message) override {
    step(worker::Received{peer, message});
  }
  void tick() override { step(worker::Tick{}); }
  std::optional<Instant> next_wake() const override { return machine_->next_wake(); }

 private:
  void step(const worker::Event& event) {
    auto effects = machine_->step(owner_.world_.now(), event);
    if (owner_.options_.tamper) owner_.options_.tamper(index_, effects);
    for (auto& effect : effects) execute(effect);
  }

  void execute(worker::Effect& effect) {
    const NodeId self = owner_.worker_id(index_);
    if (auto* send = std::get_if<worker::Send>(&effect)) {
      owner_.world_.send(self, send->to, std::move(send->message));
    } else if (auto* task = std::get_if<worker::RunTask>(&effect)) {
      run(std::move(task->request));
    } else if (auto* cancel = std::get_if<worker::CancelTask>(&effect)) {
      cancelled_.insert(cancel->id);
    } else if (auto* persist = std::get_if<worker::Persist>(&effect)) {
      owner_.disks_[index_][persist->name] = std::move(persist->bytes);
    } else if (auto* erase = std::get_if<worker::Erase>(&effect)) {
      owner_.disks_[index_].erase(erase->name);
    } else if (auto* disconnect = std::get_if<worker::Disconnect>(&effect)) {
      owner_.world_.disconnect(self, disconnect->peer);
    } else if (auto* log = std::get_if<worker::Log>(&effect)) {
      owner_.log_.write(log->event);
      if (!log->line.empty()) owner_.lines_[index_] = log->line;
    }
  }

  // The task runs at once in this thread; its answer arrives after the simulated duration, unless
  // this process has crashed by then.
  void run(trainer::Request request) {
    auto response = std::make_shared<trainer::Response>(owner_.executors_[index_]->run(request));
    const std::weak_ptr<int> alive = alive_;
    owner_.world_.after(owner_.options_.task_duration, [this, alive, response] {
      if (alive.expired() || cancelled_.erase(response->id) > 0) return;
      step(worker::TaskDone{std::move(*response)});
    });
  }

  Federation& owner_;
  std::size_t index_;
  std::unique_ptr<worker::Worker> machine_;
  std::set<std::uint64_t> cancelled_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// Hands in what the test submits, as soon as it is linked, until the coordinator says what became
// of it.
class SubmitterProcess final : public Process {
 public:
  explicit SubmitterProcess(Federation& owner) : owner_(owner) { owner_.submitter_ = this; }

  void submit(protocol::Message message) {
    outbox_.push_back(std::move(message));
    if (linked_) send(outbox_.back());
  }

  void link_up(const NodeId&) override {
    linked_ = true;
    send(protocol::Hello{ledger::chain_id(owner_.genesis_), "simulator", true});
    for (const auto& message : outbox_) send(message);
  }
  void link_down(const NodeId&) override { linked_ = false; }
  void receive(const NodeId&, const Bytes& bytes) override {
    const auto message = protocol::decode_message(bytes);
    FM_CHECK(message.ok(), "the coordinator sends canonical messages");
    if (const auto* result = std::get_if<protocol::RecordResult>(&*message)) {
      if (!result->height) owner_.refusals_.push_back(result->reason);
      std::erase_if(
          outbox_, [](const auto& m) { return std::holds_alternative<protocol::SubmitRecord>(m); });
    } else if (std::holds_alternative<protocol::BlobPutStatus>(*message)) {
      return;
    } else if (const auto* update = std::get_if<protocol::StateUpdate>(&*message)) {
      for (const auto& entry : update->entries) fetch_models(entry);
    } else if (const auto* frame = std::get_if<protocol::BlobFrame>(&*message)) {
      take(*frame);
    }
  }
  void tick() override {}
  std::optional<Instant> next_wake() const override { return std::nullopt; }

 private:
  void send(const protocol::Message& message) {
    owner_.world_.send(owner_.owner_key_.node_id(), owner_.coordinator_id(),
                       protocol::encode_message(message));
  }
  void fetch_models(const ledger::StateEntry& entry) {
    if (!entry.key.starts_with(protocol::kJobPrefix) || !entry.value) return;
    const auto job = protocol::decode_state<protocol::JobState>(*entry.value);
    if (!job.ok()) return;
    for (const Digest& root : {job->model_root, job->standardisation_root}) {
      if (root.is_zero() || owner_.blobs_.contains(root) || !wanted_.insert(root).second) continue;
      send(protocol::BlobRequest{root, 0});
    }
  }
  void take(const protocol::BlobFrame& frame) {
    Bytes& part = parts_[frame.root];
    if (frame.offset != part.size()) return;
    append(part, frame.bytes);
    if (part.size() < frame.total) return send(protocol::BlobRequest{frame.root, part.size()});
    FM_CHECK(crypto::blob_root(part) == frame.root, "served blobs hash to their root");
    owner_.blobs_[frame.root] = std::move(part);
    parts_.erase(frame.root);
  }

  Federation& owner_;
  bool linked_ = false;
  std::vector<protocol::Message> outbox_;
  std::set<Digest> wanted_;
  std::map<Digest, Bytes> parts_;
};

Federation::Federation(FederationOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      coordinator_key_(crypto::SigningKey::generate(random_)),
      owner_key_(crypto::SigningKey::generate(random_)),
      log_(100000),
      world_(options_.seed, options_.links) {
  genesis_.network_name = "simulated";
  genesis_.created_ms = world_.now().ms - 1000;
  genesis_.committee = {coordinator_key_.public_key()};
  genesis_.operators = {owner_key_.public_key()};
  genesis_.participants = {
      {coordinator_key_.public_key(), ledger::kCoordinator | ledger::kAggregator, "coordinator"},
      {owner_key_.public_key(), ledger::kSubmitter, "owner"}};
  for (std::size_t i = 0; i < options_.data.size(); ++i) {
    worker_keys_.push_back(crypto::SigningKey::generate(random_));
    genesis_.participants.push_back({worker_keys_.back().public_key(),
                                     ledger::kWorker | ledger::kValidator,
                                     "worker-" + std::to_string(i + 1)});
    executors_.push_back(options_.make_executor ? options_.make_executor()
                                                : std::make_unique<trainer::KernelExecutor>());
  }
  genesis_.nonce = random_.array<32>();
  disks_.resize(options_.data.size());
  lines_.resize(options_.data.size());
  world_.add_hub(coordinator_id(), [this] { return std::make_unique<CoordinatorProcess>(*this); });
  world_.add_spoke(owner_key_.node_id(),
                   [this] { return std::make_unique<SubmitterProcess>(*this); });
  for (std::size_t i = 0; i < options_.data.size(); ++i)
    world_.add_spoke(worker_id(i), [this, i] { return std::make_unique<WorkerProcess>(*this, i); });
}

Federation::~Federation() = default;

JobId Federation::submit(const protocol::JobSpec& spec, const Bytes& evaluation_blob) {
  for (std::size_t at = 0; at < evaluation_blob.size(); at += protocol::kFrameBytes) {
    const ByteView part = ByteView(evaluation_blob).subspan(at);
    submitter_->submit(
        protocol::BlobPut{crypto::blob_root(evaluation_blob), evaluation_blob.size(), at,
                          to_bytes(part.first(std::min(part.size(), protocol::kFrameBytes)))});
  }
  const ChainId chain = ledger::chain_id(genesis_);
  const JobId id = protocol::job_id(chain, owner_key_.public_key(), ++owner_seq_, spec);
  submitter_->submit(protocol::SubmitRecord{
      ledger::encode_record(ledger::sign_record(owner_key_, ledger::RecordKind::job, chain, id,
                                                owner_seq_, codec::encode(protocol::Job{spec})))});
  return id;
}

void Federation::stop(const JobId& job, const std::string& reason) {
  submitter_->submit(protocol::SubmitRecord{ledger::encode_record(
      ledger::sign_record(owner_key_, ledger::RecordKind::stop, ledger::chain_id(genesis_), job,
                          ++owner_seq_, codec::encode(protocol::Stop{reason})))});
}

bool Federation::run(const JobId& job, Duration limit) {
  const std::string key = protocol::job_key(job);
  return world_.run_until(
      [&] {
        if (running_ == nullptr) return false;
        const auto state = rounds::load<protocol::JobState>(running_->chain().state(), key);
        return state && protocol::is_terminal(state->phase) &&
               (state->model_root.is_zero() || blobs_.contains(state->model_root));
      },
      limit);
}

const ledger::Chain& Federation::chain() const {
  FM_CHECK(running_ != nullptr, "a coordinator runs");
  return running_->chain();
}

protocol::JobState Federation::job(const JobId& id) const {
  return rounds::require<protocol::JobState>(chain().state(), protocol::job_key(id));
}

std::vector<protocol::RoundState> Federation::rounds(const JobId& id) const {
  std::vector<protocol::RoundState> out;
  for (const auto& [key, value] : chain().state().prefix(protocol::round_prefix(id))) {
    auto round = protocol::decode_state<protocol::RoundState>(value);
    FM_CHECK(round.ok(), "the state holds round states");
    out.push_back(std::move(round).value());
  }
  return out;
}

std::optional<Bytes> Federation::blob(const Digest& root) const {
  const auto at = blobs_.find(root);
  if (at == blobs_.end()) return std::nullopt;
  return at->second;
}

Bytes Federation::ledger_export() const {
  std::ostringstream out;
  FM_CHECK(ledger::write_export(out, chain()).ok(), "writing to memory does not fail");
  return to_bytes(as_bytes(out.str()));
}

}  // namespace fedmesh::sim
