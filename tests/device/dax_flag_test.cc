// FUSE_ATTR_DAX as the guest receives it: the same in every kind of reply, and only where it was agreed on.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using fakes::BytesOf;
using fakes::BytesOfName;
using fakes::Concatenate;

class DaxFlagTest : public DeviceFixture {
 protected:
  // The flag of every reply that carries attributes of the file `name`, each from a fresh request.
  void ExpectEverywhere(const std::string& name, uint32_t flag) {
    SCOPED_TRACE(name);
    const fuse_entry_out looked_up = Lookup(name);
    EXPECT_EQ(looked_up.attr.flags, flag) << "LOOKUP";
    EXPECT_EQ(Lookup(name).attr.flags, flag) << "LOOKUP again";
    EXPECT_EQ(GetAttr(looked_up.nodeid).flags, flag) << "GETATTR";
    int listed = 0;
    for (const PlusEntry& entry : ReadDirPlus(FUSE_ROOT_ID)) {
      if (entry.name != name) continue;
      ++listed;
      EXPECT_EQ(entry.entry.attr.flags, flag) << "READDIRPLUS";
    }
    EXPECT_EQ(listed, 1);
    fuse_create_in create = {};
    create.flags = O_RDONLY | O_CREAT;
    create.mode = S_IFREG | 0644;
    const FuseReply created = Ask(FUSE_CREATE, FUSE_ROOT_ID, Concatenate(BytesOf(create), BytesOfName(name)));
    EXPECT_EQ(created.As<fuse_entry_out>().attr.flags, flag) << "CREATE of what exists";
    const FuseReply linked =
        Ask(FUSE_LINK, FUSE_ROOT_ID, Concatenate(BytesOf(fuse_link_in{looked_up.nodeid}), BytesOfName(name + ".link")));
    EXPECT_EQ(linked.As<fuse_entry_out>().attr.flags, flag) << "LINK";
    fuse_setattr_in mode = {};
    mode.valid = FATTR_MODE;
    mode.mode = S_IFREG | 0600;
    EXPECT_EQ(Ask(FUSE_SETATTR, looked_up.nodeid, BytesOf(mode)).As<fuse_attr_out>().attr.flags, flag) << "SETATTR";
  }
};

TEST_F(DaxFlagTest, FollowsTheSizeThresholdInEveryReply) {
  Mount();
  MakeFile("below", ByteCount(32767));
  MakeFile("at", ByteCount(32768));
  MakeFile("above", ByteCount(32769));
  ExpectEverywhere("below", 0);
  ExpectEverywhere("at", FUSE_ATTR_DAX);
  ExpectEverywhere("above", FUSE_ATTR_DAX);
}

TEST_F(DaxFlagTest, IsNeverOnFilesWithPrivileges) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  for (const auto& [mode, flag] : {std::pair<mode_t, uint32_t>{0755, FUSE_ATTR_DAX},
                                   {S_ISUID | 0755, 0},
                                   {0755, FUSE_ATTR_DAX},
                                   {S_ISGID | 0755, 0},
                                   {S_ISGID | 0744, FUSE_ATTR_DAX}}) {
    ASSERT_EQ(chmod(HostPath("file").c_str(), mode), 0);
    EXPECT_EQ(GetAttr(node).flags, flag) << std::oct << mode;
    EXPECT_EQ(Lookup("file").attr.flags, flag) << std::oct << mode;
  }
}

TEST_F(DaxFlagTest, IsNeverOnFilesWithCapabilities) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_EQ(GetAttr(node).flags, uint32_t{FUSE_ATTR_DAX});
  // VFS_CAP_REVISION_2, and CAP_NET_RAW.
  const uint32_t capability[] = {0x02000001, 1u << 13, 0, 0, 0};
  if (setxattr(HostPath("file").c_str(), "security.capability", capability, sizeof(capability), 0) != 0) {
    GTEST_SKIP() << "may not give a file capabilities";
  }
  EXPECT_EQ(GetAttr(node).flags, 0u);
  ASSERT_EQ(removexattr(HostPath("file").c_str(), "security.capability"), 0);
  EXPECT_EQ(GetAttr(node).flags, uint32_t{FUSE_ATTR_DAX});
}

TEST_F(DaxFlagTest, IsNeverOnAnythingButRegularFiles) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always")});
  ASSERT_EQ(mkdir(HostPath("dir").c_str(), 0755), 0);
  ASSERT_EQ(symlink("file", HostPath("link").c_str()), 0);
  ASSERT_EQ(mkfifo(HostPath("fifo").c_str(), 0644), 0);
  MakeFile("file", "x");
  EXPECT_EQ(GetAttr(FUSE_ROOT_ID).flags, 0u);
  for (const std::string name : {"dir", "link", "fifo"}) {
    const fuse_entry_out entry = Lookup(name);
    EXPECT_EQ(entry.attr.flags, 0u) << name;
    EXPECT_EQ(GetAttr(entry.nodeid).flags, 0u) << name;
  }
  EXPECT_EQ(Lookup("file").attr.flags, uint32_t{FUSE_ATTR_DAX});
  for (const PlusEntry& entry : ReadDirPlus(FUSE_ROOT_ID)) {
    EXPECT_EQ(entry.entry.attr.flags, entry.name == "file" ? uint32_t{FUSE_ATTR_DAX} : 0u) << entry.name;
  }
  const FuseReply made = Ask(FUSE_MKDIR, FUSE_ROOT_ID, Concatenate(BytesOf(fuse_mkdir_in{0755, 0}), BytesOfName("d2")));
  EXPECT_EQ(made.As<fuse_entry_out>().attr.flags, 0u);
}

TEST_F(DaxFlagTest, IsWithheldWhereTheMountDoesNotGoByIt) {
  Start({.policy = *dax::ParsePolicyName("always")});
  MakeFile("file", KiB(64));
  for (const MountFlags& mount : {kAlwaysMount, kNeverMount, kNoWindowMount}) {
    ASSERT_EQ(Init(mount).error, 0);
    const fuse_entry_out entry = Lookup("file");
    EXPECT_EQ(entry.attr.flags, 0u);
    EXPECT_EQ(GetAttr(entry.nodeid).flags, 0u);
  }
  ASSERT_EQ(Init(kPerFileMount).error, 0);
  EXPECT_EQ(Lookup("file").attr.flags, uint32_t{FUSE_ATTR_DAX});
}

TEST_F(DaxFlagTest, IsWithheldWithoutAWindow) {
  // The claim to have found a window is the client's word only.
  Mount(kPerFileMount, {.window = false, .policy = *dax::ParsePolicyName("always")});
  MakeFile("file", KiB(64));
  const fuse_entry_out entry = Lookup("file");
  EXPECT_EQ(entry.attr.flags, 0u);
  EXPECT_EQ(GetAttr(entry.nodeid).flags, 0u);
  EXPECT_EQ(SetupMapping(entry.nodeid, 0, 0, FUSE_SETUPMAPPING_FLAG_READ).error, ENOSYS);
}

TEST_F(DaxFlagTest, AFlippedPolicyShowsInTheNextReply) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  MakeFile("file", KiB(64));
  const fuse_entry_out entry = Lookup("file");
  EXPECT_EQ(entry.attr.flags, 0u);
  const auto generation = policy_->Set(*dax::ParsePolicyName("always"));
  ASSERT_TRUE(generation.ok());
  EXPECT_EQ(*generation, 2u);
  EXPECT_EQ(GetAttr(entry.nodeid).flags, uint32_t{FUSE_ATTR_DAX});
  std::vector<LiveFile> files = device_->ListFiles();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].report.policy.dax);
  EXPECT_EQ(files[0].report.told_dax, false) << "the guest's inode was made before the flip";
  EXPECT_EQ(files[0].report.told_generation, 1u);

  ASSERT_TRUE(policy_->Set(*dax::ParsePolicyName("never")).ok());
  EXPECT_EQ(GetAttr(entry.nodeid).flags, 0u);
  Forget(entry.nodeid, 1);
  ASSERT_TRUE(policy_->Set(*dax::ParsePolicyName("always")).ok());
  EXPECT_EQ(Lookup("file").attr.flags, uint32_t{FUSE_ATTR_DAX});
  files = device_->ListFiles();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].report.told_dax, true);
  EXPECT_EQ(files[0].report.told_generation, 4u);
}

TEST_F(DaxFlagTest, AFileThatGrowsPastTheThresholdGetsIt) {
  Mount();
  fuse_create_in create = {};
  create.flags = O_RDWR | O_CREAT;
  create.mode = S_IFREG | 0644;
  const FuseReply created = Ask(FUSE_CREATE, FUSE_ROOT_ID, Concatenate(BytesOf(create), BytesOfName("file")));
  const auto entry = created.As<fuse_entry_out>();
  EXPECT_EQ(entry.attr.flags, 0u);
  const uint64_t fh = created.As<fuse_open_out>(sizeof(fuse_entry_out)).fh;
  EXPECT_EQ(Write(entry.nodeid, fh, 0, std::string(32768, 'w')).error, 0);
  EXPECT_EQ(GetAttr(entry.nodeid).flags, uint32_t{FUSE_ATTR_DAX});
}

}  // namespace
}  // namespace daxvmm::virtio_fs
