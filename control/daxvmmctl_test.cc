// The true client program against a true server, over a machine without a guest.
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class DaxvmmctlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.FillWithExamples();
    auto bound = ControlSocket::Bind(testing::TempDir() + "/ctl");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
    const auto library = LocateControlLibrary();
    ASSERT_TRUE(library.ok()) << library.status();
    auto server = LoadedControlServer::Start(&controller_, socket_->listen_fd(), *library);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  Finished Ctl(std::vector<std::string> arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), "control/daxvmmctl");
    return RunToEnd(arguments, input, {"DAXVMM_CONTROL=" + socket_->path()});
  }

  FakeController controller_;
  std::optional<ControlSocket> socket_;
  std::optional<LoadedControlServer> server_;
};

TEST_F(DaxvmmctlTest, PolicyGetTable) {
  dax::Policy policy = {.rules = {{.name = "small", .size_below = KiB(32), .outcome = dax::Outcome::kNoDax},
                                  {.name = "data in the middle",
                                   .share_tag = "data",
                                   .size_at_least = KiB(32),
                                   .size_below = MiB(2),
                                   .outcome = dax::Outcome::kFollowHint}},
                        .default_outcome = dax::Outcome::kDax};
  ASSERT_TRUE(controller_.SetPolicy(policy, std::nullopt).ok());
  const Finished got = Ctl({"policy", "get"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out,
            "Policy generation 2\n"
            "#  RULE                SHARE  SIZE                   OUTCOME\n"
            "1  small               any    below 32 KiB           no-dax\n"
            "2  data in the middle  data   32 KiB to below 2 MiB  follow-hint\n"
            "-  default             any    any                    dax\n");
}

TEST_F(DaxvmmctlTest, PolicyGetJson) {
  const Finished got = Ctl({"policy", "get", "-o", "json"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out,
            "{\n"
            " \"policy\": {\n"
            "  \"rules\": [\n"
            "   {\n"
            "    \"name\": \"size\",\n"
            "    \"outcome\": \"OUTCOME_DAX\",\n"
            "    \"size_at_least\": \"32768\"\n"
            "   }\n"
            "  ],\n"
            "  \"default_outcome\": \"OUTCOME_NO_DAX\"\n"
            " },\n"
            " \"generation\": \"1\"\n"
            "}\n");
}

TEST_F(DaxvmmctlTest, PolicySetByName) {
  const Finished set = Ctl({"policy", "set", "size:64K"});
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_EQ(set.out, "Policy generation 2 is in force\n");
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("size:64K"));
  EXPECT_EQ(Ctl({"--output=json", "policy", "set", "never", "--expect-generation", "2"}).out,
            "{\n \"generation\": \"3\"\n}\n");
}

TEST_F(DaxvmmctlTest, PolicySetByFile) {
  const std::string json =
      R"({"rules": [{"name": "r", "share": "data", "size_at_least": 4096, "outcome": "OUTCOME_DAX"}],
          "default_outcome": "OUTCOME_FOLLOW_HINT"})";
  const dax::Policy expected = {
      .rules = {{.name = "r", .share_tag = "data", .size_at_least = KiB(4), .outcome = dax::Outcome::kDax}},
      .default_outcome = dax::Outcome::kFollowHint};
  Finished set = Ctl({"policy", "set", "--file", "-"}, json);
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_EQ(controller_.GetPolicy().policy, expected);

  ASSERT_TRUE(controller_.SetPolicy(dax::DefaultPolicy(), std::nullopt).ok());
  const std::string path = testing::TempDir() + "/policy.json";
  std::ofstream(path) << json;
  set = Ctl({"policy", "set", "--file=" + path});
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_EQ(controller_.GetPolicy().policy, expected);
}

TEST_F(DaxvmmctlTest, ARefusalIsStatusOneAndTellsTheField) {
  const PolicyState before = controller_.GetPolicy();
  Finished refused = Ctl({"policy", "set", "sometimes"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, StartsWith("daxvmmctl: refused: INVALID_ARGUMENT: named_policy: "));
  EXPECT_EQ(refused.out, "");
  refused = Ctl({"policy", "set", "--file", "-"}, R"({"rules": [{"name": "r"}], "default_outcome": 1})");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("policy.rules[0].outcome: "));
  refused = Ctl({"policy", "set", "always", "--expect-generation", "7"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("ABORTED"));
  refused = Ctl({"files", "--share", "nope"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("NOT_FOUND"));
  EXPECT_EQ(controller_.GetPolicy().generation, before.generation);
}

TEST_F(DaxvmmctlTest, FilesTable) {
  const Finished files = Ctl({"files"});
  EXPECT_EQ(files.exit_code, 0) << files.err;
  EXPECT_EQ(files.out,
            "Live files: 3, policy generation 1\n"
            "SHARE     SIZE  DAX  RULE     TOLD  GEN  OPEN  CHUNKS  MAPS  READS  WRITES  PATH\n"
            "data     6 MiB  yes  size     yes     1  yes        3     4      0       1  big.bin\n"
            "data   32767 B  no   default  no      1  no         0     0      2       0  caf\\xe9\\x1b[2J.txt\n"
            "src      4 KiB  no   default  no      0  no         0     0      0       0  main.c\n");
}

TEST_F(DaxvmmctlTest, FilesJsonPrintsEveryField) {
  const Finished files = Ctl({"files", "--share=src", "-o", "json"});
  EXPECT_EQ(files.exit_code, 0) << files.err;
  EXPECT_EQ(files.out,
            "{\n"
            " \"files\": [\n"
            "  {\n"
            "   \"share\": \"src\",\n"
            "   \"node_id\": \"2\",\n"
            "   \"path\": \"main.c\",\n"
            "   \"size_bytes\": \"4096\",\n"
            "   \"decision_dax\": false,\n"
            "   \"decision_rule\": \"default\",\n"
            "   \"told_dax\": false,\n"
            "   \"told_generation\": \"0\",\n"
            "   \"open\": false,\n"
            "   \"mapped_chunks\": 0,\n"
            "   \"setup_mappings\": \"0\",\n"
            "   \"reads\": \"0\",\n"
            "   \"writes\": \"0\"\n"
            "  }\n"
            " ],\n"
            " \"generation\": \"1\"\n"
            "}\n");
}

TEST_F(DaxvmmctlTest, WindowTable) {
  const Finished window = Ctl({"window"});
  EXPECT_EQ(window.exit_code, 0) << window.err;
  EXPECT_EQ(window.out,
            "DAX windows: 2\n"
            "SHARE  MOUNT          SIZE  GUEST ADDRESS  ACCESS      CHUNKS  PEAK  MAPS  UNMAPS  REJECTED  "
            "DROPPED STORES\n"
            "data   per-file     64 MiB    0x100000000  read-write    3/32     5     9       6         1  "
            "             0\n"
            "src    not-mounted    none              -  -                -     -     -       -         0  "
            "             -\n");
}

TEST_F(DaxvmmctlTest, Health) {
  const Finished health = Ctl({"health"});
  EXPECT_EQ(health.exit_code, 0) << health.err;
  EXPECT_EQ(health.out,
            "Health\n"
            "SERVICE                     STATUS\n"
            "daxvmm.v1.DaxPolicyService  SERVING\n"
            "daxvmm.v1.DaxWindowService  SERVING\n");
  EXPECT_THAT(Ctl({"health", "-o", "json"}).out, HasSubstr("\"daxvmm.v1.DaxWindowService\": \"SERVING\""));
}

TEST_F(DaxvmmctlTest, NoServerIsStatusThree) {
  Finished none = Ctl({"--control", testing::TempDir() + "/nobody", "health"});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, HasSubstr("No such file or directory"));
  server_.reset();
  none = Ctl({"--timeout", "0.1", "policy", "get"});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, HasSubstr("no answer in time"));
}

TEST_F(DaxvmmctlTest, WrongUsageIsStatusTwoInOneLineThatNamesIt) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "no command"},
      {{"polish"}, "polish: "},
      {{"policy"}, "policy: "},
      {{"policy", "got"}, "policy: \"got\""},
      {{"policy", "set"}, "policy set: "},
      {{"policy", "set", "never", "--file", "-"}, "policy set: "},
      {{"policy", "set", "never", "always"}, "always: "},
      {{"policy", "set", "never", "--expect-generation", "-1"}, "--expect-generation: "},
      {{"policy", "set", "--file", "/no/such"}, "--file: /no/such: "},
      {{"policy", "get", "--share", "x"}, "--share: "},
      {{"files", "more"}, "more: "},
      {{"files", "--share", ""}, "--share: "},
      {{"files", "--output", "xml"}, "--output: "},
      {{"-o"}, "-o: "},
      {{"--frob", "files"}, "--frob: "},
      {{"--timeout", "0", "files"}, "--timeout: "},
      {{"--timeout", "inf", "files"}, "--timeout: "},
      {{"--control", "", "files"}, "--control: "},
      {{"--control", std::string(108, 'x'), "files"}, "--control: "},
  };
  for (const auto& [arguments, start] : cases) {
    const Finished wrong = Ctl(arguments);
    EXPECT_EQ(wrong.exit_code, 2) << wrong.err;
    EXPECT_THAT(wrong.err, StartsWith("daxvmmctl: " + start));
    EXPECT_EQ(wrong.err.find('\n'), wrong.err.size() - 1) << wrong.err;
    EXPECT_EQ(wrong.out, "");
  }
  for (const char* json :
       {"", "[]", "{\"rules\": 3}", "{\"unknown\": 1}", "{\"default_outcome\": \"OUTCOME_MAYBE\"}"}) {
    const Finished wrong = Ctl({"policy", "set", "--file", "-"}, json);
    EXPECT_EQ(wrong.exit_code, 2) << json << wrong.err;
    EXPECT_THAT(wrong.err, StartsWith("daxvmmctl: --file: -: not a daxvmm.v1.Policy in JSON: "));
    EXPECT_EQ(wrong.err.find('\n'), wrong.err.size() - 1) << wrong.err;
  }
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
}

TEST_F(DaxvmmctlTest, HelpAndVersionNeedNoSocket) {
  const Finished help = RunToEnd({"control/daxvmmctl", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* part : {"policy get", "policy set", "files", "window", "health", "--control", "--timeout",
                           "Exit status: 0", "3 no connection"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
  const Finished set = RunToEnd({"control/daxvmmctl", "policy", "set", "--help"});
  EXPECT_THAT(set.out, HasSubstr("--expect-generation"));
  EXPECT_THAT(RunToEnd({"control/daxvmmctl", "--version"}).out, StartsWith("daxvmmctl "));
  EXPECT_EQ(RunToEnd({"control/daxvmmctl", "health"}).exit_code, 2) << "no --control, no DAXVMM_CONTROL";
}

}  // namespace
}  // namespace daxvmm::control
