// A command's connection to a coordinator: one question at a time, every answer checked. State
// comes with proofs that are verified against the network's genesis; the coordinator is trusted for
// nothing but being there. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/allowance.h"
#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/cli/bulk_client.h"
#include "coordinator/ledger/light_client.h"
#include "coordinator/protocol/messages.h"
#include "net/transport.h"

namespace fedmesh::cli {

struct ClientConfig {
  std::string endpoint;          // host:port
  std::optional<ChainId> chain;  // the network that is meant; none: whichever answers
  bool subscribe = false;
  Duration timeout = std::chrono::seconds(10);  // of connecting and of every answer
};

class Client {
 public:
  // unavailable: nobody answers there in time. unauthenticated: another network.
  static Result<std::unique_ptr<Client>> connect(const ClientConfig& config,
                                                 crypto::SigningKey key);
  ~Client();

  const ledger::Genesis& genesis() const { return genesis_; }
  const ChainId& chain() const { return chain_; }
  const crypto::SigningKey& key() const { return key_; }

  // Signs, sends and waits until the record is final. invalid_argument: refused, with the reason.
  Result<Height> submit(ledger::RecordKind kind, const JobId& job, std::uint64_t author_seq,
                        Bytes payload);
  Result<Height> submit(ledger::RecordKind kind, const JobId& job, Bytes payload);

  // All proven entries under a prefix, in key order.
  Result<std::map<std::string, Bytes>> entries(const std::string& prefix);
  // Waits where more would be more than the coordinator grants.
  Result<std::vector<ledger::CertifiedBlock>> blocks(Height from, Height* head = nullptr);
  Result<protocol::StatusAnswer> status();
  Result<Bytes> fetch_blob(const Digest& root);
  Result<void> store_blob(ByteView blob);
  // Whether models and updates can come and go: host:port of the bulk plane that was linked to.
  Result<std::string> reach_bulk();

  // subscribe only: waits for the next state updates, at most `timeout`; returns the entries that
  // changed. A lost connection is made again by itself; `connected()` says whether it stands.
  Result<std::map<std::string, Bytes>> wait_for_updates(Duration timeout);
  bool connected() const;
  Height height() const;  // of the newest verified header

  std::uint64_t next_author_seq();

 private:
  Client(const ClientConfig& config, crypto::SigningKey key);
  Result<void> pump(Duration timeout);  // one poll of the transport
  Result<void> take(const protocol::Message& message);
  Result<void> take_update(const protocol::StateUpdate& update, std::map<std::string, Bytes>& into);
  Result<void> send(const protocol::Message& message);
  // Sends and waits for an Answer for which `matches` holds.
  template <class Answer, class Matches>
  Result<Answer> ask(const protocol::Message& question, Matches matches, const char* what,
                     Duration patience = Duration(0));
  Result<BulkClient*> bulk();

  ClientConfig config_;
  crypto::SigningKey key_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<net::Transport> transport_;
  std::optional<NodeId> peer_;
  bool welcomed_ = false;
  ledger::Genesis genesis_;
  ChainId chain_;
  std::optional<ledger::LightClient> light_;
  std::vector<protocol::Message> inbox_;  // answers that wait for ask()
  std::map<std::string, Bytes> updates_;  // entries that wait for wait_for_updates()
  std::uint32_t bulk_port_ = 0;
  std::unique_ptr<BulkClient> bulk_;
  std::uint64_t next_id_ = 1;
  std::uint64_t last_seq_ = 0;
  std::uint64_t bytes_in_ = 0;
  // Less than the coordinator grants, because answers may come late and then at once.
  Allowance block_bytes_{protocol::kBlockBytesBurst / 2, protocol::kBlockBytesPerSecond / 8 * 7};
};

}  // namespace fedmesh::cli
