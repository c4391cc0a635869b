#include "models/data/csv.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/data/file.h"
#include "models/data/text.h"

namespace fedmesh::models {
namespace {

using Fields = std::vector<std::string>;

// Splits a text into records and fields; RFC 4180 with bounds.
class RecordReader {
 public:
  RecordReader(std::string_view text, std::string_view source, const CsvLimits& limits)
      : text_(text), source_(source), limits_(limits) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  // The next record that is not an empty line; false at the end of the text.
  Result<bool> next(Fields& fields) {
    for (;;) {
      if (text_.empty()) return false;
      line_ = next_line_;
      FM_TRY_VOID(read_record(fields));
      if (fields.size() > 1 || !trim(fields[0]).empty()) return true;
    }
  }

  std::string here() const { return source_ + ":" + std::to_string(line_); }

 private:
  // Takes one record with its line end off the text.
  Result<void> read_record(Fields& fields) {
    const std::size_t before = text_.size();
    std::size_t count = 0;
    for (;;) {
      if (count == limits_.fields)
        return exhausted(here() + ": more than " + std::to_string(limits_.fields) + " fields");
      if (count == fields.size()) fields.emplace_back();
      FM_TRY_VOID(read_field(fields[count], before));
      ++count;
      if (text_.empty()) break;
      const char separator = text_.front();
      text_.remove_prefix(1);
      if (separator == '\n') {
        ++next_line_;
        break;
      }
    }
    fields.resize(count);
    return {};
  }

  // Leaves the text at the ',' or line feed that ends the field, or empty.
  Result<void> read_field(std::string& field, std::size_t record_start) {
    field.clear();
    if (text_.empty() || text_.front() != '"') {
      const std::size_t end = std::min(text_.find_first_of(",\n\""), text_.size());
      if (record_start - text_.size() + end > limits_.record_bytes) return too_long();
      if (end < text_.size() && text_[end] == '"')
        return invalid_argument(here() + ": a quote inside a field that does not begin with one");
      field.assign(text_.substr(0, end));
      text_.remove_prefix(end);
      return {};
    }
    text_.remove_prefix(1);
    for (;;) {
      const std::size_t quote = text_.find('"');
      if (record_start - text_.size() + std::min(quote, text_.size()) > limits_.record_bytes)
        return too_long();
      if (quote == std::string_view::npos)
        return invalid_argument(here() + ": a quoted field is not closed");
      const std::string_view part = text_.substr(0, quote);
      next_line_ += static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
      field.append(part);
      text_.remove_prefix(quote + 1);
      if (!text_.starts_with('"')) break;
      field += '"';
      text_.remove_prefix(1);
    }
    if (text_.starts_with('\r')) text_.remove_prefix(1);
    if (!text_.empty() && text_.front() != ',' && text_.front() != '\n')
      return invalid_argument(here() + ": text after a closing quote; write \"\" for a quote");
    return {};
  }

  Error too_long() const {
    return exhausted(here() + ": a record is longer than " + std::to_string(limits_.record_bytes) +
                     " bytes");
  }

  std::string_view text_;
  std::string source_;
  const CsvLimits& limits_;
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

// Where a schema's column stands in the file.
struct Place {
  std::size_t field = 0;
  std::string label;  // for messages: 'age' (field 1)
};

struct Cell {
  bool missing = false;
  double value = 0;       // numeric
  std::size_t level = 0;  // categorical
};

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) {
    if (!out.empty()) out += ", ";
    out += shown(trim(name));
    if (out.size() > 400) return out + ", ...";
  }
  return out;
}

class TableReader {
 public:
  TableReader(std::string_view text, std::string_view source, const Schema& schema,
              const CsvLimits& limits)
      : records_(text, source, limits), source_(source), schema_(schema), limits_(limits) {
    out_.features = schema.features();
    out_.shape = {static_cast<std::int64_t>(out_.features)};
    out_.classes = schema.classes;
    for (const Column& column : schema.columns) {
      auto& numbers = level_numbers_.emplace_back();
      for (const auto& level : column.levels) numbers.push_back(parse_number(level));
    }
  }

  Result<Dataset> read() {
    Fields fields;
    FM_TRY(bool more, records_.next(fields));
    if (!more) return invalid_argument(source_ + ": the file is empty");
    FM_TRY_VOID(locate(fields));
    const std::size_t width = fields.size();
    if (schema_.header) {
      FM_TRY(more, records_.next(fields));
    }
    std::size_t dropped = 0;
    while (more) {
      if (fields.size() != width)
        return invalid_argument(records_.here() + ": " + std::to_string(fields.size()) +
                                " fields, the first line has " + std::to_string(width));
      FM_TRY(const bool kept, read_row(fields));
      if (!kept) ++dropped;
      FM_TRY(more, records_.next(fields));
    }
    if (out_.labels.empty())
      return invalid_argument(source_ + ": no rows left" +
                              (dropped == 0 ? std::string(" after the header")
                                            : "; all " + std::to_string(dropped) +
                                                  " have a missing value and were dropped"));
    return std::move(out_);
  }

 private:
  Result<Place> find(const std::string& name, std::uint32_t position, const Fields& first) const {
    if (!schema_.header || name.empty()) {
      if (position >= first.size())
        return invalid_argument(records_.here() + ": " + std::to_string(first.size()) +
                                " fields, but the schema needs field " +
                                std::to_string(position + 1) +
                                (name.empty() ? "" : " (" + shown(name) + ")"));
      const std::string number = std::to_string(position + 1);
      return Place{position,
                   name.empty() ? "field " + number : shown(name) + " (field " + number + ")"};
    }
    const auto matches = [&](const std::string& title) { return trim(title) == trim(name); };
    const auto at = std::find_if(first.begin(), first.end(), matches);
    if (at == first.end())
      return invalid_argument(records_.here() + ": the header has no column " + shown(name) +
                              "; it has " + list(first));
    if (std::find_if(at + 1, first.end(), matches) != first.end())
      return invalid_argument(records_.here() + ": the header has column " + shown(name) +
                              " twice");
    const auto field = static_cast<std::size_t>(at - first.begin());
    return Place{field, shown(name) + " (field " + std::to_string(field + 1) + ")"};
  }

  Result<void> locate(const Fields& first) {
    for (const Column& column : schema_.columns) {
      FM_TRY(Place place, find(column.name, column.position, first));
      places_.push_back(std::move(place));
    }
    FM_TRY(label_, find(schema_.label_name, schema_.label_position, first));
    for (const Place& place : places_)
      if (place.field == label_.field)
        return invalid_argument(records_.here() + ": column " + place.label +
                                " is both input and label");
    return {};
  }

  // Names the place and never the content: errors reach logs, and a cell is private.
  Error bad_cell(const Place& place, const std::string& what) const {
    return invalid_argument(records_.here() + ": column " + place.label + ": " + what);
  }

  Result<Cell> read_cell(std::size_t index, std::string_view text) const {
    const Column& column = schema_.columns[index];
    Cell cell;
    cell.missing = is_missing(text);
    if (cell.missing) return cell;
    const auto number = parse_number(text);
    if (column.kind == ColumnKind::numeric) {
      if (!number)
        return bad_cell(places_[index],
                        "not a finite number; missing values are empty, ?, NA or nan");
      cell.value = *number;
      return cell;
    }
    const std::string_view wanted = trim(text);
    for (; cell.level < column.levels.size(); ++cell.level) {
      const auto& as_number = level_numbers_[index][cell.level];
      if (trim(column.levels[cell.level]) == wanted || (number && number == as_number)) return cell;
    }
    return bad_cell(places_[index], "an unknown level; allowed are " + list(column.levels));
  }

  // Appends the column's inputs to row_.
  void encode(const Column& column, const Cell& cell) {
    if (column.kind == ColumnKind::categorical) {
      const std::size_t level = cell.missing ? 0 : cell.level;
      for (std::size_t i = 1; i < column.levels.size(); ++i)
        row_.push_back(i == level ? 1.0f : 0.0f);
      return;
    }
    const double low = static_cast<double>(column.minimum_micro) / 1e6;
    const double high = static_cast<double>(column.maximum_micro) / 1e6;
    const double value = cell.missing ? low + (high - low) / 2 : std::clamp(cell.value, low, high);
    row_.push_back(static_cast<float>(value));
  }

  Result<std::int32_t> read_label(std::string_view text) const {
    const auto number = parse_number(text);
    if (!number) return bad_cell(label_, "the label is not a number");
    if (schema_.label_threshold >= 0)
      return *number > static_cast<double>(schema_.label_threshold) ? 1 : 0;
    if (*number < 0 || *number >= schema_.classes || *number != std::floor(*number))
      return bad_cell(label_, "the label is not a whole number from 0 to " +
                                  std::to_string(schema_.classes - 1));
    return static_cast<std::int32_t>(*number);
  }

  // False: dropped, because a value is missing.
  Result<bool> read_row(const Fields& fields) {
    row_.clear();
    bool missing = false;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      FM_TRY(const Cell cell, read_cell(i, fields[places_[i].field]));
      missing = missing || cell.missing;
      encode(schema_.columns[i], cell);
    }
    const std::string& label = fields[label_.field];
    if (is_missing(label)) {
      if (schema_.drop_missing) return false;
      return bad_cell(label_, "the label is missing (drop_missing would skip the row)");
    }
    FM_TRY(const std::int32_t value, read_label(label));
    if (missing && schema_.drop_missing) return false;
    if (out_.rows() == limits_.rows || out_.inputs.size() + row_.size() > limits_.values)
      return exhausted(records_.here() + ": more than " + std::to_string(limits_.rows) +
                       " rows or " + std::to_string(limits_.values) + " values");
    out_.inputs.insert(out_.inputs.end(), row_.begin(), row_.end());
    out_.labels.push_back(value);
    return true;
  }

  RecordReader records_;
  std::string source_;
  const Schema& schema_;
  const CsvLimits& limits_;
  std::vector<std::vector<std::optional<double>>> level_numbers_;  // by column, by level
  std::vector<Place> places_;                                      // by column
  Place label_;
  std::vector<float> row_;
  Dataset out_;
};

}  // namespace

Result<Dataset> parse_csv(std::string_view text, std::string_view source, const Schema& schema,
                          const CsvLimits& limits) {
  FM_TRY_VOID(schema.validate());
  if (schema.format != DataFormat::csv)
    return invalid_argument(std::string(source) + ": the schema is for images, not for csv");
  if (text.size() > limits.file_bytes)
    return exhausted(std::string(source) + ": longer than " + std::to_string(limits.file_bytes) +
                     " bytes");
  return TableReader(text, source, schema, limits).read();
}

Result<Dataset> read_csv(const std::filesystem::path& path, const Schema& schema,
                         const CsvLimits& limits) {
  FM_TRY(const Bytes bytes, read_file(path, limits.file_bytes));
  return parse_csv(as_text(bytes), path.string(), schema, limits);
}

}  // namespace fedmesh::models
