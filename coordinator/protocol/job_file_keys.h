// The one table of all keys of a job file. Parsing, checking and the generated reference
// (JOB_FILE.md) all follow it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/protocol/job_file_values.h"
#include "coordinator/protocol/job_spec.h"

namespace fedmesh::protocol {

enum class KeyType : std::uint8_t {
  text,
  choice,         // one of `choices`
  integer,        // `minimum` to `maximum`
  decimal,        // the same in units of 10^-decimals
  boolean,        //
  duration,       // "500ms", "60s", "2m", "1h", "7d"; in milliseconds
  integers,       // a list
  levels,         // a list of texts or numbers
  name_or_place,  // a column: its name, or its zero-based position
};

// A value that has passed its key's checks.
struct Setting {
  std::string text;
  std::int64_t number = 0;
  bool flag = false;
  std::vector<std::string> texts;
  std::vector<std::int64_t> numbers;
};

struct ColumnDraft {
  models::Column column;
  std::optional<std::int64_t> position;
};

// What the keys say, before it is put together.
struct JobDraft {
  JobSpec spec;
  std::string preset;
  std::vector<ColumnDraft> columns;
  std::vector<std::uint32_t> hidden;
  std::string label_name;
  std::int64_t label_position = 0;
  std::int64_t clip_nano = 0;
  std::optional<std::int64_t> fraction_bits;
  std::string blob;
};

struct Key {
  std::string path{};  // "data.columns[].name" for the keys of each column
  KeyType type = KeyType::text;
  std::string fallback{};  // as TOML; empty: none
  std::string
      otherwise{};  // for the reference: what holds where there is neither value nor fallback
  bool required = false;
  std::vector<std::string> choices{};
  std::vector<std::string> later{};  // in the design, not in this version
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
  int decimals = 0;
  bool unsupported = false;  // the whole key belongs to a later version
  std::string meaning{};
  void (*store)(JobDraft& draft, const Setting& setting) = nullptr;

  std::string allowed() const;  // "integer, 1 to 4096"
};

inline constexpr std::string_view kColumns = "data.columns[]";
inline constexpr std::size_t kColumnsMax = 1024;

const std::vector<Key>& job_file_keys();

// "quoted text, allowed: ..." in the error's detail.
Result<Setting> convert(const Key& key, const TomlValue& value);

}  // namespace fedmesh::protocol
