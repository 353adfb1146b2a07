// The ioctls of chattr(1) as clients send them: the numbers and sizes of 64-bit and of 32-bit programs, what Linux
// makes of them, and what only a hostile client sends.
#include <linux/fs.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio_fs/fs/share_test_util.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

// The hint is kept in memory, so that nothing here depends on what the host can store.
class PassthroughIoctlTest : public ShareTest {
 protected:
  void SetUp() override {
    ShareTest::SetUp();
    Serve({.dax_hint_store = DaxHintStore::kMemory});
    HostFile("file");
    ASSERT_EQ(mkdir(Host("dir").c_str(), 0755), 0);
  }

  Result<std::string> Ask(const std::string& name, uint64_t cmd, const std::string& input, uint32_t out_size,
                          uint32_t flags = 0) {
    fuse_ioctl_in in = {};
    in.cmd = static_cast<uint32_t>(cmd);
    in.flags = flags;
    in.in_size = static_cast<uint32_t>(input.size());
    in.out_size = out_size;
    return fs_->Ioctl(kRootCaller, Look(name), in, input);
  }
  static std::string Bytes(uint64_t value, size_t size) {
    return std::string(reinterpret_cast<const char*>(&value), size);
  }
  template <typename T>
  static std::string BytesOf(const T& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  bool HasHint(const std::string& name) {
    const Result<std::string> flags = Ask(name, FS_IOC_GETFLAGS, "", 4);
    EXPECT_TRUE(flags.ok()) << name;
    uint32_t value = 0;
    if (flags.ok()) std::memcpy(&value, flags->data(), sizeof(value));
    return (value & FS_DAX_FL) != 0;
  }
  fsxattr Attributes(const std::string& name) {
    const Result<std::string> reply = Ask(name, FS_IOC_FSGETXATTR, "", sizeof(fsxattr));
    fsxattr attributes = {};
    EXPECT_TRUE(reply.ok() && reply->size() == sizeof(attributes));
    if (reply.ok()) std::memcpy(&attributes, reply->data(), sizeof(attributes));
    return attributes;
  }
};

struct Form {
  uint64_t get, set;
  uint32_t size;
  uint32_t flags;
};
const std::vector<Form> kForms = {
    // Linux, whose VFS takes the ioctl apart and sends an int with either number.
    {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, 4, 0},
    // A client that goes by the size in the number.
    {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, 8, 0},
    // A 32-bit program, of a kernel that does not know the ioctl.
    {FS_IOC32_GETFLAGS, FS_IOC32_SETFLAGS, 4, FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT},
};

TEST_F(PassthroughIoctlTest, FlagsComeAndGoInEveryForm) {
  for (const std::string name : {"file", "dir"}) {
    for (const Form& form : kForms) {
      SCOPED_TRACE(name + ", number " + std::to_string(form.get) + ", size " + std::to_string(form.size));
      const uint32_t of_kind = form.flags | (name == "dir" ? FUSE_IOCTL_DIR : 0);
      const Result<std::string> before = Ask(name, form.get, "", form.size, of_kind);
      ASSERT_TRUE(before.ok());
      ASSERT_EQ(before->size(), form.size);
      uint64_t flags = 0;
      std::memcpy(&flags, before->data(), form.size);
      EXPECT_EQ(flags & FS_DAX_FL, 0u);
      EXPECT_EQ(flags >> 32, 0u);

      const Result<std::string> set = Ask(name, form.set, Bytes(flags | FS_DAX_FL, form.size), 0, of_kind);
      ASSERT_TRUE(set.ok());
      EXPECT_EQ(*set, "");
      EXPECT_EQ(Ask(name, form.get, "", form.size, of_kind).ok(), true);
      EXPECT_EQ(*Ask(name, form.get, "", form.size, of_kind), Bytes(flags | FS_DAX_FL, form.size));
      EXPECT_EQ(Attributes(name).fsx_xflags & FS_XFLAG_DAX, uint32_t{FS_XFLAG_DAX});
      ASSERT_TRUE(Ask(name, form.set, Bytes(flags, form.size), 0, of_kind).ok());
      EXPECT_FALSE(HasHint(name));
    }
  }
}

TEST_F(PassthroughIoctlTest, AttributesComeAndGo) {
  for (const std::string name : {"file", "dir"}) {
    SCOPED_TRACE(name);
    fsxattr attributes = Attributes(name);
    EXPECT_EQ(attributes.fsx_xflags & FS_XFLAG_DAX, 0u);
    attributes.fsx_xflags |= FS_XFLAG_DAX;
    EXPECT_TRUE(Ask(name, FS_IOC_FSSETXATTR, BytesOf(attributes), 0).ok());
    EXPECT_TRUE(HasHint(name));
    attributes.fsx_xflags &= ~uint32_t{FS_XFLAG_DAX};
    EXPECT_TRUE(Ask(name, FS_IOC_FSSETXATTR, BytesOf(attributes), 0).ok());
    EXPECT_FALSE(HasHint(name));
  }
}

TEST_F(PassthroughIoctlTest, WrongSizesAreEinvalAndChangeNothing) {
  for (const uint32_t size : {0u, 1u, 3u, 5u, 7u, 9u, 27u, 29u, 4096u}) {
    SCOPED_TRACE(size);
    for (const Form& form : kForms) {
      EXPECT_EQ(Ask("file", form.get, "", size).error(), Errno(EINVAL));
      EXPECT_EQ(Ask("file", form.set, std::string(size, '\xff'), 0).error(), Errno(EINVAL));
    }
    EXPECT_EQ(Ask("file", FS_IOC_FSGETXATTR, "", size).error(), Errno(EINVAL));
    EXPECT_EQ(Ask("file", FS_IOC_FSSETXATTR, std::string(size, '\xff'), 0).error(), Errno(EINVAL));
  }
  EXPECT_FALSE(HasHint("file"));
}

TEST_F(PassthroughIoctlTest, WhatTheOperatorDidNotMakeSettableIsNot) {
  const Result<std::string> before = Ask("file", FS_IOC_GETFLAGS, "", 4);
  ASSERT_TRUE(before.ok());
  uint32_t flags = 0;
  std::memcpy(&flags, before->data(), sizeof(flags));
  for (const uint32_t flag : {FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL, FS_NOATIME_FL, FS_SYNC_FL, FS_COMPR_FL}) {
    EXPECT_EQ(Ask("file", FS_IOC_SETFLAGS, Bytes(flags | flag | FS_DAX_FL, 4), 0).error(), Errno(EOPNOTSUPP)) << flag;
  }
  for (uint32_t fsxattr::* member : {&fsxattr::fsx_extsize, &fsxattr::fsx_projid, &fsxattr::fsx_cowextsize}) {
    fsxattr attributes = Attributes("file");
    attributes.*member += 1;
    attributes.fsx_xflags |= FS_XFLAG_DAX;
    EXPECT_EQ(Ask("file", FS_IOC_FSSETXATTR, BytesOf(attributes), 0).error(), Errno(EOPNOTSUPP));
  }
  EXPECT_FALSE(HasHint("file")) << "half of it was done";
  EXPECT_EQ(*Ask("file", FS_IOC_GETFLAGS, "", 4), *before);
}

TEST_F(PassthroughIoctlTest, OtherNumbersAreEnotty) {
  // TCGETS of isatty(3), FIFREEZE, EXT4_IOC_SWAP_BOOT, FS_IOC_GETVERSION, and the right number with another direction.
  for (const uint64_t cmd : {uint64_t{0x5401}, uint64_t{FIFREEZE}, uint64_t{_IO('f', 17)}, uint64_t{FS_IOC_GETVERSION},
                             uint64_t{_IO('f', 1)}, uint64_t{0}, uint64_t{UINT32_MAX}}) {
    EXPECT_EQ(Ask("file", cmd, "", 4).error(), Errno(ENOTTY)) << cmd;
  }
}

TEST_F(PassthroughIoctlTest, OnlyFilesAndDirectoriesHaveFlags) {
  ASSERT_EQ(symlink("file", Host("link").c_str()), 0);
  ASSERT_EQ(mkfifo(Host("fifo").c_str(), 0644), 0);
  for (const std::string name : {"link", "fifo"}) {
    EXPECT_EQ(Ask(name, FS_IOC_GETFLAGS, "", 4).error(), Errno(ENOTTY)) << name;
    EXPECT_EQ(Ask(name, FS_IOC_SETFLAGS, Bytes(FS_DAX_FL, 4), 0).error(), Errno(ENOTTY)) << name;
  }
  fuse_ioctl_in in = {};
  in.cmd = FS_IOC_GETFLAGS;
  in.out_size = 4;
  EXPECT_FALSE(fs_->Ioctl(kRootCaller, NodeId(12345), in, "").ok());
}

TEST_F(PassthroughIoctlTest, ReadOnlyShareShowsAndKeeps) {
  Serve({.read_only = true, .dax_hint_store = DaxHintStore::kMemory});
  EXPECT_FALSE(HasHint("file"));
  EXPECT_EQ(Ask("file", FS_IOC_SETFLAGS, Bytes(FS_DAX_FL, 4), 0).error(), Errno(EROFS));
  EXPECT_EQ(Ask("file", FS_IOC_FSSETXATTR, BytesOf(Attributes("file")), 0).error(), Errno(EROFS));
  EXPECT_FALSE(HasHint("file"));
}

}  // namespace
}  // namespace daxvmm::fs
