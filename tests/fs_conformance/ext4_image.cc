#include "tests/fs_conformance/ext4_image.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace daxvmm::conformance {
namespace {

// The message of a command that failed is in the log of the test.
bool Run(const std::string& command) { return system(("PATH=$PATH:/sbin:/usr/sbin; " + command).c_str()) == 0; }

}  // namespace

bool IsExt4(const std::string& path) {
  struct statfs st;
  return statfs(path.c_str(), &st) == 0 && st.f_type == EXT4_SUPER_MAGIC;
}

std::unique_ptr<Ext4Image> Ext4Image::Create(const std::string& below, int mebibytes, const std::string& mkfs_options,
                                             std::string* why_not) {
  if (geteuid() != 0) {
    *why_not = "an ext4 of the test's own needs root";
    return nullptr;
  }
  std::string directory = below + "/ext4.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr || chmod(directory.c_str(), 0755) != 0) {
    *why_not = directory + ": " + strerror(errno);
    return nullptr;
  }
  std::unique_ptr<Ext4Image> image(new Ext4Image(directory));
  const std::string file = directory + "/image";
  if (!Run("truncate -s " + std::to_string(mebibytes) + "M " + file) || !Run("mkdir " + image->mount_point_) ||
      !Run("mkfs.ext4 -q -F -I 256 " + mkfs_options + " " + file)) {
    *why_not = "mkfs.ext4 failed";
    return nullptr;
  }
  if (!Run("mount -o loop,acl,user_xattr " + file + " " + image->mount_point_)) {
    *why_not = "the image cannot be mounted: no loop devices?";
    return nullptr;
  }
  image->mounted_ = true;
  return image;
}

Ext4Image::~Ext4Image() {
  if (mounted_) umount2(mount_point_.c_str(), MNT_DETACH);
  // --one-file-system: should the unmount have failed, it is not the place to delete the files from.
  Run("rm -rf --one-file-system " + directory_);
}

}  // namespace daxvmm::conformance
