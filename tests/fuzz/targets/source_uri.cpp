// The line of text that says where a node's data comes from. Only parsed: nothing is loaded.
#include "models/data/source.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
using Kind = models::DataSource::Kind;
std::size_t form_of(Kind kind) { return static_cast<std::size_t>(kind); }
const bool kDeclared = fuzz::declare_form(form_of(Kind::csv), "a CSV file") &&
                       fuzz::declare_form(form_of(Kind::idx), "an IDX pair") &&
                       fuzz::declare_form(form_of(Kind::clinics), "clinics") &&
                       fuzz::declare_form(form_of(Kind::clinics_validation), "validation data") &&
                       fuzz::declare_form(form_of(Kind::digits), "digits");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const auto source = models::DataSource::parse(as_text({data, size}));
  if (!source.ok()) return 0;
  const bool file = source->kind == Kind::csv || source->kind == Kind::idx;
  FM_CHECK(file == !source->paths.empty(), "a file has paths, a generator has none");
  FM_CHECK(!source->range || source->range->first <= source->range->last, "a range goes back");
  fuzz::accepted(form_of(source->kind));
  return 0;
}
