// The configuration file of the programs.
#include "base/options.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

Command program() {
  return {.name = "program",
          .help = "Reads a file.",
          .options = {{.name = "coordinator", .fallback = "localhost:7000", .help = "Whom to ask."},
                      {.name = "threads",
                       .kind = OptionKind::integer,
                       .help = "Threads.",
                       .minimum = 1,
                       .maximum = 64},
                      {.name = "max-epsilon", .kind = OptionKind::decimal, .help = "Limit."},
                      {.name = "device", .help = "Where.", .choices = {"cpu", "cuda"}},
                      {.name = "allow", .kind = OptionKind::list, .help = "Allowed."},
                      {.name = "quiet", .kind = OptionKind::flag, .help = "Says less."}},
          .config_file = true};
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  static fuzz::MemoryFile file;
  static const Command root = program();
  file.write({data, size});
  const auto invocation = parse_options(root, {"--config", file.path()},
                                        [](const std::string&) { return std::nullopt; });
  if (!invocation.ok()) return 0;
  const auto& options = invocation->options;
  if (options.is_set("threads"))
    FM_CHECK(options.integer("threads") >= 1 && options.integer("threads") <= 64,
             "a value outside its bounds");
  if (options.is_set("threads") && options.is_set("allow")) fuzz::accepted();
  return 0;
}
