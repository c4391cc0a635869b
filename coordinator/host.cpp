#include "coordinator/host.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/disk.h"
#include "base/event_log.h"
#include "base/random.h"
#include "coordinator/compute_thread.h"
#include "coordinator/coordinator.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/rocksdb_store/backup.h"
#include "net/bulk_plane.h"
#include "net/zmq_transport.h"

namespace fedmesh::coordinator {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
void request_stop(int) { stop_requested = 1; }

void install_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// What other threads tell the loop. Thread-safe.
class Inbox {
 public:
  explicit Inbox(net::Transport& transport) : transport_(transport) {}
  void push(Event event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    transport_.wake();
  }
  std::vector<Event> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  net::Transport& transport_;
  std::mutex mutex_;
  std::vector<Event> events_;  // guarded by mutex_
};

// Lets a test end the process around the moment when a block becomes final.
class CrashPointStore final : public ledger::Store {
 public:
  explicit CrashPointStore(ledger::Store& store) : store_(store) {}
  void watch(const Coordinator& coordinator) { coordinator_ = &coordinator; }

  Result<void> add(const ledger::CertifiedBlock& block) override {
    std::set<std::string> phases;
    if (coordinator_ != nullptr && crash_points_armed()) phases = coordinator_->phases();
    for (const auto& phase : phases) crash_point("coordinator.before-block." + phase);
    auto done = store_.add(block);
    for (const auto& phase : phases) crash_point("coordinator.after-block." + phase);
    return done;
  }
  Result<void> flush() override { return store_.flush(); }
  Result<ledger::CertifiedBlock> get(Height height) const override { return store_.get(height); }
  Height head() const override { return store_.head(); }

 private:
  ledger::Store& store_;
  const Coordinator* coordinator_ = nullptr;
};

struct HostParts {
  net::Transport& transport;
  net::BulkPlane& bulk;
  ComputeThread& compute;
  Inbox& inbox;
  EventLog& log;
  const Clock& clock;
};

class Host {
 public:
  Host(const HostParts& parts, Coordinator& coordinator)
      : transport_(parts.transport),
        bulk_(parts.bulk),
        compute_(parts.compute),
        inbox_(parts.inbox),
        log_(parts.log),
        clock_(parts.clock),
        coordinator_(coordinator) {}

  Result<void> loop() {
    constexpr Duration kIdle = std::chrono::milliseconds(200);  // signals are seen this soon
    while (stop_requested == 0 && !halted_) {
      Duration timeout = kIdle;
      if (const auto wake = coordinator_.next_wake())
        timeout = std::clamp(*wake - clock_.now(), Duration(0), kIdle);
      for (auto& event : transport_.poll(timeout)) on_event(event);
      for (auto& event : inbox_.take()) step(std::move(event));
      step(Tick{});
    }
    if (halted_) return *halted_;
    return {};
  }

 private:
  void step(Event event) { execute(coordinator_.step(clock_.now(), std::move(event))); }

  void on_event(net::PeerEvent& event) {
    const Instant now = clock_.now();
    if (auto* connected = std::get_if<net::Connected>(&event)) {
      log_.write({now, "peer.connected", {{"peer", connected->peer.id.hex()}}});
      step(LinkUp{connected->peer.id});
    } else if (auto* gone = std::get_if<net::Disconnected>(&event)) {
      log_.write(
          {now, "peer.disconnected", {{"peer", gone->peer.hex()}, {"reason", gone->reason}}});
      step(LinkDown{gone->peer});
    } else if (auto* received = std::get_if<net::Received>(&event)) {
      step(Received{received->peer, std::move(received->message)});
    } else if (auto* refused = std::get_if<net::Refused>(&event)) {
      log_.write(
          {now, "peer.refused", {{"address", refused->address}, {"reason", refused->reason}}});
    }
  }

  void execute(Effects effects) {
    for (auto& effect : effects) {
      if (halted_) return;
      if (auto* send = std::get_if<Send>(&effect)) {
        const auto sent = transport_.send(send->peer, std::move(send->message));
        // A subscriber that does not keep up starts afresh: on return it is given everything live.
        if (!sent.ok() && sent.error().code == ErrorCode::exhausted)
          transport_.disconnect(send->peer, "too slow: its queue is full");
      } else if (auto* disconnect = std::get_if<Disconnect>(&effect)) {
        transport_.disconnect(disconnect->peer, disconnect->reason);
      } else if (auto* log = std::get_if<Log>(&effect)) {
        log_.write(log->event);
        tell(log->event);
      } else if (auto* fetch = std::get_if<FetchBlob>(&effect)) {
        bulk_.want(fetch->root, fetch->bytes_max, {fetch->holder}, fetch->flush);
      } else if (auto* forget = std::get_if<ForgetBlob>(&effect)) {
        bulk_.forget(forget->root);
      } else if (auto* task = std::get_if<Compute>(&effect)) {
        compute_.submit(std::move(task->task));
      } else if (const auto* over = std::get_if<ForgetSum>(&effect)) {
        compute_.forget(over->job);
      } else {
        halted_ = std::get<Halt>(effect).reason;
        log_.write({clock_.now(), "node.halted", {{"reason", halted_->to_string()}}});
      }
    }
  }

  // What this node cannot do, and will cost others a round, its operator must see.
  static void tell(const LogEvent& event) {
    if (!event.kind.starts_with("aggregate.") && event.kind != "update.damaged") return;
    for (const auto& [name, value] : event.fields)
      if (const auto* text = std::get_if<std::string>(&value); text != nullptr && name == "detail")
        std::printf("%s: %s\n", event.kind.c_str(), text->c_str());
    std::fflush(stdout);
  }

  net::Transport& transport_;
  net::BulkPlane& bulk_;
  ComputeThread& compute_;
  Inbox& inbox_;
  EventLog& log_;
  const Clock& clock_;
  Coordinator& coordinator_;
  std::optional<Error> halted_;
};

// So little is left that nothing can be kept any more.
bool is_full(const std::filesystem::path& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  return !error && space.available < (std::uintmax_t{1} << 20);
}

// Beside the file and renamed, so that a reader never sees half of it.
Result<void> write_endpoint(const std::filesystem::path& path, const std::string& endpoint) {
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream(part) << endpoint << "\n";
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) return unavailable("write " + path.string() + ": " + error.message());
  return {};
}

std::uint32_t port_of(const std::string& endpoint) {
  return static_cast<std::uint32_t>(std::atoi(endpoint.c_str() + endpoint.rfind(':') + 1));
}

// "host:7701" for "host:7700"; a free port where that one was free too.
std::string bulk_endpoint(const HostConfig& config) {
  if (!config.bulk_listen.empty()) return config.bulk_listen;
  const auto colon = config.listen.rfind(':');
  if (colon == std::string::npos) return config.listen;  // refused by the listener before
  const std::uint32_t port = port_of(config.listen);
  return config.listen.substr(0, colon + 1) + std::to_string(port == 0 ? 0 : port + 1);
}

}  // namespace

Result<void> run(const HostConfig& config) {
  install_signals();
  FM_TRY(auto key, crypto::load_key(config.home / "node.key"));
  FM_TRY(auto genesis, ledger::load_genesis(config.home / "genesis.fm"));
  FM_TRY(const auto lock,
         FolderLock::take(config.home, "another process uses " + config.home.string() +
                                           ": is its coordinator running already?"));
  FM_TRY(auto log, FileEventLog::open(config.home / "events.jsonl"));
  SystemClock clock;
  SystemRandom random;
  SystemDisk disk;
  FM_TRY(const auto blobs, net::BlobStore::open(disk, config.home / "blobs"));
  FM_TRY(auto items, PrivateFolder::open(disk, config.home / "items"));
  FM_TRY(const auto ledger_store,
         ledger::open_home_ledger(disk, config.home, ledger::chain_id(genesis),
                                  config.confirm_restored));
  CrashPointStore store(*ledger_store);
  // Sessions carry no network name, so that a newcomer can ask for the genesis; every node then
  // checks the chain id of Hello and Welcome, and every record and certificate is bound to it.
  const net::ZmqConfig network;
  net::ZmqTransport transport(key.clone(), network, clock, random);
  Inbox inbox(transport);
  const auto on_bulk = [&](const net::BulkEvent& event) {
    if (const auto* arrived = std::get_if<net::bulk::Arrived>(&event)) {
      inbox.push(BlobArrived{arrived->root});
    } else if (const auto* failed = std::get_if<net::bulk::Failed>(&event)) {
      inbox.push(BlobFailed{failed->root, failed->reason, is_full(config.home)});
    }
  };
  // Blobs are public or sealed: whoever asks is served.
  const auto bulk = net::BulkPlane::create(key.clone(), *blobs, net::BulkConfig(), clock, random,
                                           on_bulk, [](const NodeId&) { return true; });
  FM_TRY_VOID(transport.listen(config.listen));
  const auto bulk_listening = bulk->listen(bulk_endpoint(config));
  if (!bulk_listening.ok()) return bulk_listening.error().with_context("--bulk-listen");
  const std::string& bulk_bound = *bulk_listening;
  const std::string name = genesis.network_name;
  FM_TRY(const auto coordinator,
         Coordinator::create(std::move(genesis), key.clone(), {store, *blobs, items, random}));
  store.watch(*coordinator);
  coordinator->set_bulk_port(port_of(bulk_bound));
  coordinator->set_gathering(std::chrono::milliseconds(10));
  ComputeThread compute(*blobs, [&](rounds::ComputeDone done) {
    const auto* aggregated = std::get_if<rounds::Aggregated>(&done);
    if (aggregated != nullptr && !aggregated->attest.ok() && is_full(config.home))
      return inbox.push(BlobFailed{{}, aggregated->attest.error(), true});
    inbox.push(ComputeDone{std::move(done)});
  });
  const std::string endpoint = transport.bound_endpoint().value_or(config.listen);
  if (!config.endpoint_file.empty()) FM_TRY_VOID(write_endpoint(config.endpoint_file, endpoint));
  std::printf("fedmesh-coordinator: network %s, chain %s, node %s, listening on %s, blobs on %s\n",
              name.c_str(), coordinator->chain().id().hex().c_str(),
              key.node_id().short_hex().c_str(), endpoint.c_str(), bulk_bound.c_str());
  if (const Height at = store.head(); at.value > 0)
    std::printf("resuming at height %llu, %s\n", static_cast<unsigned long long>(at.value),
                coordinator->chain().head_hash().hex().c_str());
  std::fflush(stdout);
  const auto result = Host({transport, *bulk, compute, inbox, *log, clock}, *coordinator).loop();
  bulk->stop();
  return result;
}

}  // namespace fedmesh::coordinator
