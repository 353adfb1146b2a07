// Extended attributes: what reaches the host under which name, and ACLs.
#include <linux/posix_acl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <set>
#include <thread>

#include "absl/strings/str_split.h"
#include "devices/virtio_fs/fs/posix_acl.h"
#include "devices/virtio_fs/fs/share_test_util.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

class PassthroughXattrTest : public ShareTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ShareTest::SetUp();
    HostFile("a");
  }
  void TearDown() override {
    if (!dir_.empty()) ShareTest::TearDown();
  }
  void ServeWithRules(std::initializer_list<const char*> rules) {
    ShareOptions options;
    for (const char* rule : rules) ASSERT_TRUE(options.xattr_map.AddRule(rule).ok()) << rule;
    Serve(options);
  }
  std::string HostValue(const std::string& name) const {
    char value[256];
    const ssize_t n = getxattr(Host("a").c_str(), name.c_str(), value, sizeof(value));
    return n < 0 ? "(none)" : std::string(value, static_cast<size_t>(n));
  }
  void SetOnHost(const std::string& name, const std::string& value) {
    ASSERT_EQ(setxattr(Host("a").c_str(), name.c_str(), value.data(), value.size(), 0), 0) << name << errno;
  }
  std::multiset<std::string> List(const fuse::RequestContext& ctx = kRootCaller) {
    const auto list = fs_->ListXattr(ctx, Look("a"));
    EXPECT_TRUE(list.ok());
    EXPECT_TRUE(list->empty() || list->back() == '\0');
    return absl::StrSplit(*list, '\0', absl::SkipEmpty());
  }
};

std::string AclWith(uint16_t tag, uint32_t id) {
  std::string named = AclEntry(tag, 6, id);
  const std::string group = AclEntry(ACL_GROUP_OBJ, 4, UINT32_MAX);
  return AclHeader() + AclEntry(ACL_USER_OBJ, 6, UINT32_MAX) + (tag == ACL_USER ? named + group : group + named) +
         AclEntry(ACL_MASK, 6, UINT32_MAX) + AclEntry(ACL_OTHER, 4, UINT32_MAX);
}

TEST_F(PassthroughXattrTest, NoneAtAll) {
  Serve({.xattr = false});
  const NodeId a = Look("a");
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "user.x", "1", 0, 0), Errno(ENOSYS));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "user.x").error(), Errno(ENOSYS));
  EXPECT_EQ(fs_->ListXattr(kRootCaller, a).error(), Errno(ENOSYS));
  EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, "user.x"), Errno(ENOSYS));
  EXPECT_EQ(fs_->optional_init_flags() & (FUSE_POSIX_ACL | FUSE_SECURITY_CTX), 0u);
}

TEST_F(PassthroughXattrTest, MappedNames) {
  ServeWithRules({"map:trusted.:user.guest.trusted.", "deny:user.secret", "unsupported:security."});
  SetOnHost("trusted.host", "h");
  SetOnHost("user.secret", "s");
  SetOnHost("user.plain", "p");
  SetOnHost("security.label", "l");
  const NodeId a = Look("a");
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "trusted.t", "1", 0, 0), Errno());
  EXPECT_EQ(HostValue("user.guest.trusted.t"), "1");
  EXPECT_EQ(HostValue("trusted.t"), "(none)");
  EXPECT_EQ(*fs_->GetXattr(kRootCaller, a, "trusted.t"), "1");
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "trusted.host").error(), Errno(ENODATA));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "user.guest.trusted.t").error(), Errno(ENODATA));
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "user.guest.trusted.t", "2", 0, 0), Errno(EPERM));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "user.secret").error(), Errno(ENODATA));
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "user.secret", "2", 0, 0), Errno(EPERM));
  EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, "user.secret"), Errno(EPERM));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "security.label").error(), Errno(EOPNOTSUPP));
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "security.label", "2", 0, 0), Errno(EOPNOTSUPP));
  const std::string too_long = "trusted." + std::string(245, 'x');
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, too_long, "2", 0, 0), Errno(ERANGE));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, too_long).error(), Errno(ENODATA));
  EXPECT_EQ(List(), (std::multiset<std::string>{"trusted.t", "user.plain"}));
  EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, "trusted.t"), Errno());
  EXPECT_EQ(HostValue("user.guest.trusted.t"), "(none)");
  EXPECT_EQ(HostValue("user.secret"), "s");
}

TEST_F(PassthroughXattrTest, TheDaxHintIsReachedInNoWay) {
  for (const char* name : {"trusted.daxvmm.dax", "user.daxvmm.dax"}) {
    SetOnHost(name, "1");
    const NodeId a = Look("a");
    EXPECT_EQ(fs_->GetXattr(kRootCaller, a, name).error(), Errno(ENODATA));
    EXPECT_EQ(fs_->SetXattr(kRootCaller, a, name, "0", 0, 0), Errno(EPERM));
    EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, name), Errno(EPERM));
    EXPECT_EQ(HostValue(name), "1");
  }
  EXPECT_EQ(List(), std::multiset<std::string>{});
  ServeWithRules({"map:user.g.:user."});
  EXPECT_EQ(fs_->SetXattr(kRootCaller, Look("a"), "user.g.daxvmm.dax", "0", 0, 0), Errno(EPERM));
  EXPECT_EQ(List(), std::multiset<std::string>{});
}

TEST_F(PassthroughXattrTest, TrustedNamesAreListedForRoot) {
  SetOnHost("trusted.t", "1");
  SetOnHost("user.u", "1");
  EXPECT_EQ(List(), (std::multiset<std::string>{"trusted.t", "user.u"}));
  EXPECT_EQ(List(CallerWith(1000, 1000)), (std::multiset<std::string>{"user.u"}));
}

TEST_F(PassthroughXattrTest, AclsGoWithTheirFlagAndWithNoRule) {
  if (!serves_acls()) GTEST_SKIP() << "no ACLs on this file system";
  EXPECT_NE(fs_->optional_init_flags() & FUSE_SETXATTR_EXT, 0u);
  ShareOptions options;
  options.posix_acl = false;
  Serve(options);
  EXPECT_FALSE(serves_acls());
  for (const char* rule : {"deny:system.", "unsupported:system.posix_acl_default", "map:system.:user.guest.system."}) {
    ServeWithRules({rule});
    EXPECT_FALSE(serves_acls()) << rule;
    EXPECT_NE(fs_->SetXattr(kRootCaller, Look("a"), kDefaultAcl, AclWith(ACL_USER, 7), 0, 0), Errno(EINVAL)) << rule;
    EXPECT_EQ(HostValue(kAccessAcl), "(none)") << rule;
  }
  // Another name for an ACL would go past the client's checks.
  ServeWithRules({"allow:system.", "map:user.acl.:system.posix_acl_"});
  EXPECT_TRUE(serves_acls());
  EXPECT_NE(fs_->SetXattr(kRootCaller, Look("a"), "user.acl.access", AclWith(ACL_USER, 7), 0, 0), Errno());
  EXPECT_EQ(HostValue(kAccessAcl), "(none)");
}

TEST_F(PassthroughXattrTest, AclsPassWhereTheClientChecksThem) {
  if (!serves_acls()) GTEST_SKIP() << "no ACLs on this file system";
  const NodeId a = Look("a");
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, kAccessAcl).error(), Errno(ENODATA));
  ASSERT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclWith(ACL_USER, 1234), 0, 0), Errno());
  EXPECT_EQ(HostValue(kAccessAcl), AclWith(ACL_USER, 1234));
  EXPECT_EQ(HostMode("a"), 0664u) << "the group's bits are the mask";
  EXPECT_EQ(*fs_->GetXattr(kRootCaller, a, kAccessAcl), AclWith(ACL_USER, 1234));
  EXPECT_EQ(List(), std::multiset<std::string>{kAccessAcl});
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclHeader() + "x", 0, 0), Errno(EINVAL));
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, "system.nfs4_acl", "x", 0, 0), Errno(EOPNOTSUPP));
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, "system.nfs4_acl").error(), Errno(EOPNOTSUPP));
  fs_->Init(0);
  EXPECT_EQ(fs_->GetXattr(kRootCaller, a, kAccessAcl).error(), Errno(EOPNOTSUPP));
  EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, kAccessAcl), Errno(EOPNOTSUPP));
  EXPECT_EQ(List(), std::multiset<std::string>{});
  fs_->Init(FUSE_POSIX_ACL);
  EXPECT_EQ(fs_->RemoveXattr(kRootCaller, a, kAccessAcl), Errno());
  EXPECT_EQ(HostValue(kAccessAcl), "(none)");
}

TEST_F(PassthroughXattrTest, IdsInAclsAreMapped) {
  if (!serves_acls()) GTEST_SKIP() << "no ACLs on this file system";
  ShareOptions options;
  ASSERT_TRUE(options.uid_map.AddRange(0, 100000, 2000).ok());
  ASSERT_TRUE(options.gid_map.AddRange(0, 200000, 2000).ok());
  Serve(options);
  const NodeId a = Look("a");
  ASSERT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclWith(ACL_USER, 7), 0, 0), Errno());
  EXPECT_EQ(HostValue(kAccessAcl), AclWith(ACL_USER, 100007));
  EXPECT_EQ(*fs_->GetXattr(kRootCaller, a, kAccessAcl), AclWith(ACL_USER, 7));
  ASSERT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclWith(ACL_GROUP, 7), 0, 0), Errno());
  EXPECT_EQ(HostValue(kAccessAcl), AclWith(ACL_GROUP, 200007));
  EXPECT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclWith(ACL_USER, 2000), 0, 0), Errno(EINVAL));
  EXPECT_EQ(HostValue(kAccessAcl), AclWith(ACL_GROUP, 200007));
}

TEST_F(PassthroughXattrTest, AnAclClearsTheSetGroupIdBitOfWhoIsNotInTheGroup) {
  if (!serves_acls()) GTEST_SKIP() << "no ACLs on this file system";
  const NodeId a = Look("a");
  for (const gid_t group : {gid_t{5555}, getegid()}) {
    for (const bool kill : {true, false}) {
      ASSERT_EQ(chown(Host("a").c_str(), 1000, group), 0);
      ASSERT_EQ(chmod(Host("a").c_str(), 02755), 0);
      const uint32_t flags = kill ? FUSE_SETXATTR_ACL_KILL_SGID : 0;
      ASSERT_EQ(fs_->SetXattr(kRootCaller, a, kAccessAcl, AclWith(ACL_USER, 7), 0, flags), Errno());
      EXPECT_EQ(HostMode("a") & S_ISGID, kill ? 0u : unsigned{S_ISGID}) << group;
      EXPECT_EQ(HostValue(kAccessAcl), AclWith(ACL_USER, 7)) << group;
    }
  }
}

// The client asks for the ACL of each directory on the way before it lets anybody in.
TEST_F(PassthroughXattrTest, AMountWithoutAclsHasNone) {
  if (!serves_acls()) GTEST_SKIP() << "no ACLs on this file system";
  ASSERT_EQ(mkdir(Host("m").c_str(), 0755), 0);
  std::thread([this] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("none", Host("m").c_str(), "ramfs", 0, nullptr), 0);
    Serve({});
    const NodeId m = Look("m");
    EXPECT_EQ(fs_->GetXattr(kRootCaller, m, kAccessAcl).error(), Errno(ENODATA));
    EXPECT_EQ(fs_->SetXattr(kRootCaller, m, kAccessAcl, AclWith(ACL_USER, 7), 0, 0), Errno(EOPNOTSUPP));
    fs_.reset();  // holds the mount
  }).join();
}

}  // namespace
}  // namespace daxvmm::fs
