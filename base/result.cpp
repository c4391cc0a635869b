#include "base/result.h"

namespace fedmesh {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid argument";
    case ErrorCode::not_found:
      return "not found";
    case ErrorCode::corruption:
      return "corruption";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::stale:
      return "stale";
    case ErrorCode::exhausted:
      return "exhausted";
    case ErrorCode::unavailable:
      return "unavailable";
  }
  return "unknown";
}

std::string Error::to_string() const {
  return std::string(fedmesh::to_string(code)) + ": " + detail;
}

}  // namespace fedmesh
