// Command lines of the programs: options, positional arguments and nested subcommands, with one
// precedence everywhere: flags > environment > configuration file > defaults. A program declares a
// tree of commands once; help, checking and error messages follow from it.
//
//     Command root{.name = "fedmesh", .help = "..."};
//     root.commands = {{.name = "job", .help = "Jobs.", .commands = {{.name = "submit", ...}}}};
//     parse_options(root, {argv + 1, argv + argc}, process_environment());
//
// CLI11 and toml++ stay in the .cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fedmesh {

enum class OptionKind {
  text,
  integer,  // decimal digits, between `minimum` and `maximum`
  decimal,  // "0.25": exact, in nano units, at most nine decimals, between `minimum` and `maximum`
  flag,     // --name, or --name=false
  list,     // repeatable; each value may hold several, separated by commas
};

// Members have initialisers so that designated initialisation may leave them out.
struct Option {
  std::string name{};  // "data-dir": --data-dir; data-dir or data_dir in the file
  OptionKind kind = OptionKind::text;
  std::string value{};     // how help shows its value: "HOST:PORT"
  std::string fallback{};  // the default as text; a list's is comma-separated; empty: not set
  std::string help{};      // one line
  std::string env{};       // empty: FEDMESH_ and the name, FEDMESH_DATA_DIR
  bool required = false;
  bool commas =
      true;  // list: a value may hold several elements; false: commas belong to the element
  std::vector<std::string> choices{};  // text and list: nothing else is allowed
  std::int64_t minimum = std::numeric_limits<std::int64_t>::min();
  std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
};

struct Positional {
  std::string name{};  // "FILE"
  std::string help{};
  bool required = true;
  bool repeated = false;  // the last one only: takes all that is left
};

struct Command {
  std::string name{};
  std::string help{};             // first sentence in lists of commands, all of it in its own help
  std::vector<Option> options{};  // also understood after the names of its subcommands
  std::vector<Positional> positionals{};
  std::vector<Command> commands{};  // where there are some, one must be chosen, unless:
  bool standalone = false;          // may also be run by itself
  bool config_file = false;         // root only: adds --config FILE.toml
};

// What the command line, environment and file say. Asking for a name that was not declared, or for
// another kind, is a defect of the program (checked).
class Options {
 public:
  const std::string& text(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;  // 0 if not set
  std::int64_t nano(const std::string& name) const;     // of a decimal; 0 if not set
  bool flag(const std::string& name) const;
  const std::vector<std::string>& list(const std::string& name) const;
  bool is_set(const std::string& name) const;  // by anybody, a default included

  // Positional arguments by name; empty if an optional one was not given.
  const std::string& argument(const std::string& name) const;
  const std::vector<std::string>& arguments(const std::string& name) const;

 private:
  friend class OptionsBuilder;
  struct Value {
    OptionKind kind = OptionKind::text;
    std::vector<std::string> values;
    std::int64_t number = 0;
    bool set = false;
  };
  const Value& get(const std::string& name, OptionKind kind) const;
  std::map<std::string, Value> values_;
  std::map<std::string, std::vector<std::string>> arguments_;
};

struct Invocation {
  std::vector<std::string> path;  // the chosen subcommands: {"job", "submit"}
  Options options;
  std::optional<std::string> print;  // --help or --version: print this, exit with 0
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// invalid_argument names the option, variable or line of the file, and what is allowed there.
// `arguments` is argv without the program's name. Names are distinct along a path (checked).
Result<Invocation> parse_options(const Command& root, const std::vector<std::string>& arguments,
                                 const Environment& environment);

// The help of the command that `path` names.
std::string help_text(const Command& root, const std::vector<std::string>& path = {});

// Decimal text as an exact number of billionths: "0.25" -> 250'000'000.
Result<std::int64_t> parse_nano(const std::string& text);

const char* version();  // "0.1.0"

// Exit codes of all programs.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitWaiting = 3;

}  // namespace fedmesh
