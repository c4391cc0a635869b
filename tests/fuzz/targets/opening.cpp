// The opening of a commitment, as an aggregator checks it: the commitment is made to match, so that
// what stands behind it is reached. Input: the kind of round, then the opening.
#include "coordinator/rounds/aggregate.h"
#include "tests/fuzz/opening_round.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_known<protocol::RoundKind>();
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto kind = static_cast<protocol::RoundKind>(input.byte());
  if (!is_known(kind)) return 0;
  const ByteView bytes = input.rest();
  const auto opening = protocol::decode_payload<protocol::Opening>(bytes);
  fuzz::check_canonical(opening, bytes);
  const auto update = opening.ok() ? protocol::decode_payload<protocol::Update>(opening->update)
                                   : Result<protocol::Update>(opening.error());
  if (opening.ok()) fuzz::check_canonical(update, opening->update);
  protocol::RoundState round = fuzz::opening_round(kind);
  protocol::CohortSlot& slot = round.cohort.front();
  if (update.ok())
    slot.commitment =
        protocol::commitment(fuzz::kOpeningChain, round.job, round.slot, round.base_root,
                             slot.worker, slot.data_root, *opening, update->trace_root);
  const auto checked =
      rounds::check_opening(fuzz::kOpeningChain, fuzz::opening_job(), round, slot, bytes);
  if (!checked.ok()) return 0;
  FM_CHECK(checked->values.size() == rounds::update_dimension(fuzz::opening_job(), kind),
           "an accepted update has another dimension");
  fuzz::accepted(static_cast<std::size_t>(kind));
  return 0;
}
