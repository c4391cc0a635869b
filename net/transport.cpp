#include "net/transport.h"

namespace fedmesh::net {
namespace {

std::string name_of(const NodeId& node) { return node.short_hex() + "..."; }

struct Describe {
  std::string operator()(const Connected& event) const {
    std::string out = "connected to " + name_of(event.peer.id);
    out += event.dialled ? " (dialled" : " (accepted";
    if (!event.peer.endpoint.empty()) out += ", listens on " + event.peer.endpoint;
    return out + ")";
  }
  std::string operator()(const Disconnected& event) const {
    return "disconnected from " + name_of(event.peer) + ": " + event.reason;
  }
  std::string operator()(const Received& event) const {
    return std::to_string(event.message.size()) + " bytes from " + name_of(event.peer);
  }
  std::string operator()(const Writable& event) const {
    return name_of(event.peer) + " can be written to again";
  }
  std::string operator()(const DialFailed& event) const {
    const std::string next = event.retry_in
                                 ? "next try in " + std::to_string(event.retry_in->count()) + " ms"
                                 : "given up";
    return "dialling " + event.endpoint + " failed: " + event.reason + "; " + next;
  }
  std::string operator()(const Refused& event) const {
    return "refused " + event.address + ": " + event.reason;
  }
};

}  // namespace

std::string to_string(const PeerEvent& event) { return std::visit(Describe{}, event); }

}  // namespace fedmesh::net
