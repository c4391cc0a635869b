// Blocks and the certificates that make them final (Simplex, eprint 2023/463; quorums and signed
// bytes: FORMAT.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/record.h"

namespace fedmesh::ledger {

inline constexpr std::uint32_t kHeaderVersion = 1;
inline constexpr std::size_t kMaxBlockRecords = 4096;
inline constexpr std::size_t kMaxBodyBytes = 4u << 20;  // sum of the encoded records

// Field order is the wire format. There is no view and no certificate in it: a block's identity
// does not depend on which votes happened to be counted.
struct Header {
  std::uint32_t version = kHeaderVersion;
  ChainId chain;
  std::uint64_t epoch = 0;
  Height height;       // from 1; the genesis stands in for block 0
  Digest parent_hash;  // header_hash of the block before; the chain id's bytes at height 1
  std::int64_t timestamp_ms = 0;  // strictly greater than the parent's (the genesis' created_ms)
  Digest body_root;               // RFC 6962 root over the encoded records
  Digest state_root;              // after the block was executed
  std::uint64_t log_size = 0;     // of the global record log, this block's records included
  Digest log_root;
  Digest committee_hash;
  Digest next_committee_hash;
  crypto::PublicKey proposer;  // a member of the committee

  friend bool operator==(const Header&, const Header&) = default;
  FM_FIELDS(version, chain, epoch, height, parent_hash, timestamp_ms, body_root, state_root,
            log_size, log_root, committee_hash, next_committee_hash, proposer)
};

Digest header_hash(const Header& header);  // SHA256("fedmesh/header/v1" ‖ canonical encoding)

struct Block {
  Header header;
  std::vector<Record> records;
  friend bool operator==(const Block&, const Block&) = default;
  FM_FIELDS(header, records)
};

Digest body_root(std::span<const Record> records);
Bytes encode_block(const Block& block);
Result<Block> decode_block(ByteView bytes);  // sizes and form; roots and signatures are the chain's

enum class VoteType : std::uint8_t { notarize = 1, nullify = 2, finalize = 3 };
bool is_known(VoteType type);
const char* to_string(VoteType type);

using SignatureBytes = decltype(crypto::Signature::bytes);

// Field order is the wire format.
struct Certificate {
  VoteType type = VoteType::finalize;
  Digest session;
  std::uint64_t view = 0;
  Height height;      // zero for nullify
  Digest block_hash;  // header_hash; zero for nullify
  Bytes bitmap;  // ⌈n/8⌉ bytes, member i is bit i mod 8 (least significant first) of byte i / 8
  std::vector<SignatureBytes> signatures;  // one per set bit, in member order

  friend bool operator==(const Certificate&, const Certificate&) = default;
  FM_FIELDS(type, session, view, height, block_hash, bitmap, signatures)
};

// SHA256("fedmesh/session/v1" ‖ chain ‖ le64(epoch) ‖ previous_seal ‖ committee_hash).
// `previous_seal` is zero in epoch 0.
Digest session_id(const ChainId& chain, std::uint64_t epoch, const Digest& previous_seal,
                  const Digest& committee_hash);

// What a member signs: "fedmesh/<type>/v1" ‖ session ‖ le64(view), and for notarize and finalize
// ‖ le64(height) ‖ block_hash.
Bytes vote_signed_bytes(VoteType type, const Digest& session, std::uint64_t view, Height height,
                        const Digest& block_hash);

// q = n − ⌊(n−1)/3⌋
std::size_t quorum(std::size_t committee_size);

struct MemberVote {
  std::size_t member = 0;  // number in the committee
  crypto::Signature signature;
};
// The votes come with distinct members below committee_size, in any order.
Certificate make_certificate(VoteType type, const Digest& session, std::uint64_t view,
                             Height height, const Digest& block_hash, std::size_t committee_size,
                             std::vector<MemberVote> votes);

// The certificate finalises exactly this header in epoch 0 of the header's chain: type finalize,
// session, height, hash, canonical bitmap, at least a quorum, every signature.
// `committee` is trusted: genesis' or one that was handed over to.
Result<void> verify_certificate(const Certificate& certificate, const Header& header,
                                std::span<const crypto::PublicKey> committee);

struct CertifiedBlock {
  Block block;
  Certificate certificate;
  friend bool operator==(const CertifiedBlock&, const CertifiedBlock&) = default;
  FM_FIELDS(block, certificate)
};
Bytes encode_certified_block(const CertifiedBlock& block);
Result<CertifiedBlock> decode_certified_block(ByteView bytes);

}  // namespace fedmesh::ledger
