#include "models/data/schema.h"

#include <algorithm>
#include <set>

#include "base/crypto/digest.h"
#include "models/data/text.h"

namespace fedmesh::models {
namespace {

constexpr std::size_t kColumnsMax = 1024;
constexpr std::size_t kLevelsMax = 256;
constexpr std::size_t kTextMax = 128;
constexpr std::size_t kFeaturesMax = 1u << 22;
constexpr std::uint32_t kPositionMax = 4095;
constexpr std::uint32_t kClassesMax = 1024;
// Bounds stay exact as doubles.
constexpr std::int64_t kMicroMax = std::int64_t{1} << 53;

std::string label_of(const Column& column) {
  return column.name.empty() ? "column at position " + std::to_string(column.position)
                             : "column " + shown(column.name);
}

Result<void> validate_levels(const Column& column) {
  const std::string label = label_of(column);
  if (column.levels.size() < 2 || column.levels.size() > kLevelsMax)
    return invalid_argument(label + ": a categorical column lists 2 to " +
                            std::to_string(kLevelsMax) + " levels");
  if (column.minimum_micro != 0 || column.maximum_micro != 0)
    return invalid_argument(label + ": a categorical column has no bounds");
  for (std::size_t i = 0; i < column.levels.size(); ++i) {
    if (column.levels[i].size() > kTextMax)
      return invalid_argument(label + ": a level is longer than " + std::to_string(kTextMax) +
                              " bytes");
    if (is_missing(column.levels[i]))
      return invalid_argument(label + ": level " + shown(column.levels[i]) +
                              " would be read as a missing value");
    for (std::size_t j = 0; j < i; ++j)
      if (same_level(column.levels[i], column.levels[j]))
        return invalid_argument(label + ": levels " + shown(column.levels[j]) + " and " +
                                shown(column.levels[i]) + " are the same");
  }
  return {};
}

Result<void> validate_column(const Column& column) {
  const std::string label = label_of(column);
  if (column.name.size() > kTextMax)
    return invalid_argument(label + ": a name has at most " + std::to_string(kTextMax) + " bytes");
  if (column.position > kPositionMax)
    return invalid_argument(label + ": a position is at most " + std::to_string(kPositionMax));
  if (!is_known(column.kind))
    return invalid_argument(label + ": a column is numeric or categorical");
  if (column.kind == ColumnKind::categorical) return validate_levels(column);
  if (!column.levels.empty()) return invalid_argument(label + ": a numeric column has no levels");
  if (column.minimum_micro >= column.maximum_micro)
    return invalid_argument(label + ": give bounds with minimum < maximum");
  if (column.minimum_micro < -kMicroMax || column.maximum_micro > kMicroMax)
    return invalid_argument(label + ": bounds must lie within ±2^53 millionths");
  return {};
}

Result<void> validate_table(const Schema& schema) {
  if (schema.channels != 1 || schema.height != 0 || schema.width != 0)
    return invalid_argument("a csv schema has no image size (channels 1, height 0, width 0)");
  if (schema.columns.empty() || schema.columns.size() > kColumnsMax)
    return invalid_argument("a csv schema lists 1 to " + std::to_string(kColumnsMax) + " columns");
  if (schema.label_threshold < -1)
    return invalid_argument("label_threshold is -1 (none) or at least 0");
  if (schema.label_threshold >= 0 && schema.classes != 2)
    return invalid_argument("label_threshold makes two classes; classes says " +
                            std::to_string(schema.classes));
  if (schema.label_name.size() > kTextMax || schema.label_position > kPositionMax)
    return invalid_argument("the label's name or position is too long");
  std::set<std::string> names;
  std::set<std::uint32_t> positions;
  const auto claim = [&](const std::string& name, std::uint32_t position) {
    return schema.header && !name.empty() ? names.insert(name).second
                                          : positions.insert(position).second;
  };
  claim(schema.label_name, schema.label_position);
  for (const Column& column : schema.columns) {
    FM_TRY_VOID(validate_column(column));
    if (!claim(column.name, column.position))
      return invalid_argument(label_of(column) + " is used twice, or is the label");
  }
  return {};
}

Result<void> validate_images(const Schema& schema) {
  if (!schema.columns.empty() || !schema.label_name.empty() || schema.label_position != 0 ||
      schema.label_threshold != -1)
    return invalid_argument("an image schema has no columns and no label column");
  if (schema.channels < 1 || schema.channels > 16 || schema.height < 1 || schema.height > 4096 ||
      schema.width < 1 || schema.width > 4096)
    return invalid_argument("images have 1 to 16 channels and 1 to 4096 rows and columns");
  return {};
}

}  // namespace

std::size_t Schema::features() const {
  if (format == DataFormat::images) return std::size_t{channels} * height * width;
  std::size_t total = 0;
  for (const Column& column : columns)
    total += column.kind == ColumnKind::numeric ? 1
             : column.levels.empty()            ? 0
                                                : column.levels.size() - 1;
  return total;
}

std::vector<std::size_t> Schema::numeric_features() const {
  std::vector<std::size_t> out;
  if (format == DataFormat::images) return out;
  std::size_t at = 0;
  for (const Column& column : columns) {
    if (column.kind == ColumnKind::numeric) {
      out.push_back(at++);
    } else if (!column.levels.empty()) {
      at += column.levels.size() - 1;
    }
  }
  return out;
}

Digest Schema::hash() const {
  return crypto::Blake2b("fedmesh/schema/v1").add(codec::encode(*this)).finish();
}

Result<void> Schema::validate() const {
  if (!is_known(format)) return invalid_argument("a schema's format is csv or images");
  if (classes < 2 || classes > kClassesMax)
    return invalid_argument("a schema has 2 to " + std::to_string(kClassesMax) + " classes");
  if (format == DataFormat::csv) {
    FM_TRY_VOID(validate_table(*this));
  } else {
    FM_TRY_VOID(validate_images(*this));
  }
  if (features() > kFeaturesMax) return invalid_argument("an example has at most 2^22 inputs");
  return {};
}

}  // namespace fedmesh::models
