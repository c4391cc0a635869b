#include "aggregation/float_environment.h"

#include "base/check.h"

namespace fedmesh::aggregation {

// The default environment's control word has flush-to-zero cleared on x86-64 (MXCSR) and on
// AArch64 (FPCR), beside the rounding mode and the traps.
FloatEnvironment::FloatEnvironment() {
  FM_CHECK(std::fegetenv(&saved_) == 0 && std::fesetenv(FE_DFL_ENV) == 0,
           "the floating-point environment can be set");
}

FloatEnvironment::~FloatEnvironment() {
  FM_CHECK(std::fesetenv(&saved_) == 0, "the floating-point environment can be restored");
}

}  // namespace fedmesh::aggregation
