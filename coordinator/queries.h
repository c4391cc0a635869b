// Answers to clients from the chain alone. Pages are bounded in bytes; a client asks again for the
// rest.
#pragma once

#include "coordinator/ledger/chain.h"
#include "coordinator/protocol/messages.h"

namespace fedmesh::coordinator {

protocol::StateAnswer answer(const ledger::Chain& chain, const protocol::StateQuery& query);
protocol::BlockAnswer answer(const ledger::Chain& chain, const protocol::BlockQuery& query);

}  // namespace fedmesh::coordinator
