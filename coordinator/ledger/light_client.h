// Follows the chain by headers and certificates alone: what a worker trusts instead of a
// coordinator's word.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/proof.h"

namespace fedmesh::ledger {

// Not thread-safe: owned by the worker's loop thread. After a restart, feed it the last newest()
// and its certificate again: a client that forgot may be shown an older, genuine head.
class LightClient {
 public:
  static constexpr std::size_t kKnownHeaders = 1024;  // the newest; older ones are forgotten

  explicit LightClient(const Genesis& genesis);  // a valid one

  // Heights may be skipped. The header that is newest already, or known, is accepted again.
  // stale: older than the newest and not known. unauthenticated: the certificate does not hold.
  // corruption: two different certified headers at one height, a parent hash, timestamp or log that
  // contradicts what is known: evidence that the committee is faulty; nothing changes.
  Result<void> advance(const Header& header, const Certificate& certificate);

  const Header* newest() const;  // nullptr before the first
  const Certificate* newest_certificate() const;
  const Header* at(Height height) const;  // nullptr: not known

  // The value that the entry proves for *its* key, or nothing where it proves absence: a sender may
  // answer with a true statement about another key, so compare entry.key or use value_of(). Against
  // the newest header: unavailable before the first, unauthenticated where the proof does not hold
  // (also if it was made under another header). Against a given one: not_found if that is not
  // known.
  Result<std::optional<Bytes>> check(const StateEntry& entry) const;
  Result<std::optional<Bytes>> check(const StateEntry& entry, Height height) const;
  // check() of an entry that must be about `key`; unauthenticated if it is about another.
  Result<std::optional<Bytes>> value_of(std::string_view key, const StateEntry& entry) const;
  // advance() and check() in one. An older header than the newest is refused as stale unless known.
  Result<std::optional<Bytes>> advance_and_check(const StateEntryProof& proof);

 private:
  struct Known {
    Header header;
    Digest hash;
    Certificate certificate;
  };

  Result<void> check_against_known(const Header& header, const Digest& hash) const;

  ChainId chain_;
  std::vector<crypto::PublicKey> committee_;
  Digest committee_hash_;
  std::int64_t created_ms_;
  std::map<Height, Known> known_;
};

}  // namespace fedmesh::ledger
