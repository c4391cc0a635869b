// What the programs say before they talk to anybody.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(CommandLine, UsageErrorsAreStatusTwo) {
  Federation net;
  EXPECT_EQ(net.fedmesh({"--help"}).code, 0);
  EXPECT_EQ(net.fedmesh({"--version"}).code, 0);
  EXPECT_EQ(net.fedmesh({}).code, 2);
  EXPECT_EQ(net.fedmesh({"job", "frobnicate"}).code, 2);
  EXPECT_EQ(net.fedmesh({"job", "submit"}).code, 2);
  const Ran format = net.fedmesh({"job", "list", "--format", "xml"});
  EXPECT_EQ(format.code, 2);
  EXPECT_THAT(format.err, HasSubstr("'xml' is not one of table, json"));
  Process& worker = net.start_worker("w", {"--device", "toaster"}, "127.0.0.1:1");
  EXPECT_EQ(worker.wait(), 2);
  EXPECT_THAT(worker.errors(), HasSubstr("--device: 'toaster' is not one of cpu, cuda, auto"));
}

TEST(CommandLine, AWrongJobFileIsRefusedWithLineKeyAndWhatIsAllowed) {
  Federation net;
  const std::string file = net.write("wrong.toml",
                                     "name = \"wrong\"\n"
                                     "[model]\n"
                                     "architecture = \"logistics\"\n"
                                     "[training]\n"
                                     "learning_rat = 0.5\n"
                                     "[federation]\n"
                                     "rounds = 0\n"
                                     "[privacy]\n"
                                     "mechanism = \"skellam\"\n");
  const Ran ran = net.fedmesh({"job", "submit", file});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("wrong.toml:3: key 'model.architecture': got \"logistics\", "
                                 "allowed: logistic, mlp, cnn"));
  EXPECT_THAT(ran.err, HasSubstr("wrong.toml:4: key 'training.learning_rate': missing, allowed:"));
  EXPECT_THAT(ran.err, HasSubstr("wrong.toml:5: key 'training.learning_rat': unknown key, did you "
                                 "mean 'training.learning_rate'?"));
  EXPECT_THAT(ran.err, HasSubstr("wrong.toml:7: key 'federation.rounds': got 0, allowed:"));
  EXPECT_THAT(ran.err, HasSubstr("wrong.toml:9: key 'privacy.mechanism': \"skellam\" is not "
                                 "supported by this version; allowed: none, laplace"));

  const Ran syntax = net.fedmesh({"job", "submit", net.write("syntax.toml", "name = \n")});
  EXPECT_EQ(syntax.code, 1);
  EXPECT_THAT(syntax.err, HasSubstr("syntax.toml:1"));
  const Ran absent = net.fedmesh({"job", "submit", net.path("absent.toml")});
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, HasSubstr("absent.toml"));
}

TEST(CommandLine, AKeyThatOthersMayReadIsRefused) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"w"}));
  const std::string folder = net.path(".fedmesh/coordinator/");
  for (const auto& file : {folder + "owner.key", folder + "node.key", net.path("w/node.key")})
    ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
  const auto refusal = [](const std::string& file) {
    return HasSubstr("key file " + file + " can be read by others; run: chmod 600 " + file);
  };
  const Ran submit = net.fedmesh({"job", "submit", net.write_job({})});
  EXPECT_EQ(submit.code, 1);
  EXPECT_THAT(submit.err, refusal(folder + "owner.key"));
  Process coordinator({program("fedmesh-coordinator"), "--home", folder, "--listen", "127.0.0.1:0"},
                      net.path("logs/c"), {});
  EXPECT_EQ(coordinator.wait(), 1);
  EXPECT_THAT(coordinator.errors(), refusal(folder + "node.key"));
  Process& worker = net.start_worker("w", {}, "127.0.0.1:1");
  EXPECT_EQ(worker.wait(), 1);
  EXPECT_THAT(worker.errors(), refusal(net.path("w/node.key")));
}

TEST(CommandLine, OnlyTheTrainerIsLinkedWithLibTorch) {
  const std::string ldd = "/usr/bin/ldd";
  if (!std::filesystem::exists(ldd)) GTEST_SKIP() << "ldd is not installed";
  Federation net;
  const auto libraries = [&](const std::string& name) {
    Process process({ldd, program(name)}, net.path("logs/ldd"), {"PATH=/usr/bin:/bin"});
    EXPECT_EQ(process.wait(), 0) << name;
    return process.output();
  };
  EXPECT_THAT(libraries("fedmesh-trainer"), HasSubstr("libtorch"));
  for (const char* name : {"fedmesh", "fedmesh-coordinator", "fedmesh-worker"})
    EXPECT_THAT(libraries(name),
                AllOf(HasSubstr("libsodium"), Not(HasSubstr("torch")), Not(HasSubstr("libc10"))))
        << name;
}

}  // namespace
}  // namespace fedmesh::e2e
