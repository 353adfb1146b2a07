// `policy edit` and `policy set --dry-run`.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control/testing/daxvmmctl_fixture.h"

namespace daxvmm::control {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DaxvmmctlEditTest : public DaxvmmctlTest {
 protected:
  void SetUp() override {
    DaxvmmctlTest::SetUp();
    std::filesystem::create_directories(Scratch());
    controller_.preview.gaining = 1;
    controller_.preview.losing = 101;
    controller_.preview.live = 200;
    controller_.preview.files = {{.share_tag = "data", .path = "a\x1b", .node_id = 2, .dax = true, .rule = "big"},
                                 {.share_tag = "data", .path = "b", .node_id = 3, .dax = false, .rule = "default"}};
  }
  void TearDown() override { std::filesystem::remove_all(Scratch()); }

  static std::string Scratch() { return testing::TempDir() + "/scratch"; }

  // An editor that runs these lines, with the file as $1.
  static std::string Editor(const std::string& lines) {
    const std::string path = testing::TempDir() + "/editor";
    std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
    EXPECT_EQ(chmod(path.c_str(), 0700), 0);
    return "EDITOR=" + path;
  }

  Finished Edit(const std::string& editor, std::vector<std::string> more = {"--yes"}) const {
    more.insert(more.begin(), {"policy", "edit"});
    return Ctl(more, "", {Editor(editor), "TMPDIR=" + Scratch(), "PATH=/usr/bin:/bin"});
  }

  static bool NothingIsLeft() { return std::filesystem::is_empty(Scratch()); }
};

constexpr char kToNever[] = "printf 'default_outcome: OUTCOME_NO_DAX\\n' >\"$1\"";

TEST_F(DaxvmmctlEditTest, PutsWhatWasEditedIntoForce) {
  const Finished edited = Edit("sed -i 's/32768/65536/' \"$1\"");
  EXPECT_EQ(edited.exit_code, 0) << edited.err;
  EXPECT_THAT(edited.out, StartsWith("Policy generation 2 is in force: "));
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("size:64K"));
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(DaxvmmctlEditTest, TheFileIsPrivate) {
  const Finished edited = Edit("stat -c '%a' \"$1\" \"$(dirname \"$1\")\" >&2");
  EXPECT_THAT(edited.err, StartsWith("600\n700\n"));
}

TEST_F(DaxvmmctlEditTest, UnchangedChangesNothing) {
  for (const char* editor : {"true", "echo '# a comment' >>\"$1\"", "sed -i '/^#: /d' \"$1\""}) {
    const Finished edited = Edit(editor);
    EXPECT_EQ(edited.exit_code, 0) << edited.err;
    EXPECT_EQ(edited.err, "daxvmmctl: the policy is left as it was: nothing is changed\n");
    EXPECT_EQ(controller_.GetPolicy().generation, 1u);
    EXPECT_TRUE(NothingIsLeft());
  }
}

TEST_F(DaxvmmctlEditTest, AWrongPolicyIsOpenedAgainWithTheErrorAndItsLine) {
  // The first time it is broken in the body's first line; the second time that is what the error has to name.
  const Finished edited = Edit(absl::StrCat("if grep -q '^#: ERROR' \"$1\"; then\n",
                                            "  grep -n '^nonsense' \"$1\" >&2; sed -n 3p \"$1\" >&2\n  ", kToNever,
                                            "\nelse\n  sed -i '4i nonsense: 3' \"$1\"\nfi"));
  EXPECT_EQ(edited.exit_code, 0) << edited.err;
  EXPECT_THAT(edited.err, StartsWith("4:nonsense: 3\n#: ERROR: policy.textproto:4: "));
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("never"));
}

TEST_F(DaxvmmctlEditTest, WhoLeavesItWrongKeepsTheFile) {
  const Finished edited = Edit("grep -q '^#: ERROR' \"$1\" || echo 'nonsense: 3' >>\"$1\"");
  EXPECT_EQ(edited.exit_code, 2);
  EXPECT_THAT(edited.err, HasSubstr("it is still wrong: policy.textproto:"));
  const size_t at = edited.err.find("is kept: ");
  ASSERT_NE(at, std::string::npos) << edited.err;
  std::ifstream kept(edited.err.substr(at + 9, edited.err.size() - at - 10));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(kept), {}), HasSubstr("\nnonsense: 3\n"));
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
}

TEST_F(DaxvmmctlEditTest, AChangeMeanwhileIsNotLost) {
  // As somebody else does while the editor is open.
  const Finished edited =
      Edit(absl::StrCat("DAXVMM_CONTROL=", socket_->path(), " control/daxvmmctl policy set always >&2; ", kToNever));
  EXPECT_EQ(edited.exit_code, 1);
  EXPECT_THAT(edited.err, AllOf(HasSubstr("refused: ABORTED: somebody else has changed the policy meanwhile"),
                                HasSubstr("what you edited is kept: ")));
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("always"));
}

TEST_F(DaxvmmctlEditTest, AnEditorThatFailsChangesNothing) {
  const Finished edited = Edit(absl::StrCat(kToNever, "; exit 3"));
  EXPECT_EQ(edited.exit_code, 1);
  EXPECT_THAT(edited.err, HasSubstr("ended with status 3; what you edited is kept: "));
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
}

TEST_F(DaxvmmctlEditTest, AWatchedFileNeedsForce) {
  controller_.WatchFile("/etc/p");
  Finished edited = Edit(kToNever);
  EXPECT_EQ(edited.exit_code, 1);
  EXPECT_THAT(edited.err, AllOf(HasSubstr("/etc/p"), HasSubstr("--force")));
  edited = Edit(kToNever, {"--yes", "--force"});
  EXPECT_EQ(edited.exit_code, 0) << edited.err;
}

TEST_F(DaxvmmctlEditTest, AsksOnATerminal) {
  const std::vector<std::string> environment = {Editor(kToNever), "TMPDIR=" + Scratch(), "PATH=/usr/bin:/bin"};
  Finished edited = CtlOnTerminal({"policy", "edit"}, 80, environment, "n\n");
  EXPECT_EQ(edited.exit_code, 1);
  EXPECT_THAT(edited.err, AllOf(HasSubstr("Of 200 live files 1 would become DAX, and 101 would cease to be.\n"),
                                HasSubstr("Put this policy into force? [y/N] "), HasSubstr("nothing is changed")));
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
  edited = CtlOnTerminal({"policy", "edit"}, 80, environment, "y\n");
  EXPECT_EQ(edited.exit_code, 0) << edited.err;
  EXPECT_EQ(controller_.GetPolicy().generation, 2u);
  edited = Edit(kToNever, {});
  EXPECT_EQ(edited.exit_code, 2);
  EXPECT_THAT(edited.err, StartsWith("daxvmmctl: --yes: needed"));
}

TEST_F(DaxvmmctlEditTest, ADryRunChangesNothing) {
  const Finished dry = Ctl({"policy", "set", "never", "--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_EQ(dry.out,
            "Nothing is changed: policy generation 1 stays in force.\n"
            "Of 200 live files 1 would become DAX, and 101 would cease to be.\n"
            "The first 2 of them:\n"
            "SHARE  BECOMES  RULE     PATH\n"
            "data   dax      big      a\\x1b\n"
            "data   no-dax   default  b\n");
  EXPECT_EQ(controller_.GetPolicy().generation, 1u);
  EXPECT_THAT(Ctl({"policy", "set", "never", "--dry-run", "-o", "json"}).out, HasSubstr("\"losing\": \"101\""));
  EXPECT_EQ(Ctl({"policy", "set", "sometimes", "--dry-run"}).exit_code, 1);
}

TEST_F(DaxvmmctlEditTest, AnEtagIsOfOneGeneration) {
  const std::string etag = controller_.GetPolicy().etag;
  EXPECT_THAT(Ctl({"policy", "get", "-o", "wide"}).out, HasSubstr("\nEtag: " + etag + "\n"));
  EXPECT_EQ(Ctl({"policy", "set", "never", "--etag", etag}).exit_code, 0);
  const Finished stale = Ctl({"policy", "set", "always", "--etag", etag});
  EXPECT_EQ(stale.exit_code, 1);
  EXPECT_THAT(stale.err, AllOf(StartsWith("daxvmmctl: refused: ABORTED: "), HasSubstr("policy get")));
  EXPECT_EQ(Ctl({"policy", "override", "set", "--share", "data", "--dax", "no", "--etag", etag, "f"}).exit_code, 1);
}

TEST_F(DaxvmmctlEditTest, OverridesAreListedAlone) {
  ASSERT_EQ(Ctl({"policy", "override", "set", "--share", "data", "--dax", "no", "--ttl", "1h", "f"}).exit_code, 0);
  ASSERT_EQ(Ctl({"policy", "override", "set", "--share", "src", "--dax", "yes", "--note", "n", "g"}).exit_code, 0);
  EXPECT_EQ(Ctl({"policy", "override", "list"}).out,
            "Overrides: 2\n"
            "SHARE  DAX  EXPIRES    NOTE  FILE\n"
            "data   no   in 59 min  -     f\n"
            "src    yes  never      n     g\n");
  EXPECT_EQ(Ctl({"policy", "override", "list", "--share", "src", "--no-headers"}).out, "src  yes  never  n  g\n");
  const std::string json = Ctl({"policy", "override", "list", "--share", "src", "-o", "json"}).out;
  EXPECT_THAT(json, HasSubstr("\"path\": \"g\""));
  EXPECT_THAT(json, Not(HasSubstr("\"path\": \"f\"")));
}

TEST_F(DaxvmmctlEditTest, HistoryIsLimited) {
  for (const char* policy : {"never", "always", "size"}) ASSERT_EQ(Ctl({"policy", "set", policy}).exit_code, 0);
  const Finished history = Ctl({"policy", "history", "--limit", "2", "--no-headers"});
  EXPECT_THAT(history.out, StartsWith("3  20"));
  EXPECT_THAT(history.out, HasSubstr("\n4  20"));
}

}  // namespace
}  // namespace daxvmm::control
