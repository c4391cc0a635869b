#include "tests/sim/federation.h"

#include <sstream>

#include "base/byte_source.h"
#include "base/check.h"
#include "base/crypto/blob_hash.h"
#include "base/private_folder.h"
#include "coordinator/ledger/export.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::sim {

void SimulatedSecureRandom::fill(MutableByteView out) {
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
}

class CoordinatorProcess final : public Process {
 public:
  explicit CoordinatorProcess(Federation& owner)
      : owner_(owner), clock_error_(owner.options_.coordinator_clock_error) {
    owner.coordinator_disk_.crash();
    bulk_ = std::make_unique<BulkEnd>(
        owner.world_, owner.coordinator_id(), owner.coordinator_disk_,
        BulkEnd::Callbacks{[this](const Digest& root) { step(coordinator::BlobArrived{root}); },
                           [this](const Digest& root, const Error& reason) {
                             step(coordinator::BlobFailed{root, reason});
                           }});
    auto items = PrivateFolder::open(owner.coordinator_disk_, "items");
    FM_CHECK(items.ok(), "the simulator's disks are sound");
    items_ = std::make_unique<PrivateFolder>(std::move(items).value());
    auto created =
        coordinator::Coordinator::create(owner.genesis_, owner.coordinator_key_.clone(),
                                         {owner.store_, bulk_->store(), *items_, owner.random_});
    FM_CHECK(created.ok(), "the simulator's genesis is valid");
    machine_ = std::move(created).value();
    machine_->set_gathering(Duration(10));  // as in host.cpp
    owner_.running_ = machine_.get();
  }
  ~CoordinatorProcess() override { owner_.running_ = nullptr; }

  void link_up(const NodeId& peer) override {
    bulk_->peer_up(peer);
    step(coordinator::LinkUp{peer});
  }
  void link_down(const NodeId& peer) override {
    bulk_->peer_down(peer);
    step(coordinator::LinkDown{peer});
  }
  void receive(const NodeId& peer, const Bytes& message, Channel channel) override {
    if (channel == Channel::bulk) return bulk_->receive(peer, message);
    step(coordinator::Received{peer, message});
  }
  void tick() override {
    bulk_->tick();
    step(coordinator::Tick{});
  }
  std::optional<Instant> next_wake() const override {
    if (pending_) return owner_.world_.now();
    auto wake = machine_->next_wake();
    if (wake) wake = *wake + -clock_error_;
    const auto bulk = bulk_->next_wake();
    return bulk && (!wake || *bulk < *wake) ? bulk : wake;
  }

 private:
  void step(coordinator::Event event) {
    pending_ = !std::holds_alternative<coordinator::Tick>(event);
    for (auto& effect : machine_->step(owner_.world_.now() + clock_error_, std::move(event)))
      execute(effect);
  }

  void execute(coordinator::Effect& effect) {
    if (auto* send = std::get_if<coordinator::Send>(&effect)) {
      owner_.world_.send(owner_.coordinator_id(), send->peer, std::move(send->message));
    } else if (auto* disconnect = std::get_if<coordinator::Disconnect>(&effect)) {
      owner_.log_.write({owner_.world_.now(), "sim.disconnect", {{"reason", disconnect->reason}}});
      owner_.world_.disconnect(owner_.coordinator_id(), disconnect->peer);
    } else if (auto* log = std::get_if<coordinator::Log>(&effect)) {
      owner_.log_.write(log->event);
    } else if (auto* fetch = std::get_if<coordinator::FetchBlob>(&effect)) {
      bulk_->want(fetch->root, fetch->bytes_max, {fetch->holder}, fetch->flush);
    } else if (auto* forget = std::get_if<coordinator::ForgetBlob>(&effect)) {
      bulk_->forget(forget->root);
    } else if (auto* task = std::get_if<coordinator::Compute>(&effect)) {
      compute(std::move(task->task));
    } else if (const auto* over = std::get_if<coordinator::ForgetSum>(&effect)) {
      running_.forget(over->job);
    } else {
      FM_CHECK(false, "the simulated store never fails");
    }
  }

  // At once in this thread; the answer comes after the simulated duration.
  void compute(rounds::ComputeTask task) {
    auto done =
        std::make_shared<rounds::ComputeDone>(rounds::compute(task, bulk_->store(), &running_));
    const std::weak_ptr<int> alive = alive_;
    owner_.world_.after(owner_.options_.compute_duration, [this, alive, done] {
      if (!alive.expired()) step(coordinator::ComputeDone{std::move(*done)});
    });
  }

  Federation& owner_;
  Duration clock_error_;
  std::unique_ptr<BulkEnd> bulk_;
  std::unique_ptr<PrivateFolder> items_;
  std::unique_ptr<coordinator::Coordinator> machine_;
  rounds::RunningSum running_;
  bool pending_ = true;  // events came since the last tick; own duties are due after a start
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

class WorkerProcess final : public Process {
 public:
  WorkerProcess(Federation& owner, std::size_t index)
      : owner_(owner), index_(index), disk_(*owner.disks_[index]) {
    disk_.crash();
    bulk_ = std::make_unique<BulkEnd>(
        owner.world_, owner.worker_id(index), disk_,
        BulkEnd::Callbacks{[this](const Digest& root) { hand_over(root); },
                           [this](const Digest& root, const Error& reason) {
                             step(worker::BlobFailed{root, reason.to_string()});
                           }});
    auto items = PrivateFolder::open(disk_, "items");
    FM_CHECK(items.ok(), "the simulator's disks are sound");
    items_ = std::make_unique<PrivateFolder>(std::move(items).value());
    worker::WorkerConfig config;
    config.genesis = owner.genesis_;
    config.data_uri = owner.options_.data[index];
    if (index < owner.options_.consent.size()) config.consent = owner.options_.consent[index];
    config.capabilities = owner.options_.capabilities;
    auto restored = items_->load("receipt-");
    FM_CHECK(restored.ok(), "the simulator's disks are sound");
    auto created = worker::Worker::create(std::move(config), owner.worker_keys_[index].clone(),
                                          owner.random_, std::move(restored).value());
    FM_CHECK(created.ok(), "the simulator's disks are sound");
    machine_ = std::move(created).value();
  }

  void link_up(const NodeId& peer) override {
    bulk_->peer_up(peer);
    step(worker::LinkUp{peer});
  }
  void link_down(const NodeId& peer) override {
    bulk_->peer_down(peer);
    step(worker::LinkDown{peer, "simulated"});
  }
  void receive(const NodeId& peer, const Bytes& message, Channel channel) override {
    if (channel == Channel::bulk) return bulk_->receive(peer, message);
    step(worker::Received{peer, message});
  }
  void tick() override {
    bulk_->tick();
    step(worker::Tick{});
  }
  std::optional<Instant> next_wake() const override {
    auto wake = machine_->next_wake();
    if (wake) wake = *wake + -clock_error();
    const auto bulk = bulk_->next_wake();
    return bulk && (!wake || *bulk < *wake) ? bulk : wake;
  }

 private:
  Duration clock_error() const {
    const auto& errors = owner_.options_.clock_error;
    return index_ < errors.size() ? errors[index_] : Duration(0);
  }

  void step(const worker::Event& event) {
    auto effects = machine_->step(owner_.world_.now() + clock_error(), event);
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
      remember(*persist);
      const bool receipt = persist->name.starts_with("receipt-");
      const auto written = receipt ? items_->write_plain(persist->name, persist->bytes)
                                   : items_->write(persist->name, persist->bytes);
      FM_CHECK(written.ok(), "the simulated disk has room");
    } else if (auto* erase = std::get_if<worker::Erase>(&effect)) {
      FM_CHECK(items_->erase(erase->name).ok(), "the simulated disk has room");
    } else if (auto* blob = std::get_if<worker::StoreBlob>(&effect)) {
      FM_CHECK(bulk_->store().put(blob->bytes).ok(), "the simulated disk has room");
    } else if (auto* fetch = std::get_if<worker::FetchBlob>(&effect)) {
      this->fetch(*fetch);
    } else if (auto* keep = std::get_if<worker::KeepBlobs>(&effect)) {
      bulk_->store().pin("worker", keep->roots);
      bulk_->store().remove_unpinned();
    } else if (auto* disconnect = std::get_if<worker::Disconnect>(&effect)) {
      owner_.world_.disconnect(self, disconnect->peer);
    } else if (auto* log = std::get_if<worker::Log>(&effect)) {
      owner_.log_.write(log->event);
      if (!log->line.empty()) owner_.lines_[index_] = log->line;
    }
  }

  void fetch(const worker::FetchBlob& wanted) {
    if (!bulk_->store().holds(wanted.root))
      return bulk_->want(wanted.root, wanted.bytes_max, {}, net::Flush::no);
    const std::weak_ptr<int> alive = alive_;
    owner_.world_.after(Duration(0), [this, alive, root = wanted.root] {
      if (!alive.expired()) hand_over(root);
    });
  }

  void hand_over(const Digest& root) {
    auto bytes = bulk_->store().read_all(root, protocol::kMaxBlobBytes);
    if (bytes.ok()) return step(worker::BlobArrived{root, std::move(bytes).value()});
    step(worker::BlobFailed{root, bytes.error().to_string()});
  }

  // Tests know what was sealed; the world does not.
  void remember(const worker::Persist& item) {
    if (!item.name.starts_with("opening-")) return;
    const auto stored = codec::decode<worker::StoredOpening>(item.bytes);
    if (!stored.ok()) return;
    const auto bytes = bulk_->store().read_all(stored->ciphertext_root, protocol::kMaxBlobBytes);
    if (!bytes.ok()) return;
    const MemorySource source(*bytes);
    auto update = protocol::SealedUpdate::open(source, protocol::ContentKey(stored->content_key));
    if (!update.ok()) return;
    SealedPlain plain{stored->job,      stored->slot, owner_.worker_id(index_),
                      update->header(), {},           stored->content_key};
    for (std::uint64_t i = 0; i < update->chunks(); ++i) {
      const auto values = update->chunk(i);
      if (!values.ok()) return;
      plain.values.insert(plain.values.end(), values->begin(), values->end());
    }
    owner_.sealed_.push_back(std::move(plain));
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
  PowerLossDisk& disk_;
  std::unique_ptr<BulkEnd> bulk_;
  std::unique_ptr<PrivateFolder> items_;
  std::unique_ptr<worker::Worker> machine_;
  std::set<std::uint64_t> cancelled_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// Hands in what the test submits, as soon as it is linked, until the coordinator says what became
// of it; fetches every released model.
class SubmitterProcess final : public Process {
 public:
  explicit SubmitterProcess(Federation& owner) : owner_(owner) {
    owner_.submitter_ = this;
    bulk_ = std::make_unique<BulkEnd>(
        owner.world_, owner.owner_key_.node_id(), owner.submitter_disk_,
        BulkEnd::Callbacks{
            [this](const Digest& root) { take(root); },
            [](const Digest&, const Error&) { FM_CHECK(false, "the simulated disk has room"); }});
  }

  void submit(protocol::Message message) {
    outbox_.push_back(std::move(message));
    if (linked_) send(outbox_.back());
  }
  void offer(const Bytes& blob) {
    FM_CHECK(bulk_->store().put(blob).ok(), "the simulated disk has room");
    submit(protocol::BlobOffer{crypto::blob_root(blob), blob.size()});
  }

  void link_up(const NodeId& peer) override {
    linked_ = true;
    bulk_->peer_up(peer);
    send(protocol::Hello{ledger::chain_id(owner_.genesis_), "simulator", true, std::nullopt});
    for (const auto& message : outbox_) send(message);
    // Jobs that ended while the link was down are announced no more.
    send(protocol::StateQuery{1, protocol::kJobPrefix, "", 64});
  }
  void link_down(const NodeId& peer) override {
    linked_ = false;
    bulk_->peer_down(peer);
  }
  void receive(const NodeId& peer, const Bytes& bytes, Channel channel) override {
    if (channel == Channel::bulk) return bulk_->receive(peer, bytes);
    const auto message = protocol::decode_message(bytes);
    FM_CHECK(message.ok(), "the coordinator sends canonical messages");
    if (const auto* result = std::get_if<protocol::RecordResult>(&*message)) {
      if (!result->height) owner_.refusals_.push_back(result->reason);
      std::erase_if(
          outbox_, [](const auto& m) { return std::holds_alternative<protocol::SubmitRecord>(m); });
    } else if (std::holds_alternative<protocol::BlobOfferAnswer>(*message)) {
      std::erase_if(outbox_,
                    [](const auto& m) { return std::holds_alternative<protocol::BlobOffer>(m); });
    } else if (const auto* update = std::get_if<protocol::StateUpdate>(&*message)) {
      for (const auto& entry : update->entries) fetch_models(entry);
    } else if (const auto* answer = std::get_if<protocol::StateAnswer>(&*message)) {
      for (const auto& entry : answer->page.entries) fetch_models(entry);
    }
  }
  void tick() override { bulk_->tick(); }
  std::optional<Instant> next_wake() const override { return bulk_->next_wake(); }

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
      bulk_->want(root, protocol::kMaxBlobBytes, {}, net::Flush::no);
    }
  }
  void take(const Digest& root) {
    auto bytes = bulk_->store().read_all(root, protocol::kMaxBlobBytes);
    FM_CHECK(bytes.ok(), "what arrived is held");
    owner_.blobs_[root] = std::move(bytes).value();
    bulk_->store().remove(root);
  }

  Federation& owner_;
  std::unique_ptr<BulkEnd> bulk_;
  bool linked_ = false;
  std::vector<protocol::Message> outbox_;
  std::set<Digest> wanted_;
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
  for (std::size_t i = 0; i < options_.rogues; ++i) {
    rogue_keys_.push_back(crypto::SigningKey::generate(random_));
    genesis_.participants.push_back(
        {rogue_keys_.back().public_key(), ledger::kWorker, "rogue-" + std::to_string(i + 1)});
  }
  genesis_.nonce = random_.array<32>();
  for (std::size_t i = 0; i < options_.data.size(); ++i)
    disks_.push_back(std::make_unique<PowerLossDisk>());
  lines_.resize(options_.data.size());
  world_.add_hub(coordinator_id(), [this] { return std::make_unique<CoordinatorProcess>(*this); });
  world_.add_spoke(owner_key_.node_id(),
                   [this] { return std::make_unique<SubmitterProcess>(*this); });
  for (std::size_t i = 0; i < options_.data.size(); ++i)
    world_.add_spoke(worker_id(i), [this, i] { return std::make_unique<WorkerProcess>(*this, i); });
  for (std::size_t i = 0; i < options_.rogues; ++i)
    world_.add_spoke(rogue_id(i), [this, i] { return options_.make_rogue(*this, i); });
}

Federation::~Federation() = default;

JobId Federation::submit(const protocol::JobSpec& spec, const Bytes& evaluation_blob) {
  if (!evaluation_blob.empty()) submitter_->offer(evaluation_blob);
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

worker::PersistedItems Federation::items(std::size_t index) {
  const auto folder = PrivateFolder::open(*disks_[index], "items");
  FM_CHECK(folder.ok(), "the simulator's disks are sound");
  auto loaded = folder->load("receipt-");
  FM_CHECK(loaded.ok(), "the simulator's disks are sound");
  return std::move(loaded).value();
}

const SealedPlain* Federation::sealed(const JobId& job, const protocol::Slot& slot,
                                      const NodeId& worker) const {
  for (const auto& plain : sealed_)
    if (plain.job == job && plain.slot == slot && plain.worker == worker) return &plain;
  return nullptr;
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
