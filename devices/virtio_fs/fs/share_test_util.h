// A share over a fresh directory, for tests that call the file system as the dispatcher would.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_TEST_UTIL_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_TEST_UTIL_H_

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {

inline constexpr fuse::RequestContext kRootCaller{.unique = 2};

inline fuse::RequestContext CallerWith(uid_t uid, gid_t gid) { return {.unique = 2, .uid = uid, .gid = gid}; }

// A POSIX ACL's attribute is a header and entries, put together with +.
inline std::string AclHeader(uint32_t version = 2) { return std::string(reinterpret_cast<const char*>(&version), 4); }
inline std::string AclEntry(uint16_t tag, uint16_t permissions, uint32_t id) {
  std::string entry(reinterpret_cast<const char*>(&tag), 2);
  entry.append(reinterpret_cast<const char*>(&permissions), 2);
  entry.append(reinterpret_cast<const char*>(&id), 4);
  return entry;
}

class ShareTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/share.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
    Serve({});
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0); }

  // A new server; the session has all flags that it offers.
  void Serve(ShareOptions options) {
    options.path = dir_;
    auto fs = PassthroughFs::Create(options, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
    fs_->Init(fs_->optional_init_flags());
  }
  bool serves_acls() const { return (fs_->optional_init_flags() & FUSE_POSIX_ACL) != 0; }

  std::string Host(const std::string& name) const { return dir_ + "/" + name; }
  bool Exists(const std::string& name) const { return access(Host(name).c_str(), F_OK) == 0; }
  struct stat HostStat(const std::string& name) const {
    struct stat st = {};
    EXPECT_EQ(lstat(Host(name).c_str(), &st), 0) << name;
    return st;
  }
  mode_t HostMode(const std::string& name) const { return HostStat(name).st_mode & 07777; }
  void HostFile(const std::string& name, mode_t mode = 0644) {
    const UniqueFd fd(open(Host(name).c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_EQ(fchmod(fd.get(), mode), 0) << name;
  }
  NodeId Look(const std::string& name) {
    const auto entry = fs_->Lookup(kRootCaller, kRootNode, name);
    EXPECT_TRUE(entry.ok()) << name;
    return NodeId(entry.ok() ? entry->nodeid : 0);
  }

  static fuse_create_in CreateIn(uint32_t mode, uint32_t umask = 0, uint32_t flags = O_RDWR | O_CREAT) {
    fuse_create_in in = {};
    in.flags = flags;
    in.mode = S_IFREG | mode;
    in.umask = umask;
    return in;
  }
  static fuse_mknod_in MkNodIn(uint32_t mode, uint32_t umask = 0) {
    fuse_mknod_in in = {};
    in.mode = mode;
    in.umask = umask;
    return in;
  }

  std::string dir_;
  std::unique_ptr<PassthroughFs> fs_;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_TEST_UTIL_H_
