// How a table's cell is read as text, number or "missing". The same for schemas and files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fedmesh::models {

std::string_view trim(std::string_view text);  // spaces, tabs, CR and LF at both ends
// A finite decimal number that fills the trimmed text, whatever the locale. No "inf", no hex.
std::optional<double> parse_number(std::string_view text);
std::optional<std::uint64_t> parse_u64(std::string_view text);  // digits only
// Empty, "?", "NA" or "nan" in any case, after trimming.
bool is_missing(std::string_view text);
// Equal as trimmed text, or both numbers and equal: "1.0" is "1".
bool same_level(std::string_view a, std::string_view b);
// For messages: in quotes, at most 40 bytes, control and non-ASCII bytes as '.'.
std::string shown(std::string_view text);
std::vector<std::string_view> split_at(std::string_view text, char separator);

}  // namespace fedmesh::models
