#include "devices/virtio_fs/fs/host_handle.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

// A struct file_handle with room for the longest.
union LongestHandle {
  file_handle head;
  char room[sizeof(file_handle) + MAX_HANDLE_SZ];
};

// Newer kernels let lesser privileges open handles too, but then refuse files whose directory the caller may not
// search.
bool MayOpenAnyHandle() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_DAC_READ_SEARCH / 32].effective & (1u << (CAP_DAC_READ_SEARCH % 32))) != 0;
}

}  // namespace

HostHandle::HostHandle(HostHandle&& other) noexcept
    : size_(std::exchange(other.size_, 0)), type_(other.type_), storage_(other.storage_) {}

HostHandle& HostHandle::operator=(HostHandle&& other) noexcept {
  std::swap(size_, other.size_);
  std::swap(type_, other.type_);
  std::swap(storage_, other.storage_);
  return *this;
}

HostHandle::~HostHandle() {
  if (size_ > kInPlace) delete[] bytes();
}

const std::byte* HostHandle::bytes() const {
  if (size_ <= kInPlace) return storage_.data();
  const std::byte* block;
  memcpy(&block, storage_.data(), sizeof(block));
  return block;
}

Result<HostHandle> HostHandle::Of(int fd) {
  LongestHandle longest = {};
  longest.head.handle_bytes = MAX_HANDLE_SZ;
  int mount;
  if (name_to_handle_at(fd, "", &longest.head, &mount, AT_EMPTY_PATH) != 0) {
    return errno == EOVERFLOW ? Errno(EOPNOTSUPP) : Errno::Last();
  }
  const size_t size = longest.head.handle_bytes;
  if (size == 0 || size > MAX_HANDLE_SZ || longest.head.handle_type < 0 || longest.head.handle_type > UINT8_MAX) {
    return Errno(EOPNOTSUPP);
  }
  HostHandle handle;
  handle.size_ = static_cast<uint8_t>(size);
  handle.type_ = static_cast<uint8_t>(longest.head.handle_type);
  if (size <= kInPlace) {
    memcpy(handle.storage_.data(), longest.head.f_handle, size);
  } else {
    auto* block = new std::byte[size];
    memcpy(block, longest.head.f_handle, size);
    memcpy(handle.storage_.data(), &block, sizeof(block));
  }
  return handle;
}

bool HostHandle::operator==(const HostHandle& other) const {
  return size_ == other.size_ && type_ == other.type_ && memcmp(bytes(), other.bytes(), size_) == 0;
}

Result<UniqueFd> HostHandle::Open(int mount_fd) const {
  LongestHandle longest = {};
  longest.head.handle_bytes = size_;
  longest.head.handle_type = type_;
  memcpy(longest.head.f_handle, bytes(), size_);
  // O_PATH: no device, FIFO or lease learns of it.
  const int fd = open_by_handle_at(mount_fd, &longest.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoOfOpen();
  return UniqueFd(fd);
}

bool ForgetsHandles(int fd) {
  struct statfs st;
  if (fstatfs(fd, &st) != 0) return true;
  return st.f_type == FUSE_SUPER_MAGIC || st.f_type == MSDOS_SUPER_MAGIC;
}

Result<UniqueFd> OpenMountForHandles(int fd) {
  if (!MayOpenAnyHandle() || ForgetsHandles(fd)) return Errno(EOPNOTSUPP);
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) return Errno(EOPNOTSUPP);
  Result<UniqueFd> mount = Reopen(fd, S_IFDIR, O_RDONLY);
  if (!mount.ok()) return mount;
  const Result<HostHandle> handle = HostHandle::Of(fd);
  if (!handle.ok()) return Errno(EOPNOTSUPP);
  const Result<UniqueFd> again = handle->Open((*mount).get());
  struct stat found;
  if (!again.ok() || fstat((*again).get(), &found) != 0) return Errno(EOPNOTSUPP);
  if (found.st_dev != st.st_dev || found.st_ino != st.st_ino) return Errno(EOPNOTSUPP);
  return mount;
}

}  // namespace daxvmm::fs
