// What nodes say to a coordinator inside an authenticated session, one message per encoded byte
// string: an array [kind, body]. coordinator/rounds/PROTOCOL.md has the table of who sends what
// when.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/codec/codec.h"
#include "base/ids.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/proof.h"
#include "coordinator/protocol/round_records.h"

namespace fedmesh::protocol {

inline constexpr std::size_t kMaxMessageBytes = 1u << 20;
inline constexpr std::uint64_t kMaxBlobBytes = 256u << 20;
inline constexpr std::uint64_t kMaxEvaluationBytes = 64u << 20;  // of a public validation set

// A final header that a node has seen proven.
struct ProvenHead {
  ledger::Header header;
  ledger::Certificate certificate;
  FM_FIELDS(header, certificate)
};

// node -> coordinator, first. A node that does not know the network yet asks with a zero chain.
struct Hello {
  ChainId chain;
  std::string software;
  bool subscribe = false;          // wants StateUpdate for every block
  std::optional<ProvenHead> head;  // newest: a coordinator on a stale copy of its ledger must stop
  FM_FIELDS(chain, software, subscribe, head)
};
struct Welcome {
  Bytes genesis;  // canonical; hashes to the chain id
  Height head;
  std::uint32_t bulk_port = 0;  // of the bulk plane, on the host of this link
  FM_FIELDS(genesis, head, bulk_port)
};

struct SubmitRecord {
  Bytes record;  // encoded ledger record
  FM_FIELDS(record)
};
struct RecordResult {
  Digest record_hash;
  std::optional<Height> height;  // final in this block
  std::string reason;            // otherwise: why it was refused
  FM_FIELDS(record_hash, height, reason)
};

// coordinator -> subscriber: a final header with the state entries that its block changed. After
// Hello: all live ones. `entries` may be split over several updates for one header.
struct StateUpdate {
  ledger::Header header;
  ledger::Certificate certificate;
  std::vector<ledger::StateEntry> entries;
  FM_FIELDS(header, certificate, entries)
};

// submitter -> coordinator: a public blob that a coming job record names, to be fetched from the
// submitter over the bulk plane. Answered when it is stored, or why not.
struct BlobOffer {
  Digest root;
  std::uint64_t bytes = 0;
  FM_FIELDS(root, bytes)
};
struct BlobOfferAnswer {
  Digest root;
  bool stored = false;
  std::string error;
  FM_FIELDS(root, stored, error)
};

// client -> coordinator: proven state entries under a prefix, at most `limit`, after `after`.
struct StateQuery {
  std::uint64_t id = 0;
  std::string prefix;
  std::string after;
  std::uint32_t limit = 0;
  FM_FIELDS(id, prefix, after, limit)
};
struct StateAnswer {
  std::uint64_t id = 0;
  StateUpdate page;
  bool more = false;
  FM_FIELDS(id, page, more)
};

// client -> coordinator: final blocks from a height on, as many as fit. Whoever is answered more
// than kBlockBytesBurst at once, and kBlockBytesPerSecond in the long run, is disconnected.
inline constexpr std::int64_t kBlockBytesBurst = 64 << 20;
inline constexpr std::int64_t kBlockBytesPerSecond = 16 << 20;
struct BlockQuery {
  std::uint64_t id = 0;
  Height from;
  FM_FIELDS(id, from)
};
struct BlockAnswer {
  std::uint64_t id = 0;
  Height head;
  std::vector<ledger::CertifiedBlock> blocks;
  FM_FIELDS(id, head, blocks)
};

// client -> coordinator: which nodes are connected and what the coordinator waits for. Advisory,
// unproven.
struct StatusQuery {
  std::uint64_t id = 0;
  FM_FIELDS(id)
};
struct PeerStatus {
  NodeId node;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  FM_FIELDS(node, bytes_in, bytes_out)
};
struct StatusAnswer {
  std::uint64_t id = 0;
  std::string software;
  std::vector<PeerStatus> peers;
  FM_FIELDS(id, software, peers)
};

using Message = std::variant<Hello, Welcome, SubmitRecord, RecordResult, StateUpdate, BlobOffer,
                             BlobOfferAnswer, StateQuery, StateAnswer, BlockQuery, BlockAnswer,
                             StatusQuery, StatusAnswer>;

Bytes encode_message(const Message& message);
Result<Message> decode_message(
    ByteView bytes);  // corruption: unknown kind, not canonical, over a limit

}  // namespace fedmesh::protocol
