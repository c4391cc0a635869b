// CSV files. Input: which schema, then the text.
#include "models/data/csv.h"

#include <array>

#include "models/data/generators.h"
#include "tests/fuzz/dataset_check.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_form(0, "a table by names") &&
                       fuzz::declare_form(1, "a table by positions") &&
                       fuzz::declare_form(2, "a table without its incomplete rows");

models::Schema by_positions() {
  models::Schema schema;
  schema.header = false;
  schema.columns = {
      {.name = {}, .position = 0, .minimum_micro = 0, .maximum_micro = 9'000'000, .levels = {}},
      {.name = {},
       .position = 2,
       .kind = models::ColumnKind::categorical,
       .levels = {"no", "yes", "2.5"}}};
  schema.label_position = 3;
  schema.label_threshold = 0;
  return schema;
}

const std::array<models::Schema, 3>& schemas() {
  static const auto kSchemas = [] {
    std::array<models::Schema, 3> out{models::clinics_schema(), by_positions(),
                                      models::clinics_schema()};
    out[2].drop_missing = true;
    return out;
  }();
  return kSchemas;
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const std::size_t form = input.byte() % schemas().size();
  const models::CsvLimits limits{.file_bytes = 1u << 16,
                                 .record_bytes = 1u << 12,
                                 .rows = 500,
                                 .fields = 64,
                                 .values = 1u << 12};
  const auto table = models::parse_csv(as_text(input.rest()), "table.csv", schemas()[form], limits);
  if (!table.ok()) return 0;
  fuzz::check_dataset(*table);
  FM_CHECK(table->rows() <= limits.rows, "more rows than the limit");
  fuzz::accepted(form);
  return 0;
}
