// Ring 5: a machine that follows a policy file, in the ways in which files are changed under it. A machine of its own,
// since the file is named at start.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {
namespace {

constexpr absl::Duration kReloadDeadline = absl::Seconds(60);

std::string DefaultOf(v1::Outcome outcome) {
  return absl::StrCat("default_outcome: ", v1::Outcome_Name(outcome), "\n");
}

void Put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

class LinuxPolicyFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const Environment& environment = TestEnvironment();
    dir_ = environment.workdir + "/config";
    share_ = environment.workdir + "/followed";
    mkdir(dir_.c_str(), 0755);
    mkdir(share_.c_str(), 0755);
    ASSERT_OK(WriteFile(share_ + "/file", 1 << 20));
    file_ = dir_ + "/policy.textproto";
    Put(file_, DefaultOf(v1::OUTCOME_NO_DAX));
    GuestOptions options;
    options.memory = "256M";
    options.shares = {absl::StrCat("path=", share_, ",tag=", kTag, ",dax-window=16M")};
    options.flags = {"--policy-file", file_};
    absl::StatusOr<Machine> machine = BootMachine(environment, options);
    ASSERT_OK(StatusOf(machine));
    machine_ = *std::move(machine);
    ASSERT_OK(StatusOf(machine_.guest->Check(absl::StrCat("mount -t virtiofs -o dax=inode ", kTag, " ", kMountPoint))));
  }

  absl::StatusOr<v1::GetPolicyResponse> Get() { return machine_.control->GetPolicy(); }

  // Waits for a generation that comes from the file and has that default; returns its number, 0 after a failure.
  uint64_t AwaitFile(v1::Outcome outcome, uint64_t after) {
    const absl::Time until = absl::Now() + kReloadDeadline;
    absl::StatusOr<v1::GetPolicyResponse> policy = Get();
    while (policy.ok() && absl::Now() < until) {
      if (policy->generation() > after && policy->source().kind() == v1::PolicySource::KIND_FILE &&
          policy->policy().default_outcome() == outcome && !policy->watched_file().has_load_error()) {
        EXPECT_EQ(policy->watched_file().path(), file_);
        return policy->generation();
      }
      absl::SleepFor(absl::Milliseconds(20));
      policy = Get();
    }
    ADD_FAILURE() << "waited in vain for the file's policy: " << (policy.ok() ? policy->ShortDebugString() : "");
    return 0;
  }

  std::string dir_;
  std::string share_;
  std::string file_;
  Machine machine_;
};

TEST_F(LinuxPolicyFileTest, EachWayToChangeTheFileIsSeenAndTheGuestFollows) {
  absl::StatusOr<v1::GetPolicyResponse> policy = Get();
  ASSERT_OK(StatusOf(policy));
  EXPECT_EQ(policy->generation(), 1u);
  ASSERT_OK(WaitForDax(machine_, "file", false));

  // In place.
  Put(file_, DefaultOf(v1::OUTCOME_DAX));
  uint64_t generation = AwaitFile(v1::OUTCOME_DAX, 1);
  ASSERT_NE(generation, 0u);
  ASSERT_OK(WaitForDax(machine_, "file", true));
  ASSERT_OK(ReadInGuest(machine_, absl::StrCat(kMountPoint, "/file"), share_ + "/file"));
  absl::StatusOr<FileView> view = Observe(machine_, "file");
  ASSERT_OK(StatusOf(view));
  EXPECT_EQ(view->host.told_generation(), generation);
  EXPECT_EQ(view->host.setup_mappings(), 1u);
  EXPECT_EQ(view->host.reads(), 0u);

  // By a rename over it.
  Put(dir_ + "/new", DefaultOf(v1::OUTCOME_NO_DAX));
  ASSERT_EQ(rename((dir_ + "/new").c_str(), file_.c_str()), 0);
  generation = AwaitFile(v1::OUTCOME_NO_DAX, generation);
  ASSERT_NE(generation, 0u);

  // By the links of a ConfigMap: policy.textproto -> ..data/policy.textproto, ..data -> ..1.
  for (const char* version : {"/..1", "/..2"}) mkdir((dir_ + version).c_str(), 0755);
  Put(dir_ + "/..1/policy.textproto", DefaultOf(v1::OUTCOME_FOLLOW_HINT));
  Put(dir_ + "/..2/policy.textproto", DefaultOf(v1::OUTCOME_DAX));
  ASSERT_EQ(symlink("..1", (dir_ + "/..data").c_str()), 0);
  ASSERT_EQ(symlink("..data/policy.textproto", (dir_ + "/link").c_str()), 0);
  ASSERT_EQ(rename((dir_ + "/link").c_str(), file_.c_str()), 0);
  generation = AwaitFile(v1::OUTCOME_FOLLOW_HINT, generation);
  ASSERT_NE(generation, 0u);
  ASSERT_OK(WaitForDax(machine_, "file", false));
  ASSERT_EQ(symlink("..2", (dir_ + "/..data_tmp").c_str()), 0);
  ASSERT_EQ(rename((dir_ + "/..data_tmp").c_str(), (dir_ + "/..data").c_str()), 0);
  generation = AwaitFile(v1::OUTCOME_DAX, generation);
  ASSERT_NE(generation, 0u);
  ASSERT_OK(WaitForDax(machine_, "file", true));

  // A wrong one is refused, and the old one stays in force.
  Put(dir_ + "/..2/policy.textproto", "rules {\n  name: \"x\"\n  size_blow: 1\n}\n");
  const absl::Time until = absl::Now() + kReloadDeadline;
  while ((policy = Get()).ok() && !absl::StrContains(policy->watched_file().load_error(), "size_blow") &&
         absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  ASSERT_OK(StatusOf(policy));
  EXPECT_TRUE(absl::StrContains(policy->watched_file().load_error(), "size_blow")) << policy->ShortDebugString();
  EXPECT_EQ(policy->generation(), generation);
  EXPECT_EQ(policy->policy().default_outcome(), v1::OUTCOME_DAX);

  // While a file is watched, nobody else sets a policy but by force, and the file's next change wins.
  v1::SetPolicyRequest request;
  request.set_named_policy("never");
  EXPECT_EQ(machine_.control->SetPolicy(request).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get()->generation(), generation);
  request.set_force(true);
  const absl::StatusOr<uint64_t> forced = machine_.control->SetPolicy(request);
  ASSERT_OK(StatusOf(forced));
  ASSERT_OK(WaitForDax(machine_, "file", false));
  // Not what it last had that was right: that would be no change.
  Put(dir_ + "/..2/policy.textproto", "# later\n" + DefaultOf(v1::OUTCOME_DAX));
  ASSERT_NE(AwaitFile(v1::OUTCOME_DAX, *forced), 0u);
  ASSERT_OK(WaitForDax(machine_, "file", true));
  const absl::StatusOr<int> status = machine_.guest->Shutdown();
  ASSERT_OK(StatusOf(status));
  EXPECT_EQ(*status, 0);
}

}  // namespace
}  // namespace daxvmm::linux_test
