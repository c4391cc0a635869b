// IDX images and labels, plain or gzip. Input: with or without a range of rows, a chunk with the
// images, then the labels.
#include "models/data/idx.h"

#include "tests/fuzz/dataset_check.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_form(0, "all rows") && fuzz::declare_form(1, "a range");

models::Schema tiny_images() {
  models::Schema schema;
  schema.format = models::DataFormat::images;
  schema.classes = 3;
  schema.height = 1;
  schema.width = 2;
  return schema;
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  static const models::Schema schema = tiny_images();
  const std::size_t form = input.byte() % 2;
  const auto range =
      form == 1 ? std::optional(models::RowRange{1, 2}) : std::optional<models::RowRange>();
  const ByteView images = input.chunk();
  const models::IdxLimits limits{.file_bytes = 1u << 16, .rows = 1000, .values = 1u << 16};
  const auto rows = models::parse_idx(images, input.rest(), schema, range, limits);
  if (!rows.ok()) return 0;
  fuzz::check_dataset(*rows);
  fuzz::accepted(form);
  return 0;
}
