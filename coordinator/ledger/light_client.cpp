#include "coordinator/ledger/light_client.h"

#include <string>

#include "coordinator/ledger/block_check.h"

namespace fedmesh::ledger {

LightClient::LightClient(const Genesis& genesis)
    : chain_(chain_id(genesis)),
      committee_(genesis.committee),
      committee_hash_(committee_hash(genesis.committee)),
      created_ms_(genesis.created_ms) {}

Result<void> LightClient::advance(const Header& header, const Certificate& certificate) {
  const Digest hash = header_hash(header);
  const auto found = known_.find(header.height);
  if (found != known_.end() && found->second.hash == hash) return {};
  if (header.version != kHeaderVersion || header.chain != chain_)
    return invalid_argument(describe(header.height) + " is not of this chain, " +
                            chain_.short_hex());
  if (auto final = verify_certificate(certificate, header, committee_); !final.ok())
    return final.error().with_context(describe(header.height));
  FM_TRY_VOID(check_against_known(header, hash));
  known_.emplace(header.height, Known{header, hash, certificate});
  if (known_.size() > kKnownHeaders) known_.erase(known_.begin());
  return {};
}

// Of a certified header that is not known. What it contradicts, a quorum has signed too.
Result<void> LightClient::check_against_known(const Header& header, const Digest& hash) const {
  const std::string place = describe(header.height);
  if (const auto same = known_.find(header.height); same != known_.end())
    return corruption(place + ": two certified headers, " + same->second.hash.hex() + " and " +
                      hash.hex() + ": the committee signed a fork");
  if (header.height.value == 0 || header.timestamp_ms <= created_ms_ ||
      header.timestamp_ms > kMaxTimestampMs || header.next_committee_hash != committee_hash_)
    return corruption(place + ": the committee certified an impossible header");
  if (known_.empty()) return {};
  const Known& newest = known_.rbegin()->second;
  if (header.height < newest.header.height)
    return stale(place + " is older than " + describe(newest.header.height) + ", the newest known");
  if (header.timestamp_ms <= newest.header.timestamp_ms)
    return corruption(place + ": its timestamp is not after that of " +
                      describe(newest.header.height));
  if (header.log_size < newest.header.log_size)
    return corruption(place + ": its log is shorter than that of " +
                      describe(newest.header.height));
  if (header.height == newest.header.height.next() && header.parent_hash != newest.hash)
    return corruption(place + ": its parent is not the known " + describe(newest.header.height) +
                      ": the committee signed a fork");
  return {};
}

const Header* LightClient::newest() const {
  return known_.empty() ? nullptr : &known_.rbegin()->second.header;
}

const Certificate* LightClient::newest_certificate() const {
  return known_.empty() ? nullptr : &known_.rbegin()->second.certificate;
}

const Header* LightClient::at(Height height) const {
  const auto found = known_.find(height);
  return found == known_.end() ? nullptr : &found->second.header;
}

Result<std::optional<Bytes>> LightClient::check(const StateEntry& entry) const {
  if (known_.empty()) return unavailable("no header is known yet");
  return check(entry, newest()->height);
}

Result<std::optional<Bytes>> LightClient::check(const StateEntry& entry, Height height) const {
  const Header* header = at(height);
  if (header == nullptr) return not_found("the header of " + describe(height) + " is not known");
  FM_TRY_VOID(verify_state_entry(header->state_root, entry));
  return entry.value;
}

Result<std::optional<Bytes>> LightClient::value_of(std::string_view key,
                                                   const StateEntry& entry) const {
  if (entry.key != key)
    return unauthenticated("the entry is about another key than " + std::string(key));
  return check(entry);
}

Result<std::optional<Bytes>> LightClient::advance_and_check(const StateEntryProof& proof) {
  FM_TRY_VOID(advance(proof.header, proof.certificate));
  return check(proof.entry, proof.header.height);
}

}  // namespace fedmesh::ledger
