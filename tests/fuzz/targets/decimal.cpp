// Decimal numbers: text to integer, integer to text, floating point to integer. Input: eight bytes
// that are an integer and a double, then text.
#include "coordinator/protocol/decimal.h"

#include <bit>
#include <cmath>

#include "base/options.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

void check_text_of(std::int64_t value) {
  for (int decimals = 0; decimals <= 18; ++decimals)
    FM_CHECK(!protocol::decimal_text(value, decimals).empty(), "a number has a text");
  const auto back = parse_nano(protocol::decimal_text(value, protocol::kNanoDecimals));
  FM_CHECK(!back.ok() || *back == value, "a number's text reads as another number");
}

void check_exact(double value) {
  for (int decimals = 0; decimals <= 12; ++decimals) {
    const auto exact = protocol::exact_decimal(value, decimals);
    FM_CHECK(!exact || std::isfinite(value), "an infinite number became an integer");
  }
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  if (size < 8) return 0;
  const std::uint64_t raw = load_le64({data, 8});
  check_text_of(static_cast<std::int64_t>(raw));
  check_exact(std::bit_cast<double>(raw));
  const auto nano = parse_nano(std::string(as_text({data + 8, size - 8})));
  if (!nano.ok()) return 0;
  check_text_of(*nano);
  fuzz::accepted();
  return 0;
}
