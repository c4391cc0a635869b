#include "worker/host.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/event_log.h"
#include "base/options.h"
#include "base/private_folder.h"
#include "base/random.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/protocol/messages.h"
#include "models/data/source.h"
#include "net/bulk_plane.h"
#include "net/zmq_transport.h"
#include "worker/host_threads.h"
#include "worker/known_network.h"
#include "worker/trainer/supervisor.h"
#include "worker/worker.h"

namespace fedmesh::worker {
namespace {

// Whether it takes a running trainer to know if tasks run on a GPU.
bool may_use_gpu(const HostConfig& config) {
  const bool driver = ::access("/dev/nvidiactl", F_OK) == 0;
  return config.device == "cuda" || (config.device == "auto" && driver);
}

Capabilities capabilities_of(const HostConfig& config, bool gpu) {
  Capabilities out;
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGE_SIZE);
  if (pages > 0 && page > 0)
    out.memory_mb = static_cast<std::uint32_t>(
        static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) >> 20);
  if (config.memory_mb > 0) out.memory_mb = std::min(out.memory_mb, config.memory_mb);
  out.gpu = gpu;
  return out;
}

// Which network: the file that was named, the one of earlier runs, or (on first use, unless pinned)
// whatever the coordinator serves. The peer that told it is linked then.
struct Network {
  ledger::Genesis genesis;
  std::optional<NodeId> linked;
};

// Nothing if a signal came first. A peer that answers nonsense is asked again later.
Result<std::optional<Network>> ask_network(const NetworkChoice& choice, net::Transport& transport,
                                           const StopSignal& stop) {
  DialReport report("the coordinator");
  while (!stop.requested()) {
    for (auto& event : transport.poll(std::chrono::seconds(1))) {
      if (const auto* failed = std::get_if<net::DialFailed>(&event)) report.failed(*failed);
      if (const auto* up = std::get_if<net::Connected>(&event)) {
        report.connected();
        // Asks for whatever network there is: to name the pinned one would be answered with a
        // hang-up by a coordinator of another, and its owner would not learn why.
        const protocol::Hello hello{ChainId{}, std::string("fedmesh-worker ") + version(), false,
                                    std::nullopt};
        (void)transport.send(up->peer.id, protocol::encode_message(hello)).ok();
      }
      const auto* received = std::get_if<net::Received>(&event);
      if (received == nullptr) continue;
      const auto message = protocol::decode_message(received->message);
      const auto* welcome = message.ok() ? std::get_if<protocol::Welcome>(&*message) : nullptr;
      auto genesis = welcome != nullptr ? ledger::decode_genesis(welcome->genesis)
                                        : Result<ledger::Genesis>(corruption("no welcome"));
      if (!genesis.ok()) {
        transport.disconnect(received->peer, "expected a welcome with a genesis");
        continue;
      }
      FM_TRY_VOID(check_pin(choice, *genesis, "the coordinator's network"));
      FM_TRY_VOID(remember_network(choice, *genesis));
      say("network " + genesis->network_name + ", taken on first use from coordinator " +
          received->peer.short_hex() + "; to pin it elsewhere: --chain " +
          ledger::chain_id(*genesis).hex());
      return std::optional(Network{std::move(genesis).value(), received->peer});
    }
  }
  return std::optional<Network>();
}

struct HostParts {
  std::string join;
  net::Transport& transport;
  net::BulkPlane& bulk;
  net::BlobStore& blobs;
  trainer::Supervisor& trainer;
  TaskQueue& queue;
  PrivateFolder& items;
  EventLog& log;
  const Clock& clock;
};

class Host {
 public:
  Host(const HostParts& parts, Worker& worker)
      : join_(parts.join),
        transport_(parts.transport),
        bulk_(parts.bulk),
        blobs_(parts.blobs),
        trainer_(parts.trainer),
        queue_(parts.queue),
        items_(parts.items),
        log_(parts.log),
        clock_(parts.clock),
        worker_(worker) {}

  Result<void> loop(const StopSignal& stop, std::optional<NodeId> linked) {
    if (linked) step(LinkUp{*linked});
    step(Tick{});
    while (!stop.requested() && !failure_) {
      Duration timeout = std::chrono::seconds(5);
      if (const auto wake = worker_.next_wake())
        timeout = std::clamp(*wake - clock_.now(), Duration(0), timeout);
      for (auto& event : transport_.poll(timeout)) on_event(event);
      for (auto& response : queue_.take_responses()) {
        step(TaskDone{response});
        crypto::wipe(response.body);
      }
      for (const auto& event : queue_.take_events()) on_trainer(event);
      for (const auto& event : queue_.take_bulk()) on_bulk(event);
      if (const auto wake = worker_.next_wake(); wake && *wake <= clock_.now()) step(Tick{});
    }
    if (failure_) return *failure_;
    return {};
  }

 private:
  void step(const Event& event) {
    auto effects = worker_.step(clock_.now(), event);
    const auto phases = worker_.phases();
    for (const auto& phase : phases) crash_point("worker.before-effects." + phase);
    execute(std::move(effects));
    for (const auto& phase : phases) crash_point("worker.after-effects." + phase);
  }

  void on_bulk(const net::BulkEvent& event) {
    if (const auto* arrived = std::get_if<net::bulk::Arrived>(&event)) {
      hand_over(arrived->root);
    } else if (const auto* failed = std::get_if<net::bulk::Failed>(&event)) {
      step(BlobFailed{failed->root, failed->reason.to_string()});
    } else if (const auto* unreachable = std::get_if<net::bulk::DialFailed>(&event)) {
      bulk_report_.failed(unreachable->endpoint, unreachable->reason);
      log_.write({clock_.now(),
                  "bulk.unreachable",
                  {{"endpoint", unreachable->endpoint}, {"reason", unreachable->reason}}});
    } else if (std::holds_alternative<net::bulk::PeerUp>(event)) {
      bulk_report_.connected();
    }
  }

  void hand_over(const Digest& root) {
    auto bytes = blobs_.read_all(root, protocol::kMaxBlobBytes);
    if (bytes.ok()) return step(BlobArrived{root, std::move(bytes).value()});
    step(BlobFailed{root, bytes.error().to_string()});
  }

  // Of what an earlier set kept or wanted, everything that is not in this one goes.
  void keep(const std::set<Digest>& roots) {
    for (const Digest& root : fetching_)
      if (!roots.contains(root)) bulk_.forget(root);
    std::erase_if(fetching_, [&](const Digest& root) { return !roots.contains(root); });
    blobs_.pin("worker", roots);
    blobs_.remove_unpinned();
  }

  // The bulk plane is on the host that was joined. A coordinator that has just come back is dialled
  // at once, however long the back-off of its absence has grown.
  void dial_bulk(const DialBulk& to) {
    const std::string endpoint = join_.substr(0, join_.rfind(':') + 1) + std::to_string(to.port);
    if (bulk_endpoint_ == endpoint && bulk_.peers().contains(to.peer)) return;
    if (!bulk_endpoint_.empty()) bulk_.forget(bulk_endpoint_);
    bulk_endpoint_ = endpoint;
    if (const auto dialled = bulk_.dial(endpoint, to.peer); !dialled.ok())
      say("cannot dial " + endpoint + ": " + dialled.error().detail);
  }

  void on_event(net::PeerEvent& event) {
    if (const auto* up = std::get_if<net::Connected>(&event)) {
      report_.connected();
      step(LinkUp{up->peer.id});
    } else if (const auto* down = std::get_if<net::Disconnected>(&event)) {
      unsent_.erase(down->peer);
      step(LinkDown{down->peer, down->reason});
    } else if (auto* received = std::get_if<net::Received>(&event)) {
      step(Received{received->peer, std::move(received->message)});
    } else if (const auto* writable = std::get_if<net::Writable>(&event)) {
      send_waiting(writable->peer);
    } else if (const auto* failed = std::get_if<net::DialFailed>(&event)) {
      report_.failed(*failed);
    }
  }

  void on_trainer(const trainer::TrainerEvent& event) {
    using Kind = trainer::TrainerEvent::Kind;
    const char* kind = event.kind == Kind::started ? "trainer.started"
                       : event.kind == Kind::ready ? "trainer.ready"
                       : event.kind == Kind::ended ? "trainer.ended"
                                                   : "trainer.log";
    log_.write({clock_.now(), kind, {{"detail", event.detail}}});
    if (event.kind == Kind::ready || event.kind == Kind::ended) say("trainer: " + event.detail);
  }

  // Messages keep their order: once one had to wait, the later ones wait behind it.
  void send(const NodeId& peer, Bytes message) {
    auto& waiting = unsent_[peer];
    waiting.push_back(std::move(message));
    if (waiting.size() == 1) send_waiting(peer);
  }

  void send_waiting(const NodeId& peer) {
    auto& waiting = unsent_[peer];
    while (!waiting.empty()) {
      const auto sent = transport_.send(peer, waiting.front());
      if (!sent.ok() && sent.error().code == ErrorCode::exhausted) return;
      waiting.pop_front();  // sent, or lost with its link: the worker repeats what matters
    }
  }

  void execute(Effects effects) {
    std::vector<FetchBlob> fetches;
    for (auto& effect : effects) {
      if (failure_) return;
      if (auto* out = std::get_if<Send>(&effect)) {
        send(out->to, std::move(out->message));
      } else if (auto* task = std::get_if<RunTask>(&effect)) {
        const std::uint64_t id = task->request.id;
        if (const auto given = trainer_.submit(std::move(task->request), task->deadline);
            !given.ok()) {
          queue_.push(trainer::failure(id, given.error()));
          transport_.wake();
        }
      } else if (const auto* cancel = std::get_if<CancelTask>(&effect)) {
        trainer_.cancel(cancel->id);
      } else if (auto* item = std::get_if<Persist>(&effect)) {
        // Receipts are for others to read, and prove themselves.
        const auto written = item->name.starts_with("receipt-")
                                 ? items_.write_plain(item->name, item->bytes)
                                 : items_.write(item->name, item->bytes);
        if (!written.ok()) failure_ = written.error();
        crypto::wipe(item->bytes);
        crash_point("worker.persisted." + item->name.substr(0, item->name.find('-')));
      } else if (const auto* gone = std::get_if<Erase>(&effect)) {
        if (const auto erased = items_.erase(gone->name); !erased.ok()) failure_ = erased.error();
      } else if (auto* blob = std::get_if<StoreBlob>(&effect)) {
        if (const auto stored = blobs_.put(blob->bytes); !stored.ok()) failure_ = stored.error();
        crash_point("worker.stored-update");
      } else if (const auto* fetch = std::get_if<FetchBlob>(&effect)) {
        fetches.push_back(*fetch);
      } else if (const auto* kept = std::get_if<KeepBlobs>(&effect)) {
        keep(kept->roots);
      } else if (const auto* bulk = std::get_if<DialBulk>(&effect)) {
        dial_bulk(*bulk);
      } else if (const auto* disconnect = std::get_if<Disconnect>(&effect)) {
        transport_.disconnect(disconnect->peer, disconnect->reason);
      } else {
        const auto& log = std::get<Log>(effect);
        log_.write(log.event);
        if (!log.line.empty()) say(log.line);
      }
    }
    // Last: what is here already leads to the next step at once.
    for (const auto& fetch : fetches) {
      if (failure_) return;
      fetching_.insert(fetch.root);
      if (blobs_.holds(fetch.root)) {
        hand_over(fetch.root);
      } else {
        // The coordinator keeps it for as long as the job lives.
        bulk_.want(fetch.root, fetch.bytes_max, {}, net::Flush::no);
      }
    }
  }

  std::string join_;
  net::Transport& transport_;
  net::BulkPlane& bulk_;
  net::BlobStore& blobs_;
  trainer::Supervisor& trainer_;
  TaskQueue& queue_;
  PrivateFolder& items_;
  EventLog& log_;
  const Clock& clock_;
  Worker& worker_;
  DialReport report_{"the coordinator"};
  DialReport bulk_report_{"the coordinator's bulk plane (models and updates)"};
  std::map<NodeId, std::deque<Bytes>> unsent_;
  std::set<Digest> fetching_;
  std::string bulk_endpoint_;
  std::optional<Error> failure_;
};

Result<std::unique_ptr<trainer::Supervisor>> start_trainer(const HostConfig& config,
                                                           TaskQueue& queue,
                                                           net::Transport& transport) {
  trainer::SupervisorOptions options;
  const std::string path =
      config.trainer.empty() ? trainer::program_beside_this("fedmesh-trainer") : config.trainer;
  if (::access(path.c_str(), X_OK) != 0)
    return not_found("no trainer at " + path + "; name it with --trainer PATH");
  options.command = {path, "--threads", std::to_string(config.threads)};
  options.start_at_once = may_use_gpu(config);
  trainer::SupervisorCallbacks callbacks;
  callbacks.on_response = [&](trainer::Response response) {
    queue.push(std::move(response));
    transport.wake();
  };
  callbacks.on_event = [&](trainer::TrainerEvent event) {
    queue.push(std::move(event));
    transport.wake();
  };
  return trainer::Supervisor::create(std::move(options), std::move(callbacks));
}

// Waits for the trainer's word on its devices, where it matters: a worker that promises a GPU and
// has none would sit every round out. False if a signal came first.
Result<bool> find_gpu(const HostConfig& config, TaskQueue& queue, net::Transport& transport,
                      const StopSignal& stop) {
  if (!may_use_gpu(config)) return false;
  std::optional<Result<bool>> found;
  std::deque<trainer::TrainerEvent> seen;
  while (!found && !stop.requested()) {
    (void)transport.poll(std::chrono::seconds(1));  // nothing is dialled yet
    for (auto& event : queue.take_events()) {
      using Kind = trainer::TrainerEvent::Kind;
      if (!found && event.kind == Kind::ready) {
        found = uses_gpu(config.device, event.ready.devices);
      } else if (!found && event.kind == Kind::ended) {
        const Error error = unavailable("the trainer did not start: " + event.detail);
        found = config.device == "cuda" ? Result<bool>(error) : Result<bool>(false);
      }
      seen.push_back(std::move(event));
    }
  }
  for (auto& event : seen) queue.push(std::move(event));  // for the log
  return found ? *found : Result<bool>(false);
}

}  // namespace

Result<void> run(const HostConfig& config) {
  StopSignal::block();
  if (const auto source = models::DataSource::parse(config.data); !source.ok())
    return source.error().with_context("--data");
  SystemDisk disk;
  FM_TRY(auto items, PrivateFolder::open(disk, config.home / "items"));
  FM_TRY(const auto lock, FolderLock::take(config.home / "items",
                                           "another worker uses " + config.home.string() +
                                               "; give this one a folder of its own with --home"));
  SystemRandom random;
  FM_TRY(auto key, crypto::load_or_create_key(config.home / "node.key", random));
  FM_TRY(auto log, FileEventLog::open(config.home / "events.jsonl"));
  say("fedmesh-worker " + std::string(version()) + (config.name.empty() ? "" : " " + config.name) +
      "\n  node " + key.node_id().hex() + "\n  key  " + key.public_key().hex());
  SystemClock clock;
  // Sessions carry no network name, so that a newcomer can ask for the genesis; the chain id is
  // checked by everything that follows.
  net::ZmqTransport transport(key.clone(), net::ZmqConfig{}, clock, random);
  const StopSignal stop(transport);
  TaskQueue queue;
  FM_TRY(const auto trainer, start_trainer(config, queue, transport));
  FM_TRY(const bool gpu, find_gpu(config, queue, transport, stop));
  const NetworkChoice choice{config.home, config.network, config.chain};
  FM_TRY(auto genesis, known_network(choice));
  FM_TRY_VOID(transport.dial(config.join, config.coordinator));
  std::optional<Network> network;
  if (genesis) {
    network = Network{std::move(*genesis), std::nullopt};
  } else {
    FM_TRY(network, ask_network(choice, transport, stop));
    if (!network) return {};
  }
  FM_TRY(const auto blobs, net::BlobStore::open(disk, config.home / "blobs"));
  const auto bulk = net::BulkPlane::create(
      key.clone(), *blobs, net::BulkConfig(), clock, random,
      [&](const net::BulkEvent& event) {
        queue.push(event);
        transport.wake();
      },
      [](const NodeId&) { return true; });
  FM_TRY(auto restored, items.load("receipt-"));
  WorkerConfig worker_config{.genesis = std::move(network->genesis),
                             .data_uri = config.data,
                             .consent = config.consent,
                             .capabilities = capabilities_of(config, gpu),
                             .device = config.device,
                             .coordinator = config.coordinator};
  FM_TRY(const auto worker,
         Worker::create(std::move(worker_config), key.clone(), random, std::move(restored)));
  const auto result =
      Host({config.join, transport, *bulk, *blobs, *trainer, queue, items, *log, clock}, *worker)
          .loop(stop, network->linked);
  bulk->stop();
  trainer->stop();
  say(result.ok() ? "stopped" : "stopping: " + result.error().detail);
  return result;
}

}  // namespace fedmesh::worker
