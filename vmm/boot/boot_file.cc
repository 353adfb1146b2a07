#include "vmm/boot/boot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace daxvmm::vmm::boot {

absl::StatusOr<BootFile> BootFile::Open(const std::string& path) {
  // O_NONBLOCK: a FIFO must not hold up the start until somebody writes to it.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  return FromFd(std::move(fd), path);
}

absl::StatusOr<BootFile> BootFile::FromFd(UniqueFd fd, std::string name) {
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, name);
  BootFile file(std::move(fd), std::move(name), ByteCount(static_cast<uint64_t>(st.st_size)));
  if (S_ISDIR(st.st_mode)) return file.Refuse("is a directory");
  if (!S_ISREG(st.st_mode)) return file.Refuse("is not a regular file");
  if (st.st_size <= 0) return file.Refuse("is empty");
  return file;
}

bool BootFile::Contains(FileOffset from, ByteCount length) const {
  const std::optional<FileOffset> end = CheckedAdd(from, length);
  return end.has_value() && end->raw() <= size_.raw();
}

absl::Status BootFile::Read(FileOffset from, std::span<std::byte> to) const {
  if (!Contains(from, ByteCount(to.size()))) return EndsEarly();
  while (!to.empty()) {
    const ssize_t got = pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(from.raw()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, name_);
    if (got == 0) return EndsEarly();
    to = to.subspan(static_cast<size_t>(got));
    from += ByteCount(static_cast<uint64_t>(got));
  }
  return absl::OkStatus();
}

absl::Status BootFile::ReadToGuest(FileOffset from, ByteCount length, const memory::GuestMemory& memory,
                                   GuestPhysAddr to) const {
  if (!Contains(from, length)) return EndsEarly();
  while (length > ByteCount(0)) {
    memory::IoVecs target;
    if (!memory.AppendIoVecs(to, length, memory::Access::kDeviceWrites, &target) || !target.all_ram) {
      return absl::InternalError(absl::StrCat(name_, ": no guest RAM at 0x", absl::Hex(to.raw())));
    }
    // One call may move less than asked (2 GiB at most): go on where it stopped.
    const int count = static_cast<int>(std::min<size_t>(target.iov.size(), IOV_MAX));
    const ssize_t got = preadv(fd_.get(), target.iov.data(), count, static_cast<off_t>(from.raw()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, name_);
    if (got == 0) return EndsEarly();
    const ByteCount moved(static_cast<uint64_t>(got));
    from += moved;
    to += moved;
    length -= moved;
  }
  return absl::OkStatus();
}

absl::Status BootFile::Refuse(absl::string_view reason) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ": ", reason));
}

absl::Status BootFile::EndsEarly() const {
  return absl::OutOfRangeError(absl::StrCat(name_, ": ends too early; was it cut while it was read?"));
}

}  // namespace daxvmm::vmm::boot
