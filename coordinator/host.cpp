#include "coordinator/host.h"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>

#include "base/clock.h"
#include "base/disk.h"
#include "base/event_log.h"
#include "base/random.h"
#include "coordinator/coordinator.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/rocksdb_store/backup.h"
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

class Host {
 public:
  Host(net::Transport& transport, Coordinator& coordinator, EventLog& log, const Clock& clock)
      : transport_(transport), coordinator_(coordinator), log_(log), clock_(clock) {}

  Result<void> loop() {
    constexpr Duration kIdle = std::chrono::milliseconds(200);  // signals are seen this soon
    while (stop_requested == 0 && !halted_) {
      Duration timeout = kIdle;
      if (const auto wake = coordinator_.next_wake())
        timeout = std::clamp(*wake - clock_.now(), Duration(0), kIdle);
      for (auto& event : transport_.poll(timeout)) on_event(event);
      execute(coordinator_.step(clock_.now(), Tick{}));
    }
    if (halted_) return *halted_;
    return {};
  }

 private:
  void on_event(net::PeerEvent& event) {
    const Instant now = clock_.now();
    if (auto* connected = std::get_if<net::Connected>(&event)) {
      log_.write({now, "peer.connected", {{"peer", connected->peer.id.hex()}}});
      execute(coordinator_.step(now, LinkUp{connected->peer.id}));
    } else if (auto* gone = std::get_if<net::Disconnected>(&event)) {
      log_.write(
          {now, "peer.disconnected", {{"peer", gone->peer.hex()}, {"reason", gone->reason}}});
      execute(coordinator_.step(now, LinkDown{gone->peer}));
    } else if (auto* received = std::get_if<net::Received>(&event)) {
      execute(coordinator_.step(now, Received{received->peer, std::move(received->message)}));
    } else if (auto* refused = std::get_if<net::Refused>(&event)) {
      log_.write(
          {now, "peer.refused", {{"address", refused->address}, {"reason", refused->reason}}});
    }
  }

  void execute(Effects effects) {
    for (auto& effect : effects) {
      if (auto* send = std::get_if<Send>(&effect)) {
        const auto sent = transport_.send(send->peer, std::move(send->message));
        // A subscriber that does not keep up starts afresh: on return it is given everything live.
        if (!sent.ok() && sent.error().code == ErrorCode::exhausted)
          transport_.disconnect(send->peer, "too slow: its queue is full");
      } else if (auto* disconnect = std::get_if<Disconnect>(&effect)) {
        transport_.disconnect(disconnect->peer, disconnect->reason);
      } else if (auto* log = std::get_if<Log>(&effect)) {
        log_.write(log->event);
      } else {
        halted_ = std::get<Halt>(effect).reason;
      }
    }
  }

  net::Transport& transport_;
  Coordinator& coordinator_;
  EventLog& log_;
  const Clock& clock_;
  std::optional<Error> halted_;
};

// Beside the file and renamed, so that a reader never sees half of it.
Result<void> write_endpoint(const std::filesystem::path& path, const std::string& endpoint) {
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream(part) << endpoint << "\n";
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) return unavailable("write " + path.string() + ": " + error.message());
  return {};
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
  FM_TRY(const auto store, ledger::open_home_ledger(disk, config.home, ledger::chain_id(genesis),
                                                    config.confirm_restored));
  // Sessions carry no network name, so that a newcomer can ask for the genesis; every node then
  // checks the chain id of Hello and Welcome, and every record and certificate is bound to it.
  const net::ZmqConfig network;
  net::ZmqTransport transport(key.clone(), network, clock, random);
  FM_TRY_VOID(transport.listen(config.listen));
  const std::string name = genesis.network_name;
  FM_TRY(const auto coordinator,
         Coordinator::create(std::move(genesis), key.clone(), *store, random));
  const std::string endpoint = transport.bound_endpoint().value_or(config.listen);
  if (!config.endpoint_file.empty()) FM_TRY_VOID(write_endpoint(config.endpoint_file, endpoint));
  std::printf("fedmesh-coordinator: network %s, chain %s, node %s, listening on %s\n", name.c_str(),
              coordinator->chain().id().hex().c_str(), key.node_id().short_hex().c_str(),
              endpoint.c_str());
  if (const Height at = store->head(); at.value > 0)
    std::printf("resuming at height %llu, %s\n", static_cast<unsigned long long>(at.value),
                coordinator->chain().head_hash().hex().c_str());
  std::fflush(stdout);
  return Host(transport, *coordinator, *log, clock).loop();
}

}  // namespace fedmesh::coordinator
