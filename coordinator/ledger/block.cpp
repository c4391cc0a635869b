#include "coordinator/ledger/block.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/crypto/digest.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/merkle.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kHeaderDomain = "fedmesh/header/v1";
constexpr std::string_view kSessionDomain = "fedmesh/session/v1";

// The header and array heads add to the body; the certificate of the largest committee is 17 KiB.
constexpr codec::Limits kBlockLimits{.bytes = kMaxBodyBytes + 1024,
                                     .elements = kMaxBlockRecords,
                                     .blob = kMaxRecordBytes,
                                     .depth = 6};
constexpr codec::Limits kCertifiedBlockLimits{.bytes = kBlockLimits.bytes + (32u << 10),
                                              .elements = kMaxBlockRecords,
                                              .blob = kMaxRecordBytes,
                                              .depth = 8};

std::array<std::uint8_t, 8> le64(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  store_le64(bytes, value);
  return bytes;
}

bool bit_of(const Bytes& bitmap, std::size_t member) {
  return ((bitmap[member / 8] >> (member % 8)) & 1) != 0;
}

// The members that signed. invalid_argument unless the bitmap is canonical for n members.
Result<std::vector<std::size_t>> signers(const Bytes& bitmap, std::size_t n) {
  if (bitmap.size() != (n + 7) / 8)
    return invalid_argument("certificate: the bitmap of " + std::to_string(n) + " members has " +
                            std::to_string((n + 7) / 8) + " bytes, not " +
                            std::to_string(bitmap.size()));
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < bitmap.size() * 8; ++i) {
    if (!bit_of(bitmap, i)) continue;
    if (i >= n) return invalid_argument("certificate: the bitmap names a member that is not there");
    members.push_back(i);
  }
  return members;
}

}  // namespace

Digest header_hash(const Header& header) {
  return crypto::Sha256().add(as_bytes(kHeaderDomain)).add(codec::encode(header)).finish();
}

Digest body_root(std::span<const Record> records) {
  MerkleFrontier frontier;
  for (const Record& record : records) frontier.append(record_hash(record));
  return frontier.root();
}

Bytes encode_block(const Block& block) { return codec::encode(block); }

Result<Block> decode_block(ByteView bytes) { return codec::decode<Block>(bytes, kBlockLimits); }

bool is_known(VoteType type) { return type >= VoteType::notarize && type <= VoteType::finalize; }

const char* to_string(VoteType type) {
  switch (type) {
    case VoteType::notarize:
      return "notarize";
    case VoteType::nullify:
      return "nullify";
    case VoteType::finalize:
      return "finalize";
  }
  return "unknown";
}

Digest session_id(const ChainId& chain, std::uint64_t epoch, const Digest& previous_seal,
                  const Digest& committee) {
  return crypto::Sha256()
      .add(as_bytes(kSessionDomain))
      .add(chain.view())
      .add(le64(epoch))
      .add(previous_seal.view())
      .add(committee.view())
      .finish();
}

Bytes vote_signed_bytes(VoteType type, const Digest& session, std::uint64_t view, Height height,
                        const Digest& block_hash) {
  Bytes message = to_bytes(as_bytes("fedmesh/" + std::string(to_string(type)) + "/v1"));
  append(message, session.view());
  append(message, le64(view));
  if (type != VoteType::nullify) {
    append(message, le64(height.value));
    append(message, block_hash.view());
  }
  return message;
}

std::size_t quorum(std::size_t committee_size) {
  FM_CHECK(committee_size > 0, "a committee is not empty");
  return committee_size - (committee_size - 1) / 3;
}

Certificate make_certificate(VoteType type, const Digest& session, std::uint64_t view,
                             Height height, const Digest& block_hash, std::size_t committee_size,
                             std::vector<MemberVote> votes) {
  Certificate certificate;
  certificate.type = type;
  certificate.session = session;
  certificate.view = view;
  certificate.height = height;
  certificate.block_hash = block_hash;
  certificate.bitmap.resize((committee_size + 7) / 8);
  std::sort(votes.begin(), votes.end(),
            [](const MemberVote& a, const MemberVote& b) { return a.member < b.member; });
  for (const MemberVote& vote : votes) {
    FM_CHECK(vote.member < committee_size && !bit_of(certificate.bitmap, vote.member),
             "votes come from distinct members");
    certificate.bitmap[vote.member / 8] |= static_cast<std::uint8_t>(1u << (vote.member % 8));
    certificate.signatures.push_back(vote.signature.bytes);
  }
  return certificate;
}

Result<void> verify_certificate(const Certificate& certificate, const Header& header,
                                std::span<const crypto::PublicKey> committee) {
  const Digest members = committee_hash({committee.begin(), committee.end()});
  if (header.epoch != 0 || header.committee_hash != members)
    return invalid_argument("certificate: the header names another committee");
  if (certificate.type != VoteType::finalize)
    return invalid_argument(std::string("certificate: finalize is needed, this is ") +
                            to_string(certificate.type));
  if (certificate.session != session_id(header.chain, 0, Digest{}, members))
    return invalid_argument("certificate: it belongs to another session");
  if (certificate.height != header.height || certificate.block_hash != header_hash(header))
    return invalid_argument("certificate: it belongs to another block");
  FM_TRY(const std::vector<std::size_t> signed_by, signers(certificate.bitmap, committee.size()));
  if (signed_by.size() != certificate.signatures.size())
    return invalid_argument("certificate: the bitmap names " + std::to_string(signed_by.size()) +
                            " members beside " + std::to_string(certificate.signatures.size()) +
                            " signatures");
  if (signed_by.size() < quorum(committee.size()))
    return unauthenticated("certificate: " + std::to_string(signed_by.size()) + " of " +
                           std::to_string(committee.size()) + " members signed, " +
                           std::to_string(quorum(committee.size())) + " are needed");
  const Bytes message = vote_signed_bytes(certificate.type, certificate.session, certificate.view,
                                          certificate.height, certificate.block_hash);
  for (std::size_t i = 0; i < signed_by.size(); ++i)
    if (!crypto::verify(committee[signed_by[i]], message, {certificate.signatures[i]}))
      return unauthenticated("certificate: the signature of member " +
                             std::to_string(signed_by[i]) + " does not verify");
  return {};
}

Bytes encode_certified_block(const CertifiedBlock& block) { return codec::encode(block); }

Result<CertifiedBlock> decode_certified_block(ByteView bytes) {
  return codec::decode<CertifiedBlock>(bytes, kCertifiedBlockLimits);
}

}  // namespace fedmesh::ledger
