// How numbers of a report are written, in the table and on the page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/cli/report.h"

namespace fedmesh::cli {

std::string micro_text(std::int64_t micro);    // "0.6931", four decimals
std::string percent_text(std::int64_t micro);  // "81.25 %"
std::string bytes_text(std::uint64_t bytes);   // "512 B", "1.5 KB", "12 MB"; powers of 1000
// "1.5 KB / 12 MB", up and down, or `none` where it was not measured.
std::string traffic_text(const RoundRow& row, const char* none);
std::string seconds_text(std::int64_t milliseconds);  // "12.3"
std::string for_terminal(std::string_view text);      // control bytes and broken UTF-8 as '?'
std::size_t terminal_width(std::string_view text);    // code points
// Every byte that is not part of valid UTF-8 becomes U+FFFD; what XML 1.0 cannot hold does too.
std::string repaired_utf8(std::string_view text);

}  // namespace fedmesh::cli
