#include "coordinator/cli/client.h"

#include <algorithm>

#include "base/crypto/blob_hash.h"
#include "base/options.h"
#include "net/zmq_transport.h"

namespace fedmesh::cli {
namespace {

constexpr std::size_t kInboxMax = 1024;
constexpr Duration kUploadPatience = std::chrono::minutes(5);

}  // namespace

Client::Client(const ClientConfig& config, crypto::SigningKey key)
    : config_(config), key_(std::move(key)) {
  transport_ = std::make_unique<net::ZmqTransport>(key_.clone(), net::ZmqConfig{}, clock_, random_);
}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(const ClientConfig& config,
                                                crypto::SigningKey key) {
  std::unique_ptr<Client> self(new Client(config, std::move(key)));
  FM_TRY_VOID(self->transport_->dial(config.endpoint));
  const Instant deadline = self->clock_.now() + config.timeout;
  while (!self->welcomed_) {
    const Instant now = self->clock_.now();
    if (now >= deadline)
      return unavailable("no coordinator answers at " + config.endpoint + " within " +
                         std::to_string(config.timeout.count() / 1000) +
                         " s; is it running, and is --coordinator right?");
    FM_TRY_VOID(self->pump(deadline - now));
  }
  return self;
}

Result<void> Client::pump(Duration timeout) {
  for (auto& event :
       transport_->poll(std::min<Duration>(timeout, std::chrono::milliseconds(100)))) {
    if (auto* up = std::get_if<net::Connected>(&event)) {
      peer_ = up->peer.id;
      welcomed_ = false;
      FM_TRY_VOID(send(protocol::Hello{config_.chain.value_or(ChainId{}),
                                       std::string("fedmesh ") + version(), config_.subscribe,
                                       std::nullopt}));
    } else if (auto* down = std::get_if<net::Disconnected>(&event)) {
      const bool refused = peer_ && !welcomed_;
      peer_.reset();
      if (refused) return unauthenticated("the coordinator refused us: " + down->reason);
    } else if (auto* received = std::get_if<net::Received>(&event)) {
      bytes_in_ += received->message.size();
      FM_TRY(auto message, protocol::decode_message(received->message));
      FM_TRY_VOID(take(message));
    }
  }
  return {};
}

Result<void> Client::take(const protocol::Message& message) {
  if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
    FM_TRY(auto genesis, ledger::decode_genesis(welcome->genesis));
    const ChainId chain = ledger::chain_id(genesis);
    const bool other = (config_.chain && *config_.chain != chain) || (light_ && chain != chain_);
    if (other)
      return unauthenticated("the coordinator serves chain " + chain.hex() + ", not the one meant");
    if (!light_) {
      genesis_ = std::move(genesis);
      chain_ = chain;
      light_.emplace(genesis_);
    }
    welcomed_ = true;
    bulk_port_ = welcome->bulk_port < 65536 ? welcome->bulk_port : 0;
    return {};
  }
  if (!light_) return unauthenticated("the coordinator speaks before its welcome");
  if (const auto* update = std::get_if<protocol::StateUpdate>(&message))
    return take_update(*update, updates_);
  if (inbox_.size() < kInboxMax) inbox_.push_back(message);
  return {};
}

Result<void> Client::take_update(const protocol::StateUpdate& update,
                                 std::map<std::string, Bytes>& into) {
  if (update.header.height.value == 0) return {};  // the chain has no block yet
  if (auto advanced = light_->advance(update.header, update.certificate); !advanced.ok()) {
    if (advanced.error().code == ErrorCode::stale) return {};
    return advanced;
  }
  for (const auto& entry : update.entries) {
    FM_TRY(auto value, light_->check(entry, update.header.height));
    if (value) into[entry.key] = std::move(*value);
  }
  return {};
}

Result<void> Client::send(const protocol::Message& message) {
  if (!peer_) return unavailable("the connection to " + config_.endpoint + " is lost");
  return transport_->send(*peer_, protocol::encode_message(message));
}

template <class Answer, class Matches>
Result<Answer> Client::ask(const protocol::Message& question, Matches matches, const char* what,
                           Duration patience) {
  FM_TRY_VOID(send(question));
  const Instant deadline = clock_.now() + std::max(patience, config_.timeout);
  for (;;) {
    for (auto at = inbox_.begin(); at != inbox_.end(); ++at) {
      auto* answer = std::get_if<Answer>(&*at);
      if (answer == nullptr || !matches(*answer)) continue;
      Answer out = std::move(*answer);
      inbox_.erase(at);
      return out;
    }
    const Instant now = clock_.now();
    if (now >= deadline)
      return unavailable(std::string("no answer to ") + what + " from " + config_.endpoint +
                         " in time");
    FM_TRY_VOID(pump(deadline - now));
  }
}

std::uint64_t Client::next_author_seq() {
  last_seq_ = std::max(last_seq_ + 1, static_cast<std::uint64_t>(clock_.now().ms));
  return last_seq_;
}

Result<Height> Client::submit(ledger::RecordKind kind, const JobId& job, std::uint64_t author_seq,
                              Bytes payload) {
  const auto record = ledger::sign_record(key_, kind, chain_, job, author_seq, std::move(payload));
  const Digest hash = ledger::record_hash(record);
  FM_TRY(const auto result,
         ask<protocol::RecordResult>(
             protocol::SubmitRecord{ledger::encode_record(record)},
             [&](const protocol::RecordResult& answer) { return answer.record_hash == hash; },
             "a submitted record"));
  if (!result.height) return invalid_argument("refused: " + result.reason);
  return *result.height;
}

Result<Height> Client::submit(ledger::RecordKind kind, const JobId& job, Bytes payload) {
  return submit(kind, job, next_author_seq(), std::move(payload));
}

Result<std::map<std::string, Bytes>> Client::entries(const std::string& prefix) {
  std::map<std::string, Bytes> out;
  std::string after;
  for (;;) {
    const std::uint64_t id = next_id_++;
    FM_TRY(
        const auto page,
        ask<protocol::StateAnswer>(
            protocol::StateQuery{id, prefix, after, 256},
            [&](const protocol::StateAnswer& answer) { return answer.id == id; }, "a state query"));
    FM_TRY_VOID(take_update(page.page, out));
    for (const auto& entry : page.page.entries) {
      if (!entry.key.starts_with(prefix) || entry.key <= after)
        return corruption("the coordinator answers another question than was asked");
      after = entry.key;
    }
    if (!page.more || page.page.entries.empty()) return out;
  }
}

Result<std::vector<ledger::CertifiedBlock>> Client::blocks(Height from, Height* head) {
  for (Duration wait; (wait = block_bytes_.wait(clock_.now())) > Duration(0);)
    FM_TRY_VOID(pump(wait));
  const std::uint64_t id = next_id_++;
  const std::uint64_t bytes_before = bytes_in_;
  FM_TRY(auto answer,
         ask<protocol::BlockAnswer>(
             protocol::BlockQuery{id, from},
             [&](const protocol::BlockAnswer& a) { return a.id == id; }, "a block query"));
  block_bytes_.spend(bytes_in_ - bytes_before);
  if (head != nullptr) *head = answer.head;
  return std::move(answer.blocks);
}

Result<protocol::StatusAnswer> Client::status() {
  const std::uint64_t id = next_id_++;
  return ask<protocol::StatusAnswer>(
      protocol::StatusQuery{id},
      [&](const protocol::StatusAnswer& answer) { return answer.id == id; }, "a status query");
}

// Blobs come over the bulk plane, which is on the host that was dialled.
Result<BulkClient*> Client::bulk() {
  if (bulk_) return bulk_.get();
  if (!peer_ || bulk_port_ == 0)
    return unavailable("the coordinator at " + config_.endpoint + " has no bulk plane");
  const std::string host = config_.endpoint.substr(0, config_.endpoint.rfind(':') + 1);
  FM_TRY(bulk_, BulkClient::open(key_, host + std::to_string(bulk_port_), *peer_));
  return bulk_.get();
}

Result<std::string> Client::reach_bulk() {
  FM_TRY(BulkClient * plane, bulk());
  FM_TRY_VOID(plane->wait_linked(config_.timeout));
  return config_.endpoint.substr(0, config_.endpoint.rfind(':') + 1) + std::to_string(bulk_port_);
}

Result<Bytes> Client::fetch_blob(const Digest& root) {
  FM_TRY(BulkClient * plane, bulk());
  return plane->fetch(root, protocol::kMaxBlobBytes, config_.timeout);
}

Result<void> Client::store_blob(ByteView blob) {
  FM_TRY(BulkClient * plane, bulk());
  FM_TRY_VOID(plane->wait_linked(config_.timeout));
  FM_TRY(const Digest root, plane->offer(blob));
  FM_TRY(const auto answer, ask<protocol::BlobOfferAnswer>(
                                protocol::BlobOffer{root, blob.size()},
                                [&](const protocol::BlobOfferAnswer& a) { return a.root == root; },
                                "a blob upload", kUploadPatience));
  if (!answer.stored) return invalid_argument("the blob was refused: " + answer.error);
  return {};
}

Result<std::map<std::string, Bytes>> Client::wait_for_updates(Duration timeout) {
  const Instant deadline = clock_.now() + timeout;
  while (updates_.empty()) {
    const Instant now = clock_.now();
    if (now >= deadline) break;
    FM_TRY_VOID(pump(deadline - now));
  }
  return std::exchange(updates_, {});
}

bool Client::connected() const { return peer_.has_value() && welcomed_; }

Height Client::height() const {
  const auto* newest = light_ ? light_->newest() : nullptr;
  return newest == nullptr ? Height{} : newest->height;
}

}  // namespace fedmesh::cli
