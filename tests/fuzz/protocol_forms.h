// Which type a record's payload and a state value have. A new RecordKind does not compile until it
// stands here; a new state type is added to StateValue by hand, and make_corpus refuses a sample
// that nothing here decodes.
#pragma once

#include <variant>

#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/round_records.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::fuzz {

// Calls use(Result<Payload>) with the payload decoded as `kind`'s; false for an unknown kind.
template <class Use>
bool with_payload(ledger::RecordKind kind, ByteView bytes, Use use) {
  using namespace protocol;
  using ledger::RecordKind;
  switch (kind) {  // no default: the compiler names the kind we forgot
    case RecordKind::admit:
      return use(decode_payload<Admit>(bytes)), true;
    case RecordKind::job:
      return use(decode_payload<Job>(bytes)), true;
    case RecordKind::stop:
      return use(decode_payload<Stop>(bytes)), true;
    case RecordKind::enrol:
      return use(decode_payload<Enrol>(bytes)), true;
    case RecordKind::decline:
      return use(decode_payload<Decline>(bytes)), true;
    case RecordKind::beacon:
      return use(decode_payload<Beacon>(bytes)), true;
    case RecordKind::accept:
      return use(decode_payload<Accept>(bytes)), true;
    case RecordKind::commit:
      return use(decode_payload<Commit>(bytes)), true;
    case RecordKind::reveal:
      return use(decode_payload<Reveal>(bytes)), true;
    case RecordKind::avail:
      return use(decode_payload<Avail>(bytes)), true;
    case RecordKind::attest:
      return use(decode_payload<Attest>(bytes)), true;
    case RecordKind::score_commit:
      return use(decode_payload<ScoreCommit>(bytes)), true;
    case RecordKind::score_reveal:
      return use(decode_payload<ScoreReveal>(bytes)), true;
    case RecordKind::evidence:
      return use(decode_payload<Evidence>(bytes)), true;
  }
  return false;
}

using StateValue = std::variant<protocol::JobState, protocol::JobSpec, protocol::RoundState,
                                protocol::Contribution, protocol::NodeState, protocol::Enrol>;

// Calls use(Result<T>) with the value decoded as the type at `form`; false where there is none.
template <class Use, std::size_t I = 0>
bool with_state_value(std::size_t form, ByteView bytes, Use use) {
  if constexpr (I < std::variant_size_v<StateValue>) {
    if (form != I) return with_state_value<Use, I + 1>(form, bytes, use);
    use(protocol::decode_state<std::variant_alternative_t<I, StateValue>>(bytes));
    return true;
  } else {
    return false;
  }
}

}  // namespace fedmesh::fuzz
