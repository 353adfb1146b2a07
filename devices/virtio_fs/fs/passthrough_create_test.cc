// Whose a new inode is, with what mode, group, label and name, for every kind of caller and share.
#include <linux/filter.h>
#include <linux/posix_acl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cstddef>
#include <cstdio>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "devices/virtio_fs/fs/share_test_util.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::RequestContext;

class PassthroughCreateTest : public ShareTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ShareTest::SetUp();
    if (chown(dir_.c_str(), 1000, 1000) != 0) GTEST_SKIP() << "needs a user namespace with more than one user";
  }
  void TearDown() override {
    if (!dir_.empty()) ShareTest::TearDown();
  }

  // Every way to make something; each answers the error, and the new inode is `name`.
  struct Maker {
    const char* name;
    std::function<Errno(const RequestContext& ctx, const std::string& name, mode_t mode, mode_t umask)> make;
  };
  std::vector<Maker> Makers() {
    return {
        {"create", [this](const RequestContext& ctx, const std::string& name, mode_t mode,
                          mode_t umask) { return fs_->Create(ctx, kRootNode, name, CreateIn(mode, umask)).error(); }},
        {"mknod",
         [this](const RequestContext& ctx, const std::string& name, mode_t mode, mode_t umask) {
           return fs_->MkNod(ctx, kRootNode, name, MkNodIn(S_IFREG | mode, umask)).error();
         }},
        {"fifo",
         [this](const RequestContext& ctx, const std::string& name, mode_t mode, mode_t umask) {
           return fs_->MkNod(ctx, kRootNode, name, MkNodIn(S_IFIFO | mode, umask)).error();
         }},
        {"mkdir",
         [this](const RequestContext& ctx, const std::string& name, mode_t mode, mode_t umask) {
           return fs_->MkDir(ctx, kRootNode, name, {.mode = mode, .umask = umask}).error();
         }},
        {"tmpfile",
         [this](const RequestContext& ctx, const std::string& name, mode_t mode, mode_t umask) {
           const auto made = fs_->TmpFile(ctx, kRootNode, CreateIn(mode, umask, O_RDWR));
           return made.ok() ? fs_->Link(ctx, NodeId(made->entry.nodeid), kRootNode, name).error() : made.error();
         }},
        {"symlink", [this](const RequestContext& ctx, const std::string& name, mode_t,
                           mode_t) { return fs_->SymLink(ctx, kRootNode, name, "nowhere").error(); }},
    };
  }
  size_t HostEntries() const {
    size_t count = 0;
    FILE* list = popen(("ls -A " + dir_ + " | wc -l").c_str(), "r");
    EXPECT_EQ(fscanf(list, "%zu", &count), 1);
    pclose(list);
    return count;
  }
};

const RequestContext kUser = CallerWith(1000, 1000);

TEST_F(PassthroughCreateTest, TheUmaskIsTheServersToApplyOnlyWhereTheClientLeavesItThere) {
  for (const bool dont_mask : {true, false}) {
    fs_->Init(dont_mask ? FUSE_DONT_MASK : 0);
    for (const Maker& maker : Makers()) {
      if (maker.name == std::string("symlink")) continue;
      const std::string name = maker.name + std::to_string(dont_mask);
      ASSERT_EQ(maker.make(kUser, name, 0777, 027), Errno()) << name;
      EXPECT_EQ(HostMode(name), dont_mask ? 0750u : 0777u) << name;
      EXPECT_EQ(HostStat(name).st_uid, 1000u) << name;
      EXPECT_EQ(HostStat(name).st_gid, 1000u) << name;
    }
  }
}

// In a container that forbids unshare(2), new files would otherwise have no umask at all.
TEST_F(PassthroughCreateTest, TheUmaskStaysWithTheClientWhereThreadsCannotHaveTheirOwn) {
  EXPECT_NE(fs_->optional_init_flags() & FUSE_DONT_MASK, 0u);
  std::thread([this] {
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program = {std::size(code), code};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    Serve({});
    EXPECT_EQ(fs_->optional_init_flags() & (FUSE_DONT_MASK | FUSE_POSIX_ACL), 0u);
  }).join();
}

TEST_F(PassthroughCreateTest, ADefaultAclTakesThePlaceOfTheUmask) {
  const std::string acl = AclHeader() + AclEntry(ACL_USER_OBJ, 7, UINT32_MAX) + AclEntry(ACL_USER, 7, 1234) +
                          AclEntry(ACL_GROUP_OBJ, 7, UINT32_MAX) + AclEntry(ACL_MASK, 7, UINT32_MAX) +
                          AclEntry(ACL_OTHER, 5, UINT32_MAX);
  if (setxattr(dir_.c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0) != 0) GTEST_SKIP() << "no ACLs";
  for (const Maker& maker : Makers()) {
    if (maker.name == std::string("symlink")) continue;
    ASSERT_EQ(maker.make(kUser, maker.name, 0777, 077), Errno()) << maker.name;
    EXPECT_EQ(HostMode(maker.name), 0775u) << maker.name;
    EXPECT_GT(getxattr(Host(maker.name).c_str(), "system.posix_acl_access", nullptr, 0), 0) << maker.name;
  }
}

TEST_F(PassthroughCreateTest, SetGroupIdDirectory) {
  ASSERT_EQ(chown(dir_.c_str(), 0, 5555), 0);
  ASSERT_EQ(chmod(dir_.c_str(), 02777), 0);
  RequestContext in_group = kUser;
  in_group.supplementary_group = 5555;
  RequestContext in_another = kUser;
  in_another.supplementary_group = 6666;
  const struct {
    const char* who;
    RequestContext ctx;
    mode_t mode;
  } cases[] = {{"stranger", kUser, 0755},
               {"member", CallerWith(1000, 5555), 02755},
               {"supplementary", in_group, 02755},
               {"another", in_another, 0755},
               {"root", kRootCaller, 02755}};
  for (const auto& c : cases) {
    for (const Maker& maker : Makers()) {
      if (maker.name == std::string("symlink")) continue;
      const std::string name = std::string(c.who) + maker.name;
      ASSERT_EQ(maker.make(c.ctx, name, 02755, 0), Errno()) << name;
      EXPECT_EQ(HostStat(name).st_gid, 5555u) << name;
      EXPECT_EQ(HostMode(name), maker.name == std::string("mkdir") ? 02755 : c.mode) << name;
    }
  }
}

TEST_F(PassthroughCreateTest, MappedIds) {
  ShareOptions options;
  ASSERT_TRUE(options.uid_map.AddRange(0, 100000, 2000).ok());
  ASSERT_TRUE(options.gid_map.AddRange(0, 200000, 2000).ok());
  Serve(options);
  for (const Maker& maker : Makers()) {
    ASSERT_EQ(maker.make(kUser, maker.name, 0644, 0), Errno()) << maker.name;
    EXPECT_EQ(HostStat(maker.name).st_uid, 101000u) << maker.name;
    EXPECT_EQ(HostStat(maker.name).st_gid, 201000u) << maker.name;
    const auto entry = fs_->Lookup(kUser, kRootNode, maker.name);
    EXPECT_EQ(entry->attr.uid, 1000u) << maker.name;
    EXPECT_EQ(entry->attr.gid, 1000u) << maker.name;
    EXPECT_EQ(maker.make(CallerWith(2000, 0), "none", 0644, 0), Errno(EOVERFLOW)) << maker.name;
    EXPECT_EQ(maker.make(CallerWith(0, 2000), "none", 0644, 0), Errno(EOVERFLOW)) << maker.name;
    EXPECT_FALSE(Exists("none"));
  }
  ASSERT_EQ(fs_->MkNod(kRootCaller, kRootNode, "root", MkNodIn(S_IFREG | 0644)).error(), Errno());
  EXPECT_EQ(HostStat("root").st_uid, 100000u);

  HostFile("host");  // of an owner that the guest has no id for
  const auto host = fs_->Lookup(kUser, kRootNode, "host");
  EXPECT_EQ(host->attr.uid, kOverflowId);
  EXPECT_EQ(host->attr.gid, kOverflowId);
  fuse_setattr_in in = {};
  in.valid = FATTR_UID | FATTR_GID;
  in.uid = 7;
  in.gid = 8;
  EXPECT_EQ(fs_->SetAttr(kRootCaller, NodeId(host->nodeid), in)->attr.gid, 8u);
  EXPECT_EQ(HostStat("host").st_uid, 100007u);
  EXPECT_EQ(HostStat("host").st_gid, 200008u);
  in.uid = 2000;
  EXPECT_EQ(fs_->SetAttr(kRootCaller, NodeId(host->nodeid), in).error(), Errno(EOVERFLOW));
  in.valid = FATTR_GID;
  EXPECT_EQ(fs_->SetAttr(kRootCaller, NodeId(host->nodeid), in).error(), Errno());
  EXPECT_EQ(fs_->Unlink(CallerWith(2000, 2000), kRootNode, "host"), Errno()) << "needs no id";
}

TEST_F(PassthroughCreateTest, SquashedIds) {
  ShareOptions options;
  ASSERT_TRUE(options.uid_map.SetSquash(3000).ok());
  ASSERT_TRUE(options.gid_map.SetSquash(4000).ok());
  Serve(options);
  for (const RequestContext& who : {kUser, kRootCaller}) {
    for (const Maker& maker : Makers()) {
      const std::string name = maker.name + std::to_string(who.uid);
      ASSERT_EQ(maker.make(who, name, 0644, 0), Errno()) << name;
      EXPECT_EQ(HostStat(name).st_uid, 3000u) << name;
      EXPECT_EQ(HostStat(name).st_gid, 4000u) << name;
    }
  }
}

TEST_F(PassthroughCreateTest, LabelsAreThereFromTheStart) {
  RequestContext ctx = kUser;
  ctx.labels = {{"security.selinux", "label"}, {"security.other", "more"}};
  for (const Maker& maker : Makers()) {
    ASSERT_EQ(maker.make(ctx, maker.name, 0644, 0), Errno()) << maker.name;
    char value[16];
    EXPECT_EQ(lgetxattr(Host(maker.name).c_str(), "security.selinux", value, sizeof(value)), 5) << maker.name;
    EXPECT_EQ(lgetxattr(Host(maker.name).c_str(), "security.other", value, sizeof(value)), 4) << maker.name;
  }
  HostFile("there");
  ASSERT_EQ(fs_->Create(ctx, kRootNode, "there", CreateIn(0644, 0, O_RDONLY)).error(), Errno());
  EXPECT_EQ(getxattr(Host("there").c_str(), "security.selinux", nullptr, 0), -1) << "not new";
}

TEST_F(PassthroughCreateTest, LabelsFollowTheShareRules) {
  ShareOptions options;
  ASSERT_TRUE(options.xattr_map.AddRule("map:security.:trusted.guest.").ok());
  Serve(options);
  RequestContext ctx = kUser;
  ctx.labels = {{"security.selinux", "label"}};
  for (const Maker& maker : Makers()) {
    ASSERT_EQ(maker.make(ctx, maker.name, 0644, 0), Errno()) << maker.name;
    EXPECT_EQ(lgetxattr(Host(maker.name).c_str(), "trusted.guest.selinux", nullptr, 0), 5) << maker.name;
    EXPECT_EQ(lgetxattr(Host(maker.name).c_str(), "security.selinux", nullptr, 0), -1) << maker.name;
  }
}

TEST_F(PassthroughCreateTest, WhereTheRulesLeadToUserAttributesOnlyFilesAndDirectoriesHaveLabels) {
  ShareOptions options;
  ASSERT_TRUE(options.xattr_map.AddRule("map:security.:user.guest.").ok());
  Serve(options);
  RequestContext ctx = kUser;
  ctx.labels = {{"security.selinux", "label"}};
  for (const Maker& maker : Makers()) {
    ASSERT_EQ(maker.make(ctx, maker.name, 0644, 0), Errno()) << maker.name;
    const mode_t mode = HostStat(maker.name).st_mode;
    const ssize_t size = lgetxattr(Host(maker.name).c_str(), "user.guest.selinux", nullptr, 0);
    EXPECT_EQ(size, S_ISREG(mode) || S_ISDIR(mode) ? 5 : -1) << maker.name;
  }
}

// Of a process that may not set security.*.
TEST_F(PassthroughCreateTest, LabelsAreOfferedByWhoMaySetThem) {
  EXPECT_NE(fs_->optional_init_flags() & FUSE_SECURITY_CTX, 0u);
  std::thread([this] {
    ASSERT_EQ(syscall(SYS_setresuid, 1000, 1000, 1000), 0);
    Serve({});
    EXPECT_EQ(fs_->optional_init_flags() & FUSE_SECURITY_CTX, 0u);
    ShareOptions options;
    ASSERT_TRUE(options.xattr_map.AddRule("map:security.:user.guest.").ok());
    Serve(options);
    EXPECT_NE(fs_->optional_init_flags() & FUSE_SECURITY_CTX, 0u);
    RequestContext ctx = CallerWith(5, 5);
    ctx.labels = {{"security.selinux", "label"}};
    for (const Maker& maker : Makers()) {
      EXPECT_EQ(maker.make(ctx, maker.name, 0644, 0), Errno()) << maker.name;
      EXPECT_EQ(HostStat(maker.name).st_uid, 1000u) << maker.name;
    }
  }).join();
}

TEST_F(PassthroughCreateTest, WhatCannotBeLabelledIsNotMade) {
  ShareOptions options;
  ASSERT_TRUE(options.xattr_map.AddRule("deny:security.").ok());
  Serve(options);
  EXPECT_EQ(fs_->optional_init_flags() & FUSE_SECURITY_CTX, 0u);
  const std::string acl = AclHeader() + AclEntry(ACL_USER_OBJ, 7, UINT32_MAX) + AclEntry(ACL_GROUP_OBJ, 7, UINT32_MAX) +
                          AclEntry(ACL_OTHER, 7, UINT32_MAX);
  const std::vector<fuse::SecurityLabel> refused[] = {{{"security.selinux", "label"}},
                                                      {{"system.posix_acl_access", acl}},
                                                      {{"trusted.daxvmm.dax", "1"}},
                                                      {{"nonsense", "label"}, {"security.selinux", "label"}}};
  for (const auto& labels : refused) {
    RequestContext ctx = kUser;
    ctx.labels = labels;
    for (const Maker& maker : Makers()) {
      EXPECT_NE(maker.make(ctx, maker.name, 0644, 0), Errno()) << maker.name << " " << labels[0].name;
      EXPECT_EQ(HostEntries(), 0u) << maker.name << " " << labels[0].name;
    }
  }
  EXPECT_EQ(fs_->node_count(), 1u);
}

TEST_F(PassthroughCreateTest, WhereThereAreNoLabelsThereAreNone) {
  for (const bool xattr : {true, false}) {
    ShareOptions options;
    options.xattr = xattr;
    ASSERT_TRUE(options.xattr_map.AddRule("unsupported:security.").ok());
    Serve(options);
    EXPECT_EQ(fs_->optional_init_flags() & FUSE_SECURITY_CTX, 0u);
    RequestContext ctx = kUser;
    ctx.labels = {{"security.selinux", "label"}};
    for (const Maker& maker : Makers()) {
      const std::string name = maker.name + std::to_string(xattr);
      EXPECT_EQ(maker.make(ctx, name, 0644, 0), Errno()) << name;
      EXPECT_EQ(lgetxattr(Host(name).c_str(), "security.selinux", nullptr, 0), -1) << name;
    }
  }
}

TEST_F(PassthroughCreateTest, WhatTheGuestIsNotToldOfIsNotLeftBehind) {
  HostFile("there");
  Serve({.max_nodes = 1, .max_descriptors = 300});
  for (const Maker& maker : Makers()) {
    EXPECT_EQ(maker.make(kUser, "new", 0644, 0), Errno(ENFILE)) << maker.name;
    EXPECT_FALSE(Exists("new")) << maker.name;
  }
  EXPECT_EQ(fs_->Create(kUser, kRootNode, "there", CreateIn(0644, 0, O_RDONLY)).error(), Errno(ENFILE));
  EXPECT_TRUE(Exists("there")) << "not made by this request";

  Serve({.max_nodes = 100, .max_descriptors = 300});
  fuse_open_in open = {};
  const NodeId there = Look("there");
  while (fs_->Open(kRootCaller, there, open).ok()) {
  }
  EXPECT_EQ(fs_->Create(kUser, kRootNode, "new", CreateIn(0644)).error(), Errno(ENFILE));
  EXPECT_FALSE(Exists("new"));
  EXPECT_EQ(fs_->Create(kUser, kRootNode, "there", CreateIn(0644, 0, O_RDONLY)).error(), Errno(ENFILE));
  EXPECT_TRUE(Exists("there"));
}

TEST_F(PassthroughCreateTest, AFileWithoutANameMayGetOne) {
  const auto made = fs_->TmpFile(kUser, kRootNode, CreateIn(0640, 0, O_RDWR));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->entry.attr.nlink, 0u);
  EXPECT_EQ(HostEntries(), 0u);
  const NodeId node(made->entry.nodeid);
  const auto linked = fs_->Link(kUser, node, kRootNode, "named");
  ASSERT_TRUE(linked.ok());
  EXPECT_EQ(linked->nodeid, made->entry.nodeid);
  EXPECT_EQ(linked->attr.nlink, 1u);
  EXPECT_EQ(HostMode("named"), 0640u);
  for (const LiveNode& live : fs_->ListLiveNodes()) {
    if (live.node == node) {
      EXPECT_EQ(live.path, "named");
    }
  }
  EXPECT_EQ(fs_->Link(kUser, node, kRootNode, "named").error(), Errno(EEXIST));

  const auto private_file = fs_->TmpFile(kUser, kRootNode, CreateIn(0640, 0, O_RDWR | O_EXCL));
  ASSERT_TRUE(private_file.ok());
  EXPECT_EQ(fs_->Link(kUser, NodeId(private_file->entry.nodeid), kRootNode, "x").error(), Errno(ENOENT));
  EXPECT_EQ(fs_->TmpFile(kUser, kRootNode, CreateIn(0640, 0, O_RDONLY)).error(), Errno(EINVAL));
  EXPECT_EQ(fs_->TmpFile(kUser, node, CreateIn(0640, 0, O_RDWR)).error(), Errno(ENOTDIR));
  Serve({.read_only = true});
  EXPECT_EQ(fs_->TmpFile(kUser, kRootNode, CreateIn(0640, 0, O_RDWR)).error(), Errno(EROFS));
}

TEST_F(PassthroughCreateTest, AWhiteoutIsTheCallersInAStickyDirectoryToo) {
  ASSERT_EQ(chmod(dir_.c_str(), 01777), 0);
  HostFile("theirs");  // the guest's kernel let a caller with CAP_FOWNER, who is not the owner, rename it
  ASSERT_EQ(fs_->Rename(CallerWith(1001, 1001), kRootNode, "theirs", kRootNode, "moved", RENAME_WHITEOUT), Errno());
  const struct stat st = HostStat("theirs");
  EXPECT_TRUE(S_ISCHR(st.st_mode));
  EXPECT_EQ(st.st_rdev, makedev(0, 0));
  EXPECT_EQ(st.st_uid, 1001u);
  EXPECT_TRUE(Exists("moved"));
}

TEST_F(PassthroughCreateTest, ALinkOfASymbolicLinkIsTheLink) {
  const auto made = fs_->SymLink(kUser, kRootNode, "l", "nowhere");
  ASSERT_TRUE(made.ok());
  const auto linked = fs_->Link(kUser, NodeId(made->nodeid), kRootNode, "m");
  ASSERT_TRUE(linked.ok());
  EXPECT_EQ(HostStat("m").st_ino, HostStat("l").st_ino);
}

TEST_F(PassthroughCreateTest, AccessIsTheCallers) {
  HostFile("a", 0640);
  ASSERT_EQ(chown(Host("a").c_str(), 1000, 1000), 0);
  const NodeId a = Look("a");
  EXPECT_EQ(fs_->Access(kUser, a, R_OK | W_OK), Errno());
  EXPECT_EQ(fs_->Access(kUser, a, X_OK), Errno(EACCES));
  EXPECT_EQ(fs_->Access(CallerWith(1001, 1000), a, R_OK), Errno());
  EXPECT_EQ(fs_->Access(CallerWith(1001, 1000), a, W_OK), Errno(EACCES));
  EXPECT_EQ(fs_->Access(CallerWith(1001, 1001), a, R_OK), Errno(EACCES));
  EXPECT_EQ(fs_->Access(CallerWith(1001, 0), a, R_OK), Errno(EACCES)) << "root's group has no powers";
  EXPECT_EQ(fs_->Access(CallerWith(1001, 1001), a, F_OK), Errno());
  EXPECT_EQ(fs_->Access(kRootCaller, a, R_OK | W_OK), Errno());
  EXPECT_EQ(fs_->Access(kRootCaller, a, X_OK), Errno(EACCES)) << "nobody may execute it";
  EXPECT_EQ(fs_->Access(kUser, a, 8), Errno(EINVAL));
  EXPECT_EQ(fs_->Access(kUser, NodeId(4711), F_OK), Errno(ENOENT));
  ASSERT_EQ(mkfifo(Host("p").c_str(), 0666), 0);
  ASSERT_EQ(chmod(Host("p").c_str(), 0666), 0);
  Serve({.read_only = true});
  EXPECT_EQ(fs_->Access(kUser, Look("a"), R_OK), Errno());
  EXPECT_EQ(fs_->Access(kUser, Look("a"), W_OK), Errno(EROFS));
  EXPECT_EQ(fs_->Access(kUser, Look("p"), W_OK), Errno()) << "a FIFO is not written to in the file system";
}

TEST_F(PassthroughCreateTest, SubmountsAreAnnouncedWhereAgreed) {
  ASSERT_EQ(mkdir(Host("m").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(Host("d").c_str(), 0755), 0);
  // A mount namespace of a thread's own.
  std::thread([this] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("none", Host("m").c_str(), "ramfs", 0, nullptr), 0);
    ASSERT_EQ(mount(Host("d").c_str(), Host("d").c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(mkdir(Host("m/inner").c_str(), 0755), 0);
    for (const bool announce : {true, false}) {
      ShareOptions options;
      options.announce_submounts = announce;
      Serve(options);
      EXPECT_EQ((fs_->optional_init_flags() & FUSE_SUBMOUNTS) != 0, announce);
      const uint32_t expected = announce ? uint32_t{FUSE_ATTR_SUBMOUNT} : 0u;
      for (const char* name : {"m", "d"}) {
        const auto entry = fs_->Lookup(kRootCaller, kRootNode, name);
        EXPECT_EQ(entry->attr.flags, expected) << name;
        EXPECT_EQ(fs_->GetAttr(kRootCaller, NodeId(entry->nodeid), std::nullopt)->attr.flags, expected) << name;
      }
      EXPECT_EQ(fs_->Lookup(kRootCaller, Look("m"), "inner")->attr.flags, 0u);
      EXPECT_EQ(fs_->GetAttr(kRootCaller, kRootNode, std::nullopt)->attr.flags, 0u);
      fs_->Init(0);
      EXPECT_EQ(fs_->Lookup(kRootCaller, kRootNode, "m")->attr.flags, 0u) << "the client does not know of it";
    }
    // The share's root is a mount as well, but no submount.
    dir_ += "/d";
    Serve({.announce_submounts = true});
    EXPECT_EQ(fs_->GetAttr(kRootCaller, kRootNode, std::nullopt)->attr.flags, 0u);
    dir_.resize(dir_.size() - 2);
    fs_.reset();
  }).join();
}

}  // namespace
}  // namespace daxvmm::fs
