// What the simulator's command line may say about texts: placeholders in data sources, and keys of
// the job file set to other values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fedmesh::sim {

// The text with every occurrence of `placeholder` ("{seed}") replaced by the number.
std::string filled(std::string_view text, std::string_view placeholder, std::uint64_t number);

// Sets one key of a job file's text: "privacy.epsilon_total=0.5". A value that is no TOML is taken
// as text, so that a shell needs no quotes within quotes; no value ("privacy.epsilon_total=") takes
// the key out. Keys of [section]s only, on one line.
// invalid_argument: not of that form. Whether the job allows the value, parse_job_file() says.
Result<std::string> with_setting(std::string_view job_file, std::string_view setting);

}  // namespace fedmesh::sim
