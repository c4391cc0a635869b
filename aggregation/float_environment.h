// Floating-point settings that every node computes under.
#pragma once

#include <cfenv>

namespace fedmesh::aggregation {

// While it lives, the thread rounds to nearest even, keeps subnormals and traps nothing, whatever
// another library has set; afterwards the former settings are back. Functions that compute under it
// are kept out of line, so that no operation is moved across its construction.
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

}  // namespace fedmesh::aggregation
