// What a policy would change, foretold: the same as what the list of files says once it is in force.
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <map>
#include <string>
#include <vector>

#include "devices/virtio_fs/dax/policy_names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class PreviewTest : public DeviceFixture {
 protected:
  void Populate() {
    MakeFile("small", ByteCount(100));
    MakeFile("large", KiB(256));
    MakeFile("lib.so", KiB(40));
    MakeFile("set-id", KiB(64));
    ASSERT_EQ(chmod(HostPath("set-id").c_str(), 04755), 0);
    MakeFile("tool", KiB(64));
    ASSERT_EQ(chmod(HostPath("tool").c_str(), 0755), 0);
    ASSERT_EQ(mkdir(HostPath("dir").c_str(), 0755), 0);
    MakeFile("dir/inner", KiB(64));
    for (const char* name : {"small", "large", "lib.so", "set-id", "tool"}) Lookup(name);
    Lookup("inner", Lookup("dir").nodeid);
  }

  std::map<std::string, bool> Listed() {
    std::map<std::string, bool> decisions;
    for (const LiveFile& file : device_->ListFiles()) decisions[file.path] = file.report.policy.dax;
    return decisions;
  }

  // The decisions and deciding rules of the files that would change.
  std::map<std::string, std::string> Foretold(const dax::Policy& policy, uint64_t* looked_at) {
    const auto candidate = policy_->WouldSet(policy, {});
    EXPECT_TRUE(candidate.ok()) << candidate.status();
    std::map<std::string, std::string> changed;
    *looked_at = device_->ComparePolicy(**candidate, [&](const ChangedFile& file) {
      changed[file.path()] = (file.would_be_dax ? "dax by " : "no dax by ") + file.rule;
    });
    return changed;
  }

  // Foretells the policy, sets it, and compares with the list.
  void Try(const dax::Policy& policy) {
    const std::map<std::string, bool> before = Listed();
    const uint64_t generation = policy_->generation();
    uint64_t looked_at = 0;
    const std::map<std::string, std::string> foretold = Foretold(policy, &looked_at);
    EXPECT_EQ(looked_at, before.size());
    EXPECT_EQ(Listed(), before) << "asking changes nothing";
    EXPECT_EQ(policy_->generation(), generation);
    ASSERT_TRUE(policy_->Set(policy).ok());
    std::map<std::string, std::string> came;
    for (const LiveFile& file : device_->ListFiles()) {
      if (before.at(file.path) == file.report.policy.dax) continue;
      came[file.path] = (file.report.policy.dax ? "dax by " : "no dax by ") + file.report.policy.rule;
    }
    EXPECT_EQ(foretold, came);
  }
};

TEST_F(PreviewTest, ForetellsWhatTheListThenSays) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  Populate();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(policy_->SetOverride({.share_tag = device_->tag(), .file = std::string("small"), .dax = true}, {}).ok());
  std::vector<dax::Policy> policies;
  for (const char* name : {"always", "size", "inode", "executables-and-libraries", "never", "size:50K"}) {
    policies.push_back(*dax::ParsePolicyName(name));
  }
  policies.push_back({.rules = {{.name = "below dir", .subtrees = {"dir"}, .outcome = dax::Outcome::kDax},
                                {.name = "libraries", .extensions = {"so"}, .outcome = dax::Outcome::kDax}},
                      .default_outcome = dax::Outcome::kNoDax});
  policies.push_back({.rules = {{.name = "not here", .share_tag = "other", .outcome = dax::Outcome::kNoDax}},
                      .default_outcome = dax::Outcome::kDax});
  for (const dax::Policy& from : policies) {
    for (const dax::Policy& to : policies) {
      Try(from);
      Try(to);
    }
  }
}

TEST_F(PreviewTest, NamesTheRuleThatWouldDecide) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  Populate();
  if (HasFatalFailure()) return;
  uint64_t looked_at = 0;
  EXPECT_THAT(Foretold({.rules = {{.name = "big", .size_at_least = KiB(200), .outcome = dax::Outcome::kDax}},
                        .default_outcome = dax::Outcome::kNoDax},
                       &looked_at),
              ElementsAre(Pair("large", "dax by big")));
  EXPECT_EQ(looked_at, 6u);
  EXPECT_THAT(Foretold(*dax::ParsePolicyName("never"), &looked_at), IsEmpty());
}

// Under "never" nobody asks for a file's capabilities; what would become DAX has to be asked then.
TEST_F(PreviewTest, AFileWithCapabilitiesWouldNotBecomeDax) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  MakeFile("ping", KiB(64));
  vfs_cap_data capabilities = {};
  capabilities.magic_etc = VFS_CAP_REVISION_2;
  capabilities.data[0].permitted = 1u << CAP_NET_RAW;
  if (setxattr(HostPath("ping").c_str(), "security.capability", &capabilities, sizeof(capabilities), 0) != 0) {
    GTEST_SKIP() << "security.capability cannot be set here";
  }
  Lookup("ping");
  Try(*dax::ParsePolicyName("always"));
  EXPECT_EQ(Listed()["ping"], false);
}

TEST_F(PreviewTest, GlancesShowWhatTheListShows) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("size:50K")});
  Populate();
  if (HasFatalFailure()) return;
  std::map<std::string, LiveFile> list;
  for (LiveFile& file : device_->ListFiles()) list[file.path] = std::move(file);
  size_t seen = 0;
  device_->VisitFiles([&](const LiveFileGlance& glance) {
    ++seen;
    const std::string path = glance.path();
    ASSERT_TRUE(list.contains(path)) << path;
    const LiveFile& file = list[path];
    EXPECT_EQ(glance.node, file.node);
    EXPECT_EQ(glance.state.dax, file.report.policy.dax) << path;
    EXPECT_EQ(glance.state.told_dax, file.report.told_dax) << path;
    EXPECT_EQ(glance.state.convergence.what, file.report.convergence.what) << path;
    EXPECT_EQ(glance.state.size, file.size) << path;
    EXPECT_EQ(device_->FindFile(glance.node)->path, path);
    EXPECT_EQ(device_->NodeAt(path), glance.node);
    EXPECT_EQ(device_->PathOf(glance.node), path);
  });
  EXPECT_EQ(seen, list.size());
  EXPECT_FALSE(device_->FindFile(NodeId(12345)).has_value());
  EXPECT_FALSE(device_->FindFile(NodeId(FUSE_ROOT_ID)).has_value()) << "no regular file";
  EXPECT_FALSE(device_->NodeAt("nothing").has_value());
  EXPECT_EQ(device_->PathOf(NodeId(12345)), "");
}

}  // namespace
}  // namespace daxvmm::virtio_fs
