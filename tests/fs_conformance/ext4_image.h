// An ext4 of its own, in an image file behind a loop device: for cases that are about ext4 where the temporary
// directory is on something else, or that need a file system of a certain size.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_EXT4_IMAGE_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_EXT4_IMAGE_H_

#include <memory>
#include <string>

namespace daxvmm::conformance {

class Ext4Image {
 public:
  // Makes and mounts one of `mebibytes`; `mkfs_options` are words for mkfs.ext4. Null, with a reason in `why_not`,
  // where the host cannot (not root, no mkfs.ext4, no loop devices). The files lie in the directory `below`.
  static std::unique_ptr<Ext4Image> Create(const std::string& below, int mebibytes, const std::string& mkfs_options,
                                           std::string* why_not);
  // Unmounts and deletes.
  ~Ext4Image();
  const std::string& path() const { return mount_point_; }  // where it is mounted

 private:
  explicit Ext4Image(std::string directory) : directory_(std::move(directory)), mount_point_(directory_ + "/mnt") {}

  const std::string directory_;
  const std::string mount_point_;
  bool mounted_ = false;
};

bool IsExt4(const std::string& path);

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_EXT4_IMAGE_H_
