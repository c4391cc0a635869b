// The help of the programs: one line per option, in the order of declaration.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/options.h"

namespace fedmesh {
namespace {

std::string first_sentence(const std::string& text) {
  const std::size_t end = text.find(". ");
  return end == std::string::npos ? text : text.substr(0, end + 1);
}

std::string alternatives(const std::vector<std::string>& choices) {
  std::string out;
  for (const auto& choice : choices) out += (out.empty() ? "" : "|") + choice;
  return out;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

void append_rows(std::string& out, const std::string& title, const Rows& rows) {
  if (rows.empty()) return;
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  out += "\n" + title + ":\n";
  for (const auto& [left, right] : rows)
    out += "  " + left + std::string(width - left.size() + 2, ' ') + right + "\n";
}

std::pair<std::string, std::string> row_of(const Option& option) {
  std::string left = "--" + option.name;
  if (option.kind != OptionKind::flag)
    left += " " + (option.value.empty() ? std::string("VALUE") : option.value);
  std::string right = option.help;
  if (!option.choices.empty()) right += " [" + alternatives(option.choices) + "]";
  if (option.kind == OptionKind::list) right += " (repeatable)";
  if (!option.fallback.empty()) right += " [default: " + option.fallback + "]";
  if (option.required) right += " [needed]";
  return {left, right};
}

}  // namespace

std::string help_text(const Command& root, const std::vector<std::string>& path) {
  const Command* at = &root;
  std::string usage = root.name;
  Rows positionals, commands, options;
  for (const Option& option : root.options) options.push_back(row_of(option));
  if (root.config_file)
    options.emplace_back("--config FILE.toml",
                         "Reads options from a file; the others win over it.");
  for (const auto& name : path) {
    const auto child = std::find_if(at->commands.begin(), at->commands.end(),
                                    [&](const Command& c) { return c.name == name; });
    FM_CHECK(child != at->commands.end(), "the path names declared commands");
    at = &*child;
    usage += " " + name;
    for (const Option& option : at->options) options.push_back(row_of(option));
  }
  const Command& command = *at;
  if (!command.commands.empty()) usage += command.standalone ? " [COMMAND]" : " COMMAND";
  for (const Positional& positional : command.positionals) {
    std::string shown = positional.name + (positional.repeated ? "..." : "");
    usage += " " + (positional.required ? shown : "[" + shown + "]");
    positionals.emplace_back(positional.name, positional.help);
  }
  for (const Command& child : command.commands)
    commands.emplace_back(child.name, first_sentence(child.help));
  options.emplace_back("--help", "Prints this.");
  if (path.empty()) options.emplace_back("--version", "Prints the version.");
  std::string out = "Usage: " + usage + " [options]\n\n" + command.help + "\n";
  append_rows(out, "Arguments", positionals);
  append_rows(out, "Commands", commands);
  append_rows(out, "Options", options);
  out += "\nEvery option is also read from the environment (FEDMESH_SOME_NAME for --some-name)";
  if (root.config_file) out += " and from the file given with --config";
  out += ".\n";
  return out;
}

}  // namespace fedmesh
