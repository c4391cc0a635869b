// Model files: whatever decodes encodes to a canonical file that decodes to the same tensors.
#include "models/data/safetensors.h"

#include "models/data/generators.h"
#include "models/data/standardise.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared =
    fuzz::declare_form(0, "tensors") && fuzz::declare_form(1, "constants of standardisation");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const models::SafetensorsLimits limits{
      .bytes = 1u << 16, .header_bytes = 1u << 14, .tensors = 64};
  const auto tensors = models::decode_safetensors({data, size}, limits);
  if (!tensors.ok()) return 0;
  fuzz::accepted(0);
  const Bytes canonical = models::encode_safetensors(*tensors);
  const auto again = models::decode_safetensors(canonical);
  FM_CHECK(again.ok() && *again == *tensors, "a canonical file holds other tensors");
  FM_CHECK(models::encode_safetensors(*again) == canonical, "a canonical file has two forms");
  static const models::Schema schema = models::clinics_schema();
  if (models::standardisation_from(*tensors, schema).ok()) fuzz::accepted(1);
  return 0;
}
