// A kernel or initramfs file, read straight into guest memory.
#ifndef DAXVMM_VMM_BOOT_BOOT_FILE_H_
#define DAXVMM_VMM_BOOT_BOOT_FILE_H_

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm::boot {

// A regular file that is not empty, open for reading. Its size is that of the moment it was opened: a file cut shorter
// later makes the reads fail, one that grows changes nothing. Every error's text starts with the file's name.
class [[nodiscard]] BootFile {
 public:
  // INVALID_ARGUMENT if it is not a regular file or is empty; else the code of open's errno.
  static absl::StatusOr<BootFile> Open(const std::string& path);
  // The same for a descriptor that is open already; `name` is for error texts.
  static absl::StatusOr<BootFile> FromFd(UniqueFd fd, std::string name);

  const std::string& name() const { return name_; }
  ByteCount size() const { return size_; }

  // Whether [from, from + length) lies in the file; safe for any input.
  bool Contains(FileOffset from, ByteCount length) const;

  // Fills `to`. OUT_OF_RANGE if the file ends before, or the code of pread's errno.
  absl::Status Read(FileOffset from, std::span<std::byte> to) const;

  // Reads [from, from + length) into guest memory at `to`. Beside Read's errors, INTERNAL if that is not RAM.
  absl::Status ReadToGuest(FileOffset from, ByteCount length, const memory::GuestMemory& memory,
                           GuestPhysAddr to) const;

  // INVALID_ARGUMENT with `reason` behind the file's name.
  absl::Status Refuse(absl::string_view reason) const;

 private:
  BootFile(UniqueFd fd, std::string name, ByteCount size) : fd_(std::move(fd)), name_(std::move(name)), size_(size) {}
  absl::Status EndsEarly() const;

  UniqueFd fd_;
  std::string name_;
  ByteCount size_;
};

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_BOOT_FILE_H_
