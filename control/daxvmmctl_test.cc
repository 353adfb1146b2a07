// The true client program against a true server, over a machine without a guest.
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// A policy with every kind of condition.
dax::Policy RichPolicy() {
  return {.rules = {{.name = "small", .size_below = KiB(32), .outcome = dax::Outcome::kNoDax},
                    {.name = "data in the middle",
                     .share_tag = "data",
                     .read_only_share = false,
                     .paths = {"lib/**/*.so", "bin/*"},
                     .subtrees = {"usr"},
                     .extensions = {"so"},
                     .size_at_least = KiB(32),
                     .size_below = MiB(2),
                     .owner_uid = dax::IdRange{0, 0},
                     .owner_gid = dax::IdRange{100, 200},
                     .executable = true,
                     .dax_hint = false,
                     .huge_pages = false,
                     .outcome = dax::Outcome::kFollowHint}},
          .default_outcome = dax::Outcome::kDax,
          .enforcement = dax::Enforcement::kDeny};
}

TEST_F(DaxvmmctlTest, PolicyGetTable) {
  Finished got = Ctl({"policy", "get"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, MatchesRegex("Policy generation 1, from the start \\(--policy\\), since "
                                    "20..-..-.. ..:..:.. UTC \\((now|[0-9]+ s ago)\\)\n"
                                    "Enforcement: advisory\n"
                                    "#  RULE     SHARE  SIZE         OUTCOME\n"
                                    "1  size     any    from 32 KiB  dax\n"
                                    "-  default  any    any          no-dax\n"));
  ASSERT_TRUE(controller_.SetPolicy(RichPolicy(), {.requester = "a test"}).ok());
  ASSERT_TRUE(controller_.SetOverride({.share_tag = "data", .file = NodeId(3), .dax = true, .note = "why"}, {}).ok());
  controller_.WatchFile("/etc/p", PolicyFileError{"/etc/p:3: bad\x1b", absl::FromUnixSeconds(0)});
  got = Ctl({"policy", "get"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  const size_t second_line = got.out.find('\n') + 1;
  EXPECT_THAT(got.out, StartsWith("Policy generation 3, by request, since "));
  const std::string days = std::to_string(absl::ToUnixSeconds(absl::Now()) / 86400);
  EXPECT_EQ(got.out.substr(second_line),
            "Watched file: /etc/p\n"
            "  not in force since 1970-01-01 00:00:00 UTC (" +
                days +
                " d ago): /etc/p:3: bad\\x1b\n"
                "Enforcement: deny\n"
                "#  RULE                SHARE  SIZE                   OUTCOME      FURTHER CONDITIONS\n"
                "1  small               any    below 32 KiB           no-dax       -\n"
                "2  data in the middle  data   32 KiB to below 2 MiB  follow-hint  writable share; path lib/**/*.so or "
                "bin/*; below usr; extension so; uid 0; gid 100-200; executable; hint not set; no huge pages\n"
                "-  default             any    any                    dax          -\n"
                "Overrides: 1\n"
                "SHARE  DAX  EXPIRES  NOTE  FILE\n"
                "data   yes  never    why   node 3\n");
}

TEST_F(DaxvmmctlTest, PolicyGetPrintsWhatPolicySetTakes) {
  ASSERT_TRUE(controller_.SetPolicy(RichPolicy(), {}).ok());
  for (const std::vector<std::string>& format :
       {std::vector<std::string>{"-o", "textproto"}, {"-o", "json", "--policy-only"}}) {
    std::vector<std::string> get = {"policy", "get"};
    get.insert(get.end(), format.begin(), format.end());
    const Finished got = Ctl(get);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    ASSERT_TRUE(controller_.SetPolicy(dax::DefaultPolicy(), {}).ok());
    const Finished set = Ctl({"policy", "set", "--file", "-"}, got.out);
    EXPECT_EQ(set.exit_code, 0) << set.err << got.out;
    EXPECT_EQ(controller_.GetPolicy().policy, RichPolicy()) << got.out;
  }
}

TEST_F(DaxvmmctlTest, PolicyGetJson) {
  const Finished got = Ctl({"policy", "get", "-o", "json"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, MatchesRegex("\\{\n"
                                    " \"policy\": \\{\n"
                                    "  \"rules\": \\[\n"
                                    "   \\{\n"
                                    "    \"name\": \"size\",\n"
                                    "    \"size_at_least\": \"32768\",\n"
                                    "    \"outcome\": \"OUTCOME_DAX\"\n"
                                    "   \\}\n"
                                    "  \\],\n"
                                    "  \"default_outcome\": \"OUTCOME_NO_DAX\",\n"
                                    "  \"enforcement\": \"ENFORCEMENT_ADVISORY\"\n"
                                    " \\},\n"
                                    " \"generation\": \"1\",\n"
                                    " \"source\": \\{\n"
                                    "  \"kind\": \"KIND_START\",\n"
                                    "  \"detail\": \"--policy\",\n"
                                    "  \"effective_time\": \"20[^\"]*Z\"\n"
                                    " \\},\n"
                                    " \"etag\": \"[^\"]+\"\n"
                                    "\\}\n"));
}

TEST_F(DaxvmmctlTest, PolicySetByName) {
  const Finished set = Ctl({"policy", "set", "size:64K"});
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_EQ(set.out,
            "Policy generation 2 is in force: a file in use notices within 1 s; an open file keeps its state until its "
            "last close; an idle one changes on next use\n");
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("size:64K"));
  const Finished json = Ctl({"--output=json", "policy", "set", "never", "--expect-generation", "2"});
  EXPECT_THAT(json.out, StartsWith("{\n \"generation\": \"3\",\n \"bound\": {\n"));
  EXPECT_THAT(json.out, HasSubstr("\"notice_delay\": \"1s\""));
}

TEST_F(DaxvmmctlTest, PolicySetByFile) {
  const dax::Policy expected = {
      .rules = {{.name = "r", .share_tag = "data", .size_at_least = KiB(4), .outcome = dax::Outcome::kDax}},
      .default_outcome = dax::Outcome::kFollowHint};
  const std::string path = testing::TempDir() + "/policy";
  for (const std::string& text :
       {std::string(R"({"rules": [{"name": "r", "share": "data", "size_at_least": 4096, "outcome": "OUTCOME_DAX"}],
                        "default_outcome": "OUTCOME_FOLLOW_HINT"})"),
        std::string("rules { name: 'r' share: 'data' size_at_least: 4096 outcome: OUTCOME_DAX }\n"
                    "default_outcome: OUTCOME_FOLLOW_HINT\n")}) {
    ASSERT_TRUE(controller_.SetPolicy(dax::DefaultPolicy(), {}).ok());
    Finished set = Ctl({"policy", "set", "--file", "-"}, text);
    EXPECT_EQ(set.exit_code, 0) << set.err;
    EXPECT_EQ(controller_.GetPolicy().policy, expected);

    ASSERT_TRUE(controller_.SetPolicy(dax::DefaultPolicy(), {}).ok());
    std::ofstream(path) << text;
    set = Ctl({"policy", "set", "--file=" + path, "--format", text[0] == '{' ? "json" : "textproto"});
    EXPECT_EQ(set.exit_code, 0) << set.err;
    EXPECT_EQ(controller_.GetPolicy().policy, expected);
    EXPECT_EQ(Ctl({"policy", "set", "--file=" + path, "--format", text[0] == '{' ? "textproto" : "json"}).exit_code, 2);
  }
}

TEST_F(DaxvmmctlTest, AWatchedFileNeedsForce) {
  controller_.WatchFile("/etc/p");
  const Finished refused = Ctl({"policy", "set", "always"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, StartsWith("daxvmmctl: refused: FAILED_PRECONDITION: "));
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_EQ(Ctl({"policy", "set", "always", "--force"}).exit_code, 0);
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("always"));
}

TEST_F(DaxvmmctlTest, WaitingEndsWhenTheGuestHasFollowed) {
  controller_.SetCounts({.converged = 2, .changes_on_next_use = 1});
  const Finished settled = Ctl({"policy", "set", "always", "--wait"});
  EXPECT_EQ(settled.exit_code, 0) << settled.err;
  EXPECT_THAT(settled.out, EndsWith("\nSettled: generation 2: 2 converged, 1 on next use\n"));
  controller_.SetCounts({.converged = 1, .noticed_held_open = 2});
  const Finished not_yet = Ctl({"policy", "set", "never", "--wait", "--timeout", "1"});
  EXPECT_EQ(not_yet.exit_code, 3);
  EXPECT_THAT(not_yet.out, StartsWith("Policy generation 3 is in force"));
  EXPECT_THAT(not_yet.err, HasSubstr("the guest has not followed in time: generation 3: 1 converged, 2 held open; "));
  EXPECT_EQ(controller_.GetPolicy().generation, 3u) << "the policy is in force all the same";
}

TEST_F(DaxvmmctlTest, WatchPrintsALineForEachUpdate) {
  controller_.SetCounts({.converged = 5});
  Finished watch = Ctl({"watch"});
  EXPECT_EQ(watch.exit_code, 0) << watch.err;
  EXPECT_EQ(watch.out, "generation 1: 5 converged\n");
  EXPECT_THAT(Ctl({"watch", "--share", "data", "-o", "json"}).out,
              StartsWith("{\"generation\":\"1\",\"converged\":\"5\""));
  controller_.SetCounts({});
  EXPECT_EQ(Ctl({"watch"}).out, "generation 1: no live files\n");

  controller_.SetCounts({1, 2, 3, 4, 5, 6, 0, absl::Milliseconds(800)});
  watch = Ctl({"watch", "--interval", "0.1", "--timeout", "1"});
  EXPECT_EQ(watch.exit_code, 3);
  const std::string line =
      "generation 1: 1 converged, 2 cached for 0.8 s, 3 on next use, 4 held open, 5 still held, 6 unknown\n";
  EXPECT_THAT(watch.out, StartsWith(line + line));
  EXPECT_EQ(Ctl({"watch", "--share", "nope"}).exit_code, 1);
}

TEST_F(DaxvmmctlTest, WatchRewritesItsLineOnATerminal) {
  controller_.SetCounts({.unknown = 1});
  const Finished ended = CtlOnTerminal({"watch", "--interval", "0.1", "--timeout", "1"}, 80);
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("\rgeneration 1: 1 unknown\x1b[K\rgeneration 1: 1 unknown\x1b[K"));
}

TEST_F(DaxvmmctlTest, OverridesAndHistory) {
  Finished done = Ctl(
      {"policy", "override", "set", "--share", "data", "--dax", "yes", "--ttl", "1h", "--note", "n", "caf\xe9.txt"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, StartsWith("Policy generation 2 is in force: "));
  auto overrides = controller_.GetPolicy().overrides;
  ASSERT_EQ(overrides.size(), 1u);
  EXPECT_EQ(overrides[0].file, dax::OverriddenFile("caf\xe9.txt"));
  EXPECT_TRUE(overrides[0].dax);
  EXPECT_EQ(overrides[0].note, "n");
  const absl::Duration left = *overrides[0].expires_at - absl::Now();
  EXPECT_GT(left, absl::Minutes(58));
  EXPECT_LE(left, absl::Hours(1));
  // As `files` shows the name.
  done = Ctl({"policy", "override", "clear", "--share=data", "caf\\xe9.txt"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  done = Ctl({"policy", "override", "clear", "--share=data", "caf\\xe9.txt"});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.err, HasSubstr("NOT_FOUND"));
  EXPECT_EQ(Ctl({"policy", "override", "set", "--share=data", "--dax=no", "--node", "2"}).exit_code, 0);
  EXPECT_FALSE(controller_.GetPolicy().overrides[0].dax);

  const Finished history = Ctl({"policy", "history"});
  EXPECT_EQ(history.exit_code, 0) << history.err;
  EXPECT_THAT(history.out, StartsWith("Policy generations: 4\nGEN  SINCE "));
  EXPECT_THAT(history.out, HasSubstr("by request (uid "));
}

TEST_F(DaxvmmctlTest, ExplainsAFile) {
  const Finished explained = Ctl({"policy", "explain", "--share", "data", "caf\\xe9\x1b[2J.txt"});
  EXPECT_EQ(explained.exit_code, 0) << explained.err;
  EXPECT_EQ(explained.out,
            "caf\\xe9\\x1b[2J.txt, share data: no DAX by default, policy generation 1\n"
            "The guest holds it as node 3, was told DAX; state: cached 0.4 s\n"
            "FACT  VALUE\n"
            "path  caf\\xe9\\x1b[2J.txt\n"
            "size  32767\n"
            "#  RULE     HOLDS  WHY\n"
            "1  default  yes    no condition\n");
  Finished refused = Ctl({"policy", "explain", "big.bin"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.err, "daxvmmctl: --share: needed, since there are several: data, src\n");
  refused = Ctl({"policy", "explain", "--share", "data", "none"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("NOT_FOUND"));
  controller_.windows.pop_back();
  EXPECT_EQ(Ctl({"policy", "explain", "--node", "2"}).exit_code, 0) << "the only share need not be named";
}

TEST_F(DaxvmmctlTest, ARefusalIsStatusOneAndTellsTheField) {
  const PolicyState before = controller_.GetPolicy();
  Finished refused = Ctl({"policy", "set", "sometimes"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, StartsWith("daxvmmctl: refused: INVALID_ARGUMENT: named_policy: "));
  EXPECT_EQ(refused.out, "");
  refused = Ctl({"policy", "set", "always", "--expect-generation", "7"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("ABORTED"));
  EXPECT_THAT(refused.err, HasSubstr("policy get"));
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
            "SHARE     SIZE  DAX  RULE     TOLD  STATE         OPEN  CHUNKS  MAPS  READS  PATH\n"
            "data     6 MiB  yes  size     yes   converged     yes        3     4      0  big.bin\n"
            "data   32767 B  no   default  yes   cached 0.4 s  no         0     0      2  caf\\xe9\\x1b[2J.txt\n"
            "src      4 KiB  no   default  ?     converged     no         0     0      0  main.c\n");
  controller_.files[0].overridden = true;
  controller_.files[0].reason = "hot";
  const Finished wide = Ctl({"files", "--share", "data", "-o", "wide"});
  EXPECT_EQ(wide.out,
            "Live files: 2, policy generation 1\n"
            "SHARE     SIZE  DAX   RULE     TOLD  STATE         OPEN  CHUNKS  MAPS  READS  UNMAPS  WRITES  AGAINST  "
            "GEN  NODE  REASON  PATH\n"
            "data     6 MiB  yes*  size     yes   converged     yes        3     4      0       0       1        0  "
            "  1     2  hot     big.bin\n"
            "data   32767 B  no    default  yes   cached 0.4 s  no         0     0      2       0       0        0  "
            "  1     3  -       caf\\xe9\\x1b[2J.txt\n");
}

TEST_F(DaxvmmctlTest, FilesJsonPrintsEveryField) {
  const Finished files = Ctl({"files", "--share=src", "-o", "json"});
  EXPECT_EQ(files.exit_code, 0) << files.err;
  for (const char* field :
       {"\"share\": \"src\"", "\"node_id\": \"2\"", "\"decision_dax\": false", "\"overridden\": false",
        "\"convergence\": \"CONVERGENCE_CONVERGED\"", "\"mapped_chunks\": 0", "\"unmaps\": \"0\"",
        "\"mapped_against_policy\": \"0\"", "\"generation\": \"1\""}) {
    EXPECT_THAT(files.out, HasSubstr(field));
  }
  EXPECT_THAT(files.out, testing::Not(HasSubstr("told_dax"))) << "what is not known is not there";
}

TEST_F(DaxvmmctlTest, WindowTable) {
  controller_.windows[0].quota = MiB(32);
  controller_.windows[0].quota_reached = true;
  controller_.windows[0].maps_per_second[1] = 12.34;
  controller_.windows[0].denied = 77;
  const Finished window = Ctl({"window"});
  EXPECT_EQ(window.exit_code, 0) << window.err;
  EXPECT_EQ(
      window.out,
      "DAX windows: 2\n"
      "SHARE  MOUNT          SIZE  ACCESS      CHUNKS  PEAK        QUOTA  MAPS  UNMAPS  MAP/S  UNMAP/S  REJECTED\n"
      "data   per-file     64 MiB  read-write    3/32     5  32 MiB full     9       6   12.3      0.0         1\n"
      "src    not-mounted    none  -                -     -            -     -       -      -        -         0\n");
  const Finished wide = Ctl({"window", "-o", "wide"});
  EXPECT_THAT(wide.out, StartsWith(window.out));
  EXPECT_THAT(wide.out, HasSubstr("\n  guest address                       0x100000000\n"));
  EXPECT_THAT(wide.out, HasSubstr("\n  maps per second, over 1/10/60 s     0.0/12.3/0.0\n"));
  EXPECT_THAT(wide.out, HasSubstr("\n  maps against the policy, denied     77\n"));
}

TEST_F(DaxvmmctlTest, Health) {
  const Finished health = Ctl({"health"});
  EXPECT_EQ(health.exit_code, 0) << health.err;
  EXPECT_EQ(health.out,
            "Health\n"
            "SERVICE                     STATUS\n"
            "daxvmm.v1.DaxPolicyService  SERVING\n"
            "daxvmm.v1.DaxWindowService  SERVING\n"
            "daxvmm.v1.MachineService    SERVING\n");
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
      {{"policy", "got"}, "policy: \"got\" is not get, set, edit, explain, override or history; did you mean get?"},
      {{"policy", "override"}, "policy override: set, clear or list must follow"},
      {{"policy", "override", "set", "--share", "s", "f"}, "--dax: "},
      {{"policy", "override", "set", "--dax", "perhaps", "f"}, "--dax: "},
      {{"policy", "override", "set", "--dax", "yes"}, "policy override set: "},
      {{"policy", "override", "set", "--dax", "yes", "--node", "3", "f"}, "policy override set: "},
      {{"policy", "override", "set", "--dax", "yes", "--ttl", "soon", "f"}, "--ttl: "},
      {{"policy", "override", "set", "--dax", "yes", "--ttl", "0", "f"}, "--ttl: "},
      {{"policy", "override", "set", "--dax", "yes", "--ttl", "", "f"}, "--ttl: "},
      {{"policy", "override", "clear"}, "policy override clear: "},
      {{"policy", "explain"}, "policy explain: "},
      {{"policy", "explain", "--node", "x"}, "--node: "},
      {{"policy", "get", "--policy-only"}, "--policy-only: "},
      {{"policy", "set", "never", "--format", "json"}, "--format: "},
      {{"policy", "set", "--file", "-", "--format", "yaml"}, "--format: "},
      {{"files", "-o", "textprot"},
       "-o: \"textprot\" is not table, wide, json, text or textproto; did you mean textproto?"},
      {{"watch", "--interval", "0.01"}, "--interval: "},
      {{"files", "--force"}, "--force: "},
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
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"", "-: default_outcome: missing"},
      {"[]", "-:1: an object is needed"},
      {"{\n\"rules\": 3}", "-:2: rules: an array"},
      {"{\"unknown\": 1}", "-:1: unknown: unknown field"},
      {"{\"default_outcome\": \"OUTCOME_MAYBE\"}", "-:1: default_outcome: "},
      {"rules {\n name: \"r\"\n}\ndefault_outcome: OUTCOME_DAX", "-:1: rules[0].outcome: "},
      {"rules {\n size: 3\n}", "-:2: "},
  };
  for (const auto& [text, start] : texts) {
    const Finished wrong = Ctl({"policy", "set", "--file", "-"}, text);
    EXPECT_EQ(wrong.exit_code, 2) << text << wrong.err;
    EXPECT_THAT(wrong.err, StartsWith("daxvmmctl: --file: " + start));
    EXPECT_EQ(wrong.err.find('\n'), wrong.err.size() - 1) << wrong.err;
  }
  EXPECT_THAT(Ctl({"policy", "set", "--file", "/dev/zero"}).err, HasSubstr("not a regular file"));
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
}

TEST_F(DaxvmmctlTest, HelpAndVersionNeedNoSocket) {
  const Finished help = RunToEnd({"control/daxvmmctl", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* part : {"policy get", "policy set", "policy explain", "policy override set", "policy override clear",
                           "policy history", "files", "watch", "window", "health", "--control", "--timeout",
                           "Exit status:\n  0  done", "  3  no connection"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
  const Finished set = RunToEnd({"control/daxvmmctl", "policy", "set", "--help"});
  for (const char* part : {"--expect-generation", "--force", "--wait", "--file", "size:SIZE", "default_outcome"}) {
    EXPECT_THAT(set.out, HasSubstr(part));
  }
  EXPECT_THAT(RunToEnd({"control/daxvmmctl", "--version"}).out, StartsWith("daxvmmctl "));
  EXPECT_EQ(RunToEnd({"control/daxvmmctl", "health"}).exit_code, 2) << "no --control, no DAXVMM_CONTROL";
}

}  // namespace
}  // namespace daxvmm::control
