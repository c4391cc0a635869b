// What the doctor asks of others: the trainer, the network.
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "coordinator/cli/client.h"
#include "coordinator/cli/doctor.h"
#include "net/zmq_transport.h"
#include "worker/trainer/supervisor.h"

namespace fedmesh::cli {
namespace {

constexpr Duration kTrainerPatience = std::chrono::seconds(60);
constexpr Duration kConnectPatience = std::chrono::seconds(5);

// The first thing that becomes of a trainer: it is ready, or it ended.
class FirstWord {
 public:
  void hear(trainer::TrainerEvent event) {
    using Kind = trainer::TrainerEvent::Kind;
    if (event.kind != Kind::ready && event.kind != Kind::ended) return;
    const std::lock_guard lock(mutex_);
    if (!event_) event_ = std::move(event);
    heard_.notify_one();
  }
  std::optional<trainer::TrainerEvent> wait() {
    std::unique_lock lock(mutex_);
    heard_.wait_for(lock, kTrainerPatience, [&] { return event_.has_value(); });
    return event_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable heard_;
  std::optional<trainer::TrainerEvent> event_;  // guarded by mutex_
};

struct Endpoint {
  std::string host, port;
};

Result<Endpoint> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Endpoint out{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  const bool digits = !out.port.empty() && std::all_of(out.port.begin(), out.port.end(),
                                                       [](char c) { return c >= '0' && c <= '9'; });
  if (out.host.empty() || !digits) return invalid_argument("'" + text + "' is not HOST:PORT");
  return out;
}

// "" once connected, else why not.
std::string connect_error(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return std::strerror(errno);
  int failure = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (failure == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    socklen_t size = sizeof(failure);
    if (::poll(&waiting, 1, static_cast<int>(kConnectPatience.count())) != 1) {
      failure = ETIMEDOUT;
    } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) {
      failure = errno;
    }
  }
  ::close(fd);
  return failure == 0 ? "" : std::strerror(failure);
}

Finding check_tcp(const std::string& text) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint.ok())
    return {"reach", Health::fail, endpoint.error().detail, "give --coordinator HOST:PORT"};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code =
          ::getaddrinfo(endpoint->host.c_str(), endpoint->port.c_str(), &hints, &found);
      code != 0)
    return {"reach", Health::fail, endpoint->host + ": " + ::gai_strerror(code),
            "look at the host's name, and at this machine's DNS"};
  std::string why = "no address";
  for (const addrinfo* at = found; at != nullptr && !why.empty(); at = at->ai_next)
    why = connect_error(*at);
  ::freeaddrinfo(found);
  if (why.empty()) return {"reach", Health::ok, "a TCP connection to " + text + " is made", ""};
  return {"reach", Health::fail, text + ": " + why,
          "is the coordinator running, does it listen on an address that is seen from here "
          "(--listen 0.0.0.0:7700), and does a firewall let it through?"};
}

}  // namespace

Findings judge_trainer(const trainer::Ready& ready, bool driver) {
  Findings out;
  if (ready.engine.starts_with("LibTorch")) {
    out.push_back({"trainer", Health::ok, ready.engine, ""});
  } else {
    out.push_back({"trainer", Health::warn, ready.engine + ": only logistic models",
                   "install libtorch-dev and build again"});
  }
  if (ready.blas.empty()) {
    out.push_back({"BLAS", Health::warn, "the slow reference BLAS is in use, not OpenBLAS",
                   "apt-get install libopenblas0-pthread"});
  } else {
    out.push_back({"BLAS", Health::ok, ready.blas, ""});
  }
  std::string devices;
  for (const auto& device : ready.devices) devices += (devices.empty() ? "" : ", ") + device;
  const bool cuda =
      std::any_of(ready.devices.begin(), ready.devices.end(),
                  [](const std::string& device) { return device.starts_with("cuda"); });
  if (driver && !cuda) {
    out.push_back({"GPU", Health::warn,
                   "there is an NVIDIA driver, but the trainer can use only: " + devices,
                   "build with a LibTorch that has CUDA; without one the processor is used"});
  } else {
    out.push_back({"GPU", Health::ok,
                   (cuda ? "CUDA can be used; devices: " : "none; devices: ") + devices, ""});
  }
  return out;
}

Findings check_trainer(const std::string& program) {
  if (::access(program.c_str(), X_OK) != 0)
    return {{"trainer", Health::warn, "there is no " + program,
             "a worker needs it: build the target fedmesh-trainer (libtorch-dev)"}};
  FirstWord word;
  trainer::SupervisorOptions options;
  options.command = {program};
  options.start_at_once = true;
  trainer::SupervisorCallbacks callbacks;
  callbacks.on_event = [&](trainer::TrainerEvent event) { word.hear(std::move(event)); };
  const auto started = trainer::Supervisor::create(std::move(options), std::move(callbacks));
  if (!started.ok()) return {{"trainer", Health::fail, started.error().detail, "try again"}};
  const auto heard = word.wait();
  (*started)->stop();
  if (heard && heard->kind == trainer::TrainerEvent::Kind::ready)
    return judge_trainer(heard->ready, ::access("/dev/nvidiactl", F_OK) == 0);
  return {{"trainer", Health::fail,
           heard ? heard->detail
                 : "it was not ready in " + std::to_string(kTrainerPatience.count() / 1000) + " s",
           "start " + program + " by hand and read what it says; build all programs together"}};
}

Finding check_listen(const std::string& endpoint) {
  SystemClock clock;
  SystemRandom random;
  net::ZmqTransport transport(crypto::SigningKey::generate(random), net::ZmqConfig{}, clock,
                              random);
  const auto listening = transport.listen(endpoint);
  if (listening.ok()) return {"listen", Health::ok, "a coordinator can listen on " + endpoint, ""};
  return {"listen", Health::fail, listening.error().detail,
          "stop what listens there (a coordinator already?), or take another --listen"};
}

namespace {

// Without it a worker enrols, is drawn, and cannot fetch a model.
Finding check_bulk(Client& client) {
  const auto reached = client.reach_bulk();
  if (reached.ok()) return {"bulk", Health::ok, "models and updates go through " + *reached, ""};
  return {
      "bulk", Health::fail, reached.error().detail,
      "open that port too (the coordinator's --bulk-listen, by default the port after its own)"};
}

}  // namespace

Findings check_coordinator(const std::string& endpoint,
                           const std::optional<ledger::Genesis>& expected) {
  Findings out = {check_tcp(endpoint)};
  if (out.front().health == Health::fail) return out;
  // A key of its own: with the node's, a running worker would lose its link.
  SystemRandom random;
  ClientConfig config;
  config.endpoint = endpoint;
  const auto client = Client::connect(config, crypto::SigningKey::generate(random));
  if (!client.ok()) {
    out.push_back({"session", Health::fail, client.error().detail,
                   "what listens there is no coordinator of this version, or refuses us"});
    return out;
  }
  const auto& genesis = (*client)->genesis();
  const std::string network =
      "network " + genesis.network_name + ", chain " + (*client)->chain().hex();
  if (expected && ledger::chain_id(*expected) != (*client)->chain()) {
    out.push_back({"session", Health::fail,
                   "it serves " + network + ", the genesis here is of chain " +
                       ledger::chain_id(*expected).short_hex(),
                   "another coordinator is meant, or another --home"});
    return out;
  }
  out.push_back({"session", Health::ok, "encrypted session, " + network, ""});
  out.push_back(check_bulk(**client));
  Height head;
  auto newest = (*client)->blocks(Height{1}, &head);
  if (newest.ok() && head.value > 1) newest = (*client)->blocks(head);
  if (!newest.ok()) {
    out.push_back({"ledger", Health::fail, newest.error().detail, "try again"});
  } else if (newest->empty()) {
    out.push_back({"ledger", Health::ok, "no block yet", ""});
  } else {
    const auto& block = newest->front();
    const auto final =
        ledger::verify_certificate(block.certificate, block.block.header, genesis.committee);
    if (!final.ok()) {
      out.push_back({"ledger", Health::fail, "its newest block: " + final.error().detail,
                     "do not trust this coordinator"});
    } else {
      out.push_back(
          {"ledger", Health::ok, "height " + std::to_string(block.block.header.height.value), ""});
      out.push_back(check_clock_against(block.block.header.timestamp_ms, SystemClock().now().ms));
    }
  }
  return out;
}

}  // namespace fedmesh::cli
