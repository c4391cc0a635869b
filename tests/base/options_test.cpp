#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace fedmesh {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Command program() {
  Command submit{.name = "submit",
                 .help = "Submits a job. It is signed with your key.",
                 .options = {{.name = "wait", .kind = OptionKind::flag, .help = "Waits."}},
                 .positionals = {{.name = "FILE", .help = "The job file."}}};
  Command watch{
      .name = "watch",
      .help = "Shows progress.",
      .positionals = {{.name = "JOB", .help = "Its id.", .required = false},
                      {.name = "ROUNDS", .help = "Rounds.", .required = false, .repeated = true}}};
  Command job{.name = "job", .help = "Jobs.", .commands = {submit, watch}};
  return {.name = "fedmesh",
          .help = "Federated learning.",
          .options =
              {{.name = "coordinator",
                .value = "HOST:PORT",
                .fallback = "localhost:7000",
                .help = "Whom to ask."},
               {.name = "threads",
                .kind = OptionKind::integer,
                .value = "N",
                .fallback = "2",
                .help = "Threads.",
                .minimum = 1,
                .maximum = 64},
               {.name = "max-epsilon",
                .kind = OptionKind::decimal,
                .value = "E",
                .help = "Limit.",
                .minimum = 0},
               {.name = "device", .fallback = "cpu", .help = "Where.", .choices = {"cpu", "cuda"}},
               {.name = "allow", .kind = OptionKind::list, .help = "Allowed."},
               {.name = "quiet", .kind = OptionKind::flag, .help = "Says less."}},
          .commands = {job},
          .config_file = true};
}

class OptionsTest : public testing::Test {
 protected:
  Result<Invocation> parse(std::vector<std::string> arguments) {
    return parse_options(program(), arguments,
                         [&](const std::string& name) -> std::optional<std::string> {
                           const auto found = environment_.find(name);
                           if (found == environment_.end()) return std::nullopt;
                           return found->second;
                         });
  }
  std::string error(std::vector<std::string> arguments) {
    const auto parsed = parse(std::move(arguments));
    return parsed.ok() ? "no error" : parsed.error().detail;
  }
  std::string file(const std::string& text) {
    const auto path = folder_.path() / "options.toml";
    std::ofstream(path) << text;
    return path.string();
  }
  std::map<std::string, std::string> environment_;
  const TemporaryFolder folder_;
};

TEST_F(OptionsTest, FindsNestedCommandsWithArgumentsAndOptionsAnywhere) {
  const auto parsed = parse({"job", "submit", "a.toml", "--coordinator", "h:1", "--wait"});
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_THAT(parsed->path, ElementsAre("job", "submit"));
  EXPECT_EQ(parsed->options.argument("FILE"), "a.toml");
  EXPECT_EQ(parsed->options.text("coordinator"), "h:1");
  EXPECT_TRUE(parsed->options.flag("wait"));
  EXPECT_FALSE(parsed->options.flag("quiet"));
  EXPECT_TRUE(parse({"--quiet", "job", "submit", "--wait=false", "x"})->options.flag("quiet"));
}

TEST_F(OptionsTest, RepeatedArgumentsAndLists) {
  const auto parsed = parse({"job", "watch", "j1", "3", "4", "--allow", "a,b", "--allow=c"});
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_THAT(parsed->options.arguments("ROUNDS"), ElementsAre("3", "4"));
  EXPECT_THAT(parsed->options.list("allow"), ElementsAre("a", "b", "c"));
  EXPECT_EQ(parse({"job", "watch"})->options.argument("JOB"), "");
}

TEST_F(OptionsTest, FlagsWinOverEnvironmentOverFileOverDefaults) {
  const std::string path = file("threads = 5\nmax_epsilon = 0.25\nallow = [\"x\", \"y\"]\n");
  EXPECT_EQ(parse({"job", "watch"})->options.integer("threads"), 2);
  EXPECT_EQ(parse({"job", "watch", "--config", path})->options.integer("threads"), 5);
  EXPECT_EQ(parse({"job", "watch", "--config", path})->options.nano("max-epsilon"), 250'000'000);
  EXPECT_THAT(parse({"job", "watch", "--config", path})->options.list("allow"),
              ElementsAre("x", "y"));
  environment_["FEDMESH_THREADS"] = "6";
  EXPECT_EQ(parse({"job", "watch", "--config", path})->options.integer("threads"), 6);
  EXPECT_EQ(parse({"job", "watch", "--config", path, "--threads", "7"})->options.integer("threads"),
            7);
}

TEST_F(OptionsTest, ErrorsNameThePlaceAndWhatIsAllowed) {
  EXPECT_THAT(error({"job", "watch", "--threads", "65"}),
              AllOf(HasSubstr("--threads"), HasSubstr("from 1 to 64")));
  EXPECT_THAT(error({"job", "watch", "--device", "tpu"}), HasSubstr("cpu, cuda"));
  EXPECT_THAT(error({"job", "watch", "--threads", "1", "--threads", "2"}), HasSubstr("2 times"));
  EXPECT_THAT(error({"job", "watch", "--nonsense"}), HasSubstr("--nonsense"));
  EXPECT_THAT(error({"job", "submit"}), AllOf(HasSubstr("FILE"), HasSubstr("job submit --help")));
  EXPECT_THAT(error({"job", "submit", "a", "b"}), HasSubstr("'b'"));
  EXPECT_THAT(error({"job"}), HasSubstr("submit, watch"));
  EXPECT_THAT(error({"job", "fly"}), HasSubstr("fly"));
  EXPECT_THAT(error({"job", "watch", "--max-epsilon", "-1"}), HasSubstr("at least 0"));
  environment_["FEDMESH_DEVICE"] = "tpu";
  EXPECT_THAT(error({"job", "watch"}), HasSubstr("FEDMESH_DEVICE"));
}

TEST_F(OptionsTest, FileErrorsNameTheLine) {
  EXPECT_THAT(error({"job", "watch", "--config", file("threads = 5\ntypo = 1\n")}),
              AllOf(HasSubstr(":2:"), HasSubstr("typo")));
  EXPECT_THAT(error({"job", "watch", "--config", file("\nthreads = \"many\"\n")}),
              AllOf(HasSubstr(":2:"), HasSubstr("from 1 to 64")));
  EXPECT_THAT(error({"job", "watch", "--config", file("threads = [\n")}), HasSubstr(".toml:"));
  EXPECT_THAT(error({"job", "watch", "--threads", "3", "--config", file("threads = 99\n")}),
              HasSubstr(":1:"));
  EXPECT_THAT(error({"job", "watch", "--config", "/nonexistent/x.toml"}), HasSubstr("x.toml"));
}

TEST_F(OptionsTest, HelpAndVersionArePrintedWithoutChecking) {
  const auto help = parse({"job", "submit", "--help"});
  ASSERT_TRUE(help.ok()) << help.error().to_string();
  EXPECT_THAT(*help->print, AllOf(HasSubstr("Usage: fedmesh job submit FILE [options]"),
                                  HasSubstr("--wait"), HasSubstr("[default: localhost:7000]")));
  EXPECT_THAT(*parse({"--help"})->print, HasSubstr("Jobs."));
  EXPECT_THAT(*parse({"--version"})->print, HasSubstr(version()));
}

TEST(ParseNanoTest, IsExact) {
  EXPECT_EQ(*parse_nano("0.1"), 100'000'000);
  EXPECT_EQ(*parse_nano("-2"), -2'000'000'000);
  EXPECT_EQ(*parse_nano(".000000001"), 1);
  for (const char* bad : {"", ".", "-", "1e3", "0.0000000001", "1.2.3", "9999999999", "nan"})
    EXPECT_FALSE(parse_nano(bad).ok()) << bad;
}

TEST(StandaloneCommandTest, IsRunByItselfAndWithItsSubcommands) {
  const Command verify{.name = "verify", .positionals = {{.name = "FILE"}}};
  const Command receipts{.name = "receipts",
                         .options = {{.name = "genesis"}},
                         .commands = {verify},
                         .standalone = true};
  const Command root{.name = "fedmesh", .commands = {receipts}};
  const Environment nothing = [](const std::string&) { return std::nullopt; };
  const auto alone = parse_options(root, {"receipts", "--genesis", "g"}, nothing);
  ASSERT_TRUE(alone.ok()) << alone.error().detail;
  EXPECT_THAT(alone->path, ElementsAre("receipts"));
  EXPECT_EQ(alone->options.text("genesis"), "g");
  const auto verified = parse_options(root, {"receipts", "verify", "f", "--genesis", "g"}, nothing);
  ASSERT_TRUE(verified.ok()) << verified.error().detail;
  EXPECT_EQ(verified->options.argument("FILE"), "f");
  EXPECT_FALSE(parse_options(root, {}, nothing).ok());
  EXPECT_THAT(help_text(root, {"receipts"}), HasSubstr("fedmesh receipts [COMMAND] [options]"));
}

}  // namespace
}  // namespace fedmesh
