// Ring 5: what the rules, the overrides, the quota and the enforcement of a policy come to in a Linux guest. Each claim
// rests on the mappings and the FUSE_READ requests that daxvmm counted.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/linux/linux_fixture.h"

namespace daxvmm::linux_test {
namespace {

constexpr uint32_t kDaxFlag = 0x02000000;  // FS_DAX_FL
constexpr absl::Duration kDeadline = absl::Seconds(60);

v1::Rule* AddRule(v1::SetPolicyRequest* request, const std::string& name, v1::Outcome outcome) {
  v1::Rule* const rule = request->mutable_policy()->add_rules();
  rule->set_name(name);
  rule->set_outcome(outcome);
  return rule;
}

v1::SetPolicyRequest Default(v1::Outcome outcome) {
  v1::SetPolicyRequest request;
  request.mutable_policy()->set_default_outcome(outcome);
  return request;
}

absl::StatusOr<v1::ExplainFileResponse> Explain(Machine& machine, const std::string& path,
                                                const std::string& share = kTag) {
  v1::ExplainFileRequest request;
  request.set_share(share);
  request.set_path(path);
  return machine.control->ExplainFile(request);
}

// The guest reads all of the file, and it is DAX or not, by that rule, on both sides and in fact.
void ReadAndExpect(Machine& machine, const std::string& share_dir, const std::string& name, bool dax,
                   const std::string& rule, const std::string& tag = kTag,
                   const std::string& mount_point = kMountPoint) {
  SCOPED_TRACE(absl::StrCat(tag, ": ", name));
  ASSERT_OK(ReadInGuest(machine, absl::StrCat(mount_point, "/", name), absl::StrCat(share_dir, "/", name)));
  const absl::StatusOr<FileView> view = Observe(machine, name, tag, mount_point);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->guest_dax, dax);
  EXPECT_EQ(view->host.told_dax(), dax);
  EXPECT_EQ(view->host.decision_dax(), dax);
  EXPECT_EQ(view->host.decision_rule(), rule);
  EXPECT_EQ(view->host.convergence(), v1::CONVERGENCE_CONVERGED);
  EXPECT_EQ(view->host.setup_mappings(), dax ? Chunks(view->guest_size) : 0u);
  EXPECT_EQ(view->host.reads() == 0, dax) << view->host.reads();
  const absl::StatusOr<v1::ExplainFileResponse> why = Explain(machine, name, tag);
  ASSERT_OK(StatusOf(why));
  EXPECT_TRUE(why->live());
  EXPECT_EQ(why->decision_dax(), dax);
  ASSERT_GT(why->steps_size(), 0);
  EXPECT_EQ(why->steps(why->steps_size() - 1).rule(), rule);
  EXPECT_TRUE(why->steps(why->steps_size() - 1).matched());
}

constexpr uint64_t kRuleFileSize = 64 << 10;

TEST_F(LinuxTest, EachConditionOfARuleDecides) {
  struct Case {
    const char* name;
    const char* rule;
  };
  // Each beside one that the condition just misses.
  constexpr Case kCases[] = {{"rules/lib/a/b.so", "glob"},    {"rules/lib/a/b.so.txt", "default"},
                             {"rules/deep/x/y", "subtree"},   {"rules/deeper", "default"},
                             {"rules/doc.pdf", "extension"},  {"rules/pdf", "default"},
                             {"rules/owned", "owner"},        {"rules/owned-not", "default"},
                             {"rules/program", "executable"}, {"rules/hinted", "hint"}};
  for (const char* dir : {"rules", "rules/lib", "rules/lib/a", "rules/deep", "rules/deep/x"}) {
    mkdir(HostPath(dir).c_str(), 0755);
  }
  for (const Case& one : kCases) ASSERT_OK(WriteFile(HostPath(one.name), kRuleFileSize));
  ASSERT_EQ(chown(HostPath("rules/owned").c_str(), 1234, 1), 0);
  ASSERT_EQ(chown(HostPath("rules/owned-not").c_str(), 1236, 1), 0);
  ASSERT_EQ(chmod(HostPath("rules/program").c_str(), 0755), 0);

  v1::SetPolicyRequest policy = Default(v1::OUTCOME_NO_DAX);
  AddRule(&policy, "glob", v1::OUTCOME_DAX)->add_paths("rules/lib/**/*.so");
  AddRule(&policy, "subtree", v1::OUTCOME_DAX)->add_subtrees("rules/deep");
  AddRule(&policy, "extension", v1::OUTCOME_DAX)->add_extensions("pdf");
  v1::Rule* const owner = AddRule(&policy, "owner", v1::OUTCOME_DAX);
  owner->mutable_owner_uid()->set_first(1230);
  owner->mutable_owner_uid()->set_last(1235);
  AddRule(&policy, "executable", v1::OUTCOME_DAX)->set_executable(true);
  AddRule(&policy, "hint", v1::OUTCOME_DAX)->set_dax_hint(true);
  ASSERT_OK(StatusOf(control().SetPolicy(policy)));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("daxtool setflags ", GuestPath("rules/hinted"), " ", kDaxFlag, " 0"))));
  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  for (const Case& one : kCases) {
    ReadAndExpect(*machine_, HostDir(kTag), one.name, one.rule != absl::string_view("default"), one.rule);
  }

  policy = Default(v1::OUTCOME_NO_DAX);
  AddRule(&policy, "read-only", v1::OUTCOME_DAX)->set_read_only_share(true);
  ASSERT_OK(StatusOf(control().SetPolicy(policy)));
  ASSERT_OK(Mount("dax=inode", kReadOnlyTag, kReadOnlyMountPoint));
  ReadAndExpect(*machine_, HostDir(kTag), "rules/pdf", true, "read-only", kReadOnlyTag, kReadOnlyMountPoint);
}

TEST_F(LinuxTest, EachOutcomeDecides) {
  for (const char* name : {"out-dax", "out-no-dax", "out-hint", "out-hint-set", "out-adaptive"}) {
    ASSERT_OK(WriteFile(HostPath(name), 1 << 20));
  }
  ASSERT_OK(WriteFile(HostPath("out-adaptive-small"), 4096));
  v1::SetPolicyRequest policy = Default(v1::OUTCOME_NO_DAX);
  AddRule(&policy, "is", v1::OUTCOME_DAX)->add_paths("out-dax");
  AddRule(&policy, "is-not", v1::OUTCOME_NO_DAX)->add_paths("out-no-dax");
  AddRule(&policy, "follows", v1::OUTCOME_FOLLOW_HINT)->add_paths("out-hint*");
  AddRule(&policy, "adapts", v1::OUTCOME_ADAPTIVE)->add_paths("out-adaptive*");
  ASSERT_OK(StatusOf(control().SetPolicy(policy)));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("daxtool setflags ", GuestPath("out-hint-set"), " ", kDaxFlag, " 0"))));
  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  ReadAndExpect(*machine_, HostDir(kTag), "out-dax", true, "is");
  ReadAndExpect(*machine_, HostDir(kTag), "out-no-dax", false, "is-not");
  ReadAndExpect(*machine_, HostDir(kTag), "out-hint", false, "follows");
  ReadAndExpect(*machine_, HostDir(kTag), "out-hint-set", true, "follows");
  ReadAndExpect(*machine_, HostDir(kTag), "out-adaptive", true, "adapts");
  ReadAndExpect(*machine_, HostDir(kTag), "out-adaptive-small", false, "adapts");
  absl::StatusOr<v1::ExplainFileResponse> why = Explain(*machine_, "out-adaptive");
  ASSERT_OK(StatusOf(why));
  EXPECT_TRUE(absl::StartsWith(why->decision_reason(), "granted: new file")) << why->decision_reason();
  why = Explain(*machine_, "out-adaptive-small");
  ASSERT_OK(StatusOf(why));
  EXPECT_TRUE(absl::StartsWith(why->decision_reason(), "denied: with 4096 bytes")) << why->decision_reason();
}

TEST_F(LinuxTest, ASetIdFileIsNeverDaxWhateverSaysSo) {
  ASSERT_OK(WriteFile(HostPath("set-id"), kRuleFileSize));
  ASSERT_EQ(chmod(HostPath("set-id").c_str(), 04755), 0);
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  v1::SetFileOverrideRequest request;
  request.mutable_override()->set_share(kTag);
  request.mutable_override()->set_path("set-id");
  request.mutable_override()->set_outcome(v1::OUTCOME_DAX);
  ASSERT_OK(StatusOf(control().SetFileOverride(request)));
  ASSERT_OK(Mount("dax=inode"));
  ReadAndExpect(*machine_, HostDir(kTag), "set-id", false, "builtin:set-id");
  v1::ClearFileOverrideRequest clear;
  clear.set_share(kTag);
  clear.set_path("set-id");
  ASSERT_OK(StatusOf(control().ClearFileOverride(clear)));
}

TEST_F(LinuxTest, AnOverrideByPathRunsOutAndTheGuestFollows) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("never")));
  ASSERT_OK(Mount("dax=inode"));
  ASSERT_OK(Read(kLargeFile));
  v1::SetFileOverrideRequest request;
  request.mutable_override()->set_share(kTag);
  request.mutable_override()->set_path(kLargeFile.name);
  request.mutable_override()->set_outcome(v1::OUTCOME_DAX);
  request.mutable_override()->mutable_ttl()->set_seconds(3600);
  const absl::StatusOr<v1::SetFileOverrideResponse> set = control().SetFileOverride(request);
  ASSERT_OK(StatusOf(set));
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, true));
  ReadAndExpect(*machine_, HostDir(kTag), kLargeFile.name, true, "override");
  absl::StatusOr<FileView> view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_TRUE(view->host.overridden());
  EXPECT_EQ(view->host.told_generation(), set->generation());
  ASSERT_OK(Read(kFiles[4]));
  ExpectDax(kFiles[4], false);

  // The same for half a second.
  request.mutable_override()->mutable_ttl()->set_seconds(0);
  request.mutable_override()->mutable_ttl()->set_nanos(500'000'000);
  ASSERT_OK(StatusOf(control().SetFileOverride(request)));
  const absl::Time until = absl::Now() + kDeadline;
  absl::StatusOr<v1::GetPolicyResponse> policy = control().GetPolicy();
  while (policy.ok() && policy->source().kind() != v1::PolicySource::KIND_EXPIRY && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(20));
    policy = control().GetPolicy();
  }
  ASSERT_OK(StatusOf(policy));
  EXPECT_EQ(policy->source().kind(), v1::PolicySource::KIND_EXPIRY) << "waited in vain for the override to run out";
  EXPECT_EQ(policy->generation(), set->generation() + 2);
  EXPECT_EQ(policy->overrides_size(), 0);
  const absl::StatusOr<v1::ListPolicyHistoryResponse> history = control().ListPolicyHistory();
  ASSERT_OK(StatusOf(history));
  EXPECT_EQ(history->entries(history->entries_size() - 1).source().kind(), v1::PolicySource::KIND_EXPIRY);
  ASSERT_OK(WaitForDax(*machine_, kLargeFile.name, false));
  view = Observe(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.decision_rule(), "default");
  EXPECT_EQ(view->host.told_generation(), policy->generation());
}

TEST_F(LinuxTest, AnOverrideByNodeDecidesForThatFileAlone) {
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode"));
  // Held open: a node that the guest forgets takes the override with it.
  ASSERT_OK(StatusOf(guest().Check(absl::StrCat("exec 3<", GuestPath(kLargeFile.name)))));
  const absl::StatusOr<std::optional<v1::LiveFile>> file = FindFile(*machine_, kTag, kLargeFile.name);
  ASSERT_OK(StatusOf(file));
  ASSERT_TRUE(file->has_value());
  v1::SetFileOverrideRequest request;
  request.mutable_override()->set_share(kTag);
  request.mutable_override()->set_node_id((*file)->node_id());
  request.mutable_override()->set_outcome(v1::OUTCOME_NO_DAX);
  ASSERT_OK(StatusOf(control().SetFileOverride(request)));
  const absl::StatusOr<v1::ExplainFileResponse> why = Explain(*machine_, kLargeFile.name);
  ASSERT_OK(StatusOf(why));
  EXPECT_EQ(why->decision_rule(), "override");
  EXPECT_FALSE(why->decision_dax());
  EXPECT_EQ(why->told_dax(), true);
  ASSERT_OK(Read(kFiles[4]));
  ExpectDax(kFiles[4], true);
  ASSERT_OK(StatusOf(guest().Check("exec 3<&-")));
}

// The quota is on what the guest has mapped: files that it was told of go on mapping, others are not told any more.
TEST_F(LinuxTest, AQuotaKeepsFurtherFilesFromBecomingDaxUntilRangesComeBack) {
  const std::string host = HostDir(kQuotaTag);
  ASSERT_OK(WriteFile(absl::StrCat(host, "/two"), 2 * kChunk));
  ASSERT_OK(WriteFile(absl::StrCat(host, "/four"), kQuotaChunks * kChunk));
  ASSERT_OK(WriteFile(absl::StrCat(host, "/late"), 1 << 20));
  ASSERT_OK(StatusOf(control().SetNamedPolicy("always")));
  ASSERT_OK(Mount("dax=inode", kQuotaTag, kQuotaMountPoint));
  const auto path = [](const char* name) { return absl::StrCat(kQuotaMountPoint, "/", name); };
  // Told DAX, nothing of it mapped yet.
  absl::StatusOr<FileView> two = Observe(*machine_, "two", kQuotaTag, kQuotaMountPoint);
  ASSERT_OK(StatusOf(two));
  EXPECT_TRUE(two->guest_dax);
  ReadAndExpect(*machine_, host, "four", true, "default", kQuotaTag, kQuotaMountPoint);
  absl::StatusOr<v1::Window> window = WindowOf(*machine_, kQuotaTag);
  ASSERT_OK(StatusOf(window));
  EXPECT_EQ(window->quota_bytes(), kQuotaChunks * kChunk);
  EXPECT_EQ(window->mapped_chunks(), kQuotaChunks);
  EXPECT_TRUE(window->quota_reached());
  ReadAndExpect(*machine_, host, "late", false, "builtin:window-quota", kQuotaTag, kQuotaMountPoint);

  ASSERT_OK(ReadInGuest(*machine_, path("two"), absl::StrCat(host, "/two")));
  two = Observe(*machine_, "two", kQuotaTag, kQuotaMountPoint);
  ASSERT_OK(StatusOf(two));
  EXPECT_TRUE(two->guest_dax);
  EXPECT_TRUE(two->host.decision_dax());
  EXPECT_EQ(two->host.setup_mappings(), 2u);
  EXPECT_EQ(two->host.reads(), 0u);

  ASSERT_OK(StatusOf(guest().Check("echo 2 >/proc/sys/vm/drop_caches")));
  const absl::Time until = absl::Now() + kDeadline;
  while ((window = WindowOf(*machine_, kQuotaTag)).ok() && window->mapped_chunks() != 0 && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  ASSERT_OK(StatusOf(window));
  EXPECT_EQ(window->mapped_chunks(), 0u) << "waited in vain for the guest to give its ranges back";
  ReadAndExpect(*machine_, host, "late", true, "default", kQuotaTag, kQuotaMountPoint);
}

std::string Try(const std::string& name, const std::string& operations) {
  return absl::StrCat("daxtool try ", GuestPath(name), " ", operations);
}

TEST_F(LinuxTest, DenyRefusesWhatTheGuestMapsAgainstThePolicyAndServesItAgainWithoutARemount) {
  constexpr uint64_t kSize = 3 << 20;
  ASSERT_OK(WriteFile(HostPath("denied"), kSize));
  v1::SetPolicyRequest deny = Default(v1::OUTCOME_NO_DAX);
  deny.mutable_policy()->set_enforcement(v1::ENFORCEMENT_DENY);
  ASSERT_OK(StatusOf(control().SetPolicy(deny)));
  ASSERT_OK(Mount("dax=always"));
  const absl::StatusOr<v1::Window> before = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(before));
  absl::StatusOr<CommandResult> tried =
      guest().Run(Try("denied", "read-page write-page load-shared sendfile append truncate"));
  ASSERT_OK(StatusOf(tried));
  EXPECT_TRUE(absl::StrContains(tried->output, "read-page EPERM")) << tried->output;
  EXPECT_TRUE(absl::StrContains(tried->output, "write-page EPERM")) << tried->output;
  EXPECT_TRUE(absl::StrContains(tried->output, "load-shared SIGBUS")) << tried->output;
  EXPECT_TRUE(absl::StrContains(tried->output, "sendfile EPERM")) << tried->output;
  EXPECT_TRUE(absl::StrContains(tried->output, "append ok")) << tried->output;
  EXPECT_TRUE(absl::StrContains(tried->output, "truncate ok")) << tried->output;
  absl::StatusOr<FileView> view = Observe(*machine_, "denied");
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.reads(), 0u);
  EXPECT_EQ(view->host.setup_mappings(), 0u);
  EXPECT_GE(view->host.mapped_against_policy(), 4u);
  EXPECT_EQ(view->host.writes(), 1u);  // the append
  const absl::StatusOr<v1::Window> denied = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(denied));
  EXPECT_GE(denied->denied(), before->denied() + 4);
  EXPECT_EQ(denied->against_policy(), before->against_policy());
  EXPECT_EQ(denied->mapped_chunks(), 0u);
  const absl::StatusOr<HostResult> shown =
      RunDaxvmmctl(TestEnvironment(), *machine_, absl::StrCat("window -o wide --share ", kTag));
  ASSERT_OK(StatusOf(shown));
  bool found = false;
  for (const absl::string_view line : absl::StrSplit(shown->output, '\n')) {
    if (!absl::StrContains(line, "denied")) continue;
    found = true;
    EXPECT_TRUE(absl::EndsWith(line, absl::StrCat(" ", denied->denied()))) << shown->output;
  }
  EXPECT_TRUE(found) << shown->output;

  // Advisory serves it, and counts.
  ASSERT_OK(StatusOf(control().SetPolicy(Default(v1::OUTCOME_NO_DAX))));
  ASSERT_OK(ReadInGuest(*machine_, GuestPath("denied"), HostPath("denied")));
  const absl::StatusOr<v1::Window> advised = WindowOf(*machine_, kTag);
  ASSERT_OK(StatusOf(advised));
  EXPECT_EQ(advised->denied(), denied->denied());
  EXPECT_EQ(advised->against_policy(), denied->against_policy() + Chunks(kSize));

  // What the policy allows, deny does not concern.
  ASSERT_OK(StatusOf(control().SetPolicy(deny)));
  EXPECT_EQ(guest().Check(Try(kLargeFile.name, "read-page")).value_or(""), "read-page EPERM");
  v1::SetPolicyRequest allow = Default(v1::OUTCOME_DAX);
  allow.mutable_policy()->set_enforcement(v1::ENFORCEMENT_DENY);
  ASSERT_OK(StatusOf(control().SetPolicy(allow)));
  ASSERT_OK(Read(kLargeFile));
  ExpectDax(kLargeFile, true);
}

}  // namespace
}  // namespace daxvmm::linux_test
