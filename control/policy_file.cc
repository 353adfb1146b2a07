#include "control/policy_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

absl::StatusOr<std::string> ReadPolicyFile(const std::string& path) {
  const auto refuse = [&path](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
  };
  // Looked at before it is opened, since opening a device may do something; and after, since it may be another by then.
  struct stat before{};
  if (stat(path.c_str(), &before) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(before.st_mode)) return refuse("not a regular file");
  // A FIFO that took its place meanwhile must not hang us.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  if (fstat(fd.get(), &before) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(before.st_mode)) return refuse("not a regular file");
  std::string text(kMaxPolicyFileBytes + 1, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + length, text.size() - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, path);
    if (n == 0) break;
    length += n;
  }
  if (length > kMaxPolicyFileBytes) return refuse("larger than 1 MiB");
  struct stat after{};
  if (fstat(fd.get(), &after) != 0) return ErrnoStatus(errno, path);
  const bool same = before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                    before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
  if (!same) return absl::AbortedError(absl::StrCat(path, ": changed while it was read"));
  text.resize(length);
  return text;
}

}  // namespace daxvmm::control
