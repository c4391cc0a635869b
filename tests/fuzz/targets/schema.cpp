// What a job says about its data and its model: schema and architecture, judged and used.
#include "models/data/schema.h"

#include "models/data/architecture.h"
#include "models/data/standardise.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared =
    fuzz::declare_form(0, "a valid schema") && fuzz::declare_form(1, "a valid architecture");

void use(const models::Schema& schema) {
  if (!schema.validate().ok()) return;
  const auto numeric = schema.numeric_features();
  FM_CHECK(schema.features() > 0 && numeric.size() <= schema.features(), "a schema's features");
  for (const double scale : models::from_bounds(schema).scale)
    FM_CHECK(scale > 0, "a valid schema has bounds that are apart");
  fuzz::accepted(0);
}

void use(const models::Architecture& architecture) {
  if (!architecture.validate().ok()) return;
  const std::size_t parameters = models::elements(architecture.layout());
  FM_CHECK(parameters > 0 && parameters <= (1u << 26), "a model is bounded");
  fuzz::accepted(1);
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto schema = codec::decode<models::Schema>(bytes);
  if (fuzz::check_canonical(schema, bytes)) use(*schema);
  const auto architecture = codec::decode<models::Architecture>(bytes);
  if (fuzz::check_canonical(architecture, bytes)) use(*architecture);
  return 0;
}
