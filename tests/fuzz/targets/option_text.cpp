// Texts that people give in options: numbers, times of day, submitters, architectures,
// hex digits.
#include <string>

#include "base/options.h"
#include "tests/fuzz/target.h"
#include "worker/consent.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_form(0, "a decimal number") &&
                       fuzz::declare_form(1, "hours") && fuzz::declare_form(2, "a submitter") &&
                       fuzz::declare_form(3, "an architecture") && fuzz::declare_form(4, "hex");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const std::string text(as_text({data, size}));
  worker::ConsentPolicy policy;
  if (parse_nano(text).ok()) fuzz::accepted(0);
  if (policy.set_hours(text).ok()) {
    for (const auto minute : {policy.hours->from_minute, policy.hours->to_minute})
      FM_CHECK(minute >= 0 && minute <= 24 * 60, "a time of day outside the day");
    (void)policy.works_at(Instant{1'700'000'000'000});
    fuzz::accepted(1);
  }
  if (policy.allow_submitter(text).ok()) fuzz::accepted(2);
  if (policy.allow_architecture(text).ok()) fuzz::accepted(3);
  if (const auto bytes = from_hex(text); bytes.ok()) {
    FM_CHECK(bytes->size() * 2 == text.size(), "hex has two digits per byte");
    fuzz::accepted(4);
  }
  return 0;
}
