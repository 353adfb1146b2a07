// Memory for this package's tests.
#ifndef DAXVMM_MEMORY_TEST_MEMORY_H_
#define DAXVMM_MEMORY_TEST_MEMORY_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/unique_fd.h"
#include "base/units.h"

namespace daxvmm::memory {

// A file in memory that holds `text` and is then `size` bytes long.
inline UniqueFd MemFile(ByteCount size, std::string_view text = "") {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(fd.valid());
  CHECK(pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  CHECK(ftruncate(fd.get(), static_cast<off_t>(size.raw())) == 0);
  return fd;
}

// The same file, opened for reading only.
inline UniqueFd ReopenReadOnly(const UniqueFd& fd) {
  return UniqueFd(open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), O_RDONLY | O_CLOEXEC));
}

inline std::string Contents(const UniqueFd& fd, size_t size, off_t from = 0) {
  std::string text(size, '?');
  const ssize_t n = pread(fd.get(), text.data(), size, from);
  return text.substr(0, n < 0 ? 0 : static_cast<size_t>(n));
}

inline std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string Text(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_TEST_MEMORY_H_
