// An eventfd: a counter that threads, KVM's ioeventfd and irqfd can signal and poll.
#ifndef DAXVMM_BASE_EVENT_FD_H_
#define DAXVMM_BASE_EVENT_FD_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace daxvmm {

// Non-blocking and close-on-exec. Any thread may call any method.
class [[nodiscard]] EventFd {
 public:
  static absl::StatusOr<EventFd> Create();

  // Adds one and wakes whoever polls. Never blocks; a saturated counter stays signalled.
  void Signal() const;
  // Takes the counter back to zero; true if it was not zero.
  bool Drain() const;
  int fd() const { return fd_.get(); }

 private:
  explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace daxvmm

#endif  // DAXVMM_BASE_EVENT_FD_H_
