// The owner of one file descriptor.
#ifndef DAXVMM_BASE_UNIQUE_FD_H_
#define DAXVMM_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace daxvmm {

// Closes its descriptor when it goes. Move-only; -1 means none. Preserves errno.
class [[nodiscard]] UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace daxvmm

#endif  // DAXVMM_BASE_UNIQUE_FD_H_
