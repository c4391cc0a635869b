#include "base/options.h"

#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "base/check.h"

namespace fedmesh {
namespace {

std::string variable_of(const Option& option) {
  if (!option.env.empty()) return option.env;
  std::string out = "FEDMESH_";
  for (const char c : option.name)
    out.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return out;
}

std::string join(const std::vector<std::string>& parts, const std::string& between) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : between) + part;
  return out;
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> out;
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    std::string part = text.substr(from, comma - from);
    part.erase(0, part.find_first_not_of(" \t"));
    part.erase(part.find_last_not_of(" \t") + 1);
    if (!part.empty()) out.push_back(std::move(part));
    from = comma + 1;
  }
  return out;
}

Option config_option() {
  return {.name = "config",
          .value = "FILE.toml",
          .help = "Reads options from a file; flags and environment win over it."};
}

// Options and positionals along a path from the root.
struct Scope {
  std::vector<const Command*> chain;
  std::vector<Option> options;
};

Scope scope_of(const Command& root, const std::vector<std::string>& path) {
  Scope scope{.chain = {&root}, .options = root.options};
  if (root.config_file) scope.options.push_back(config_option());
  for (const auto& name : path) {
    const auto& commands = scope.chain.back()->commands;
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& c) { return c.name == name; });
    FM_CHECK(found != commands.end(), "the path names declared commands");
    scope.chain.push_back(&*found);
    scope.options.insert(scope.options.end(), found->options.begin(), found->options.end());
  }
  return scope;
}

std::string range_text(const Option& option) {
  const auto show = [&](std::int64_t value) {
    if (option.kind == OptionKind::integer) return std::to_string(value);
    std::string text = std::to_string(value / 1'000'000'000);
    if (const std::int64_t rest = value % 1'000'000'000; rest != 0) {
      std::string digits = std::to_string(rest < 0 ? -rest : rest);
      digits.insert(0, 9 - digits.size(), '0');
      text += "." + digits.substr(0, digits.find_last_not_of('0') + 1);
    }
    return text;
  };
  const bool low = option.minimum != std::numeric_limits<std::int64_t>::min();
  const bool high = option.maximum != std::numeric_limits<std::int64_t>::max();
  const std::string what = option.kind == OptionKind::integer ? "a whole number" : "a number";
  if (low && high) return what + " from " + show(option.minimum) + " to " + show(option.maximum);
  if (low) return what + ", at least " + show(option.minimum);
  if (high) return what + ", at most " + show(option.maximum);
  return what;
}

// What CLI11 found on the command line; everything is text until it is checked.
struct Raw {
  std::map<std::string, std::vector<std::string>> options;
  std::map<std::string, std::string> flags;  // empty: not given
  std::vector<std::string> positionals;
  bool help = false;
  bool version = false;
};

// Mirrors the tree of commands in CLI11's terms. CLI11 tokenises and finds the subcommand; values,
// precedence, required ones and help are ours, so that all sources are checked alike.
void declare(CLI::App& app, const Command& command, Raw& raw, bool root) {
  app.set_help_flag();
  app.fallthrough();
  app.add_flag("-h,--help", raw.help);
  if (root) app.add_flag("--version", raw.version);
  std::vector<Option> options = command.options;
  if (root && command.config_file) options.push_back(config_option());
  for (const Option& option : options) {
    if (option.kind == OptionKind::flag) {
      app.add_flag("--" + option.name, raw.flags[option.name]);
      continue;
    }
    app.add_option("--" + option.name, raw.options[option.name])
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  if (!command.positionals.empty())
    app.add_option("ARGUMENTS", raw.positionals)->expected(0, 1 << 16);
  for (const Command& child : command.commands)
    declare(*app.add_subcommand(child.name), child, raw, false);
}

}  // namespace

Result<std::int64_t> parse_nano(const std::string& text) {
  const auto bad = [&] {
    return invalid_argument("'" + text + "' is not a decimal number with at most nine decimals");
  };
  const bool negative = !text.empty() && text[0] == '-';
  const std::string digits = text.substr(negative ? 1 : 0);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string whole = digits.substr(0, point);
  std::string part = point < digits.size() ? digits.substr(point + 1) : "";
  if (part.size() > 9 || whole.size() > 9 || (whole.empty() && part.empty())) return bad();
  part.append(9 - part.size(), '0');
  std::int64_t value = 0;
  for (const char c : whole + part) {
    if (c < '0' || c > '9') return bad();
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

const char* version() { return FEDMESH_VERSION; }

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

// Collects the values of one invocation.
class OptionsBuilder {
 public:
  OptionsBuilder(Scope scope, Raw raw, std::string command)
      : scope_(std::move(scope)), raw_(std::move(raw)), command_(std::move(command)) {}

  Result<Options> build(const Command& root, const Environment& environment) {
    FM_TRY_VOID(from_defaults());
    FM_TRY_VOID(from_flags_and_environment(environment));
    if (root.config_file && out_.values_["config"].set)
      FM_TRY_VOID(from_file(root, out_.values_["config"].values.front()));
    for (const Option& option : scope_.options) {
      if (option.required && !out_.values_[option.name].set)
        return invalid_argument("--" + option.name + " is needed (" + option.value +
                                "): " + option.help + hint());
    }
    FM_TRY_VOID(positionals());
    return std::move(out_);
  }

 private:
  std::string hint() const { return "; see " + command_ + " --help"; }

  Result<void> assign(const Option& option, std::vector<std::string> values,
                      const std::string& where) {
    auto& to = out_.values_[option.name];
    if (option.kind == OptionKind::list && option.commas) {
      std::vector<std::string> parts;
      for (const auto& value : values)
        for (auto& part : split_commas(value)) parts.push_back(std::move(part));
      values = std::move(parts);
    } else if (option.kind != OptionKind::list && values.size() != 1) {
      return invalid_argument(where + " is given " + std::to_string(values.size()) +
                              " times; it takes one value" + hint());
    }
    for (const auto& value : values) {
      if (!option.choices.empty() &&
          std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end())
        return invalid_argument(where + ": '" + value + "' is not one of " +
                                join(option.choices, ", "));
    }
    if (option.kind == OptionKind::integer || option.kind == OptionKind::decimal ||
        option.kind == OptionKind::flag) {
      FM_TRY(to.number, number(option, values.front(), where));
    }
    to.values = std::move(values);
    to.set = true;
    return {};
  }

  static Result<std::int64_t> number(const Option& option, const std::string& text,
                                     const std::string& where) {
    if (option.kind == OptionKind::flag) {
      for (const char* yes : {"true", "1", "yes", "on"})
        if (text == yes) return 1;
      for (const char* no : {"false", "0", "no", "off"})
        if (text == no) return 0;
      return invalid_argument(where + ": '" + text + "' is neither true nor false");
    }
    std::int64_t value = 0;
    bool good = false;
    if (option.kind == OptionKind::decimal) {
      const auto parsed = parse_nano(text);
      good = parsed.ok();
      if (good) value = *parsed;
    } else {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      good = error == std::errc() && end == text.data() + text.size();
    }
    if (!good || value < option.minimum || value > option.maximum)
      return invalid_argument(where + ": '" + text + "' is not " + range_text(option));
    return value;
  }

  Result<void> from_defaults() {
    for (const Option& option : scope_.options) {
      auto& to = out_.values_[option.name];
      to.kind = option.kind;
      if (option.fallback.empty()) continue;
      const auto assigned = assign(option, {option.fallback}, "--" + option.name);
      FM_CHECK(assigned.ok(), "a declared default is allowed by its own option");
    }
    return {};
  }

  Result<void> from_flags_and_environment(const Environment& environment) {
    for (const Option& option : scope_.options) {
      auto given = raw_.options[option.name];
      if (const auto& value = raw_.flags[option.name]; !value.empty()) given = {value};
      if (!given.empty()) {
        FM_TRY_VOID(assign(option, given, "--" + option.name));
        decided_.push_back(option.name);
      } else if (auto value = environment(variable_of(option)); value && !value->empty()) {
        FM_TRY_VOID(assign(option, {*value}, "environment variable " + variable_of(option)));
        decided_.push_back(option.name);
      }
    }
    return {};
  }

  static bool declares(const Command& command, const std::string& name) {
    const auto named = [&](const Option& option) { return option.name == name; };
    return std::any_of(command.options.begin(), command.options.end(), named) ||
           std::any_of(command.commands.begin(), command.commands.end(),
                       [&](const Command& child) { return declares(child, name); });
  }

  static std::optional<std::string> scalar(const toml::node& node) {
    if (const auto text = node.value_exact<std::string>()) return *text;
    if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
    if (const auto integer = node.value_exact<std::int64_t>()) return std::to_string(*integer);
    if (const auto real = node.value_exact<double>()) {
      char text[64];
      const auto end = std::to_chars(text, text + sizeof(text), *real, std::chars_format::fixed);
      return std::string(text, end.ptr);
    }
    return std::nullopt;
  }

  static Result<std::vector<std::string>> file_values(const toml::node& node,
                                                      const std::string& where) {
    std::vector<std::string> values;
    if (const auto* array = node.as_array()) {
      for (const auto& element : *array) {
        auto value = scalar(element);
        if (!value) return invalid_argument(where + ": an array here holds texts or numbers");
        values.push_back(std::move(*value));
      }
      return values;
    }
    auto value = scalar(node);
    if (!value) return invalid_argument(where + ": expected a text, a number, true or false");
    return std::vector<std::string>{std::move(*value)};
  }

  Result<void> from_file(const Command& root, const std::string& path) {
    toml::table table;
    try {
      table = toml::parse_file(path);
    } catch (const toml::parse_error& error) {
      const auto line = error.source().begin.line;
      return invalid_argument(path + (line > 0 ? ":" + std::to_string(line) : "") + ": " +
                              std::string(error.description()));
    }
    for (const auto& [key, node] : table) {
      std::string name(key.str());
      const std::string where = path + ":" + std::to_string(node.source().begin.line) + ": " + name;
      std::replace(name.begin(), name.end(), '_', '-');
      if (name == "config" || !declares(root, name))
        return invalid_argument(where + " is not an option; see " + root.name + " --help");
      // An option of another subcommand: not ours to judge now.
      const auto option = std::find_if(scope_.options.begin(), scope_.options.end(),
                                       [&](const Option& o) { return o.name == name; });
      if (option == scope_.options.end()) continue;
      FM_TRY(auto values, file_values(node, where));
      // A value of the file is checked even where a flag wins over it.
      if (std::find(decided_.begin(), decided_.end(), name) == decided_.end()) {
        FM_TRY_VOID(assign(*option, std::move(values), where));
      } else {
        const auto winner = out_.values_[name];
        FM_TRY_VOID(assign(*option, std::move(values), where));
        out_.values_[name] = winner;
      }
    }
    return {};
  }

  Result<void> positionals() {
    std::size_t next = 0;
    for (const Positional& positional : scope_.chain.back()->positionals) {
      auto& values = out_.arguments_[positional.name];
      while (next < raw_.positionals.size() && (values.empty() || positional.repeated))
        values.push_back(raw_.positionals[next++]);
      if (positional.required && values.empty())
        return invalid_argument(positional.name + " is needed: " + positional.help + hint());
    }
    if (next < raw_.positionals.size())
      return invalid_argument("'" + raw_.positionals[next] + "' is one argument too many" + hint());
    return {};
  }

  Scope scope_;
  Raw raw_;
  std::string command_;
  Options out_;
  std::vector<std::string> decided_;  // by a flag or the environment: the file does not change them
};

Result<Invocation> parse_options(const Command& root, const std::vector<std::string>& arguments,
                                 const Environment& environment) {
  CLI::App app;
  Raw raw;
  std::vector<std::string> path;
  try {
    declare(app, root, raw, true);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11's order
    app.parse(reversed);
  } catch (const CLI::Error& error) {
    for (CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      path.push_back(at->get_name());
    }
    std::string command = root.name;
    for (const auto& name : path) command += " " + name;
    return invalid_argument(std::string(error.what()) + "; see " + command + " --help");
  }
  std::string command = root.name;
  for (CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    path.push_back(at->get_name());
    command += " " + at->get_name();
  }
  if (raw.help) return Invocation{path, {}, help_text(root, path)};
  if (raw.version) return Invocation{path, {}, root.name + " " + version() + "\n"};
  Scope scope = scope_of(root, path);
  if (!scope.chain.back()->commands.empty() && !scope.chain.back()->standalone) {
    std::vector<std::string> names;
    for (const auto& child : scope.chain.back()->commands) names.push_back(child.name);
    return invalid_argument(command + " needs a command: " + join(names, ", ") + "; see " +
                            command + " --help");
  }
  OptionsBuilder builder(std::move(scope), std::move(raw), command);
  FM_TRY(Options options, builder.build(root, environment));
  return Invocation{std::move(path), std::move(options), std::nullopt};
}

const Options::Value& Options::get(const std::string& name, OptionKind kind) const {
  const auto found = values_.find(name);
  FM_CHECK(found != values_.end() && found->second.kind == kind, "the option was declared so");
  return found->second;
}

const std::string& Options::text(const std::string& name) const {
  static const std::string kNone;
  const Value& value = get(name, OptionKind::text);
  return value.values.empty() ? kNone : value.values.front();
}
std::int64_t Options::integer(const std::string& name) const {
  return get(name, OptionKind::integer).number;
}
std::int64_t Options::nano(const std::string& name) const {
  return get(name, OptionKind::decimal).number;
}
bool Options::flag(const std::string& name) const {
  return get(name, OptionKind::flag).number != 0;
}
const std::vector<std::string>& Options::list(const std::string& name) const {
  return get(name, OptionKind::list).values;
}
bool Options::is_set(const std::string& name) const {
  const auto found = values_.find(name);
  FM_CHECK(found != values_.end(), "the option was declared");
  return found->second.set;
}
const std::vector<std::string>& Options::arguments(const std::string& name) const {
  const auto found = arguments_.find(name);
  FM_CHECK(found != arguments_.end(), "the argument was declared");
  return found->second;
}
const std::string& Options::argument(const std::string& name) const {
  static const std::string kNone;
  const auto& values = arguments(name);
  return values.empty() ? kNone : values.front();
}

}  // namespace fedmesh
