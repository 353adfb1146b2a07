#include "base/event_fd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/status.h"

namespace daxvmm {

absl::StatusOr<EventFd> EventFd::Create() {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "eventfd");
  return EventFd(std::move(fd));
}

void EventFd::Signal() const {
  const uint64_t one = 1;
  // EAGAIN means that the counter is full, hence signalled already.
  [[maybe_unused]] const ssize_t n = write(fd_.get(), &one, sizeof(one));
}

bool EventFd::Drain() const {
  uint64_t count = 0;
  return read(fd_.get(), &count, sizeof(count)) == static_cast<ssize_t>(sizeof(count));
}

}  // namespace daxvmm
