#include "devices/virtio_fs/dax/truncation_watch.h"

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace daxvmm::dax {
namespace {

constexpr std::chrono::milliseconds kSweepPeriod{1000};
// After a batch of events the next one is collected for this long. Each write(2) to a mapped file is an event too, and
// a wake-up for each would cost as much as the write.
constexpr std::chrono::milliseconds kBatchTime{1};

}  // namespace

absl::StatusOr<std::unique_ptr<TruncationWatch>> TruncationWatch::Create(Callbacks callbacks) {
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) {
    LOG(kWarning) << "no inotify instance (" << std::strerror(errno)
                  << "): a truncation of a mapped file by the host is noticed within a second only";
  }
  return std::unique_ptr<TruncationWatch>(
      new TruncationWatch(std::move(callbacks), std::move(inotify), std::move(stop), std::move(wake)));
}

TruncationWatch::TruncationWatch(Callbacks callbacks, UniqueFd inotify, EventFd stop, EventFd wake)
    : callbacks_(std::move(callbacks)),
      inotify_(std::move(inotify)),
      stop_(std::move(stop)),
      wake_(std::move(wake)),
      thread_("dax-watch", [this] { Run(); }) {}

TruncationWatch::~TruncationWatch() {
  stop_.Signal();
  thread_.Join();
}

WatchId TruncationWatch::Add(int fd) {
  if (!inotify_.valid()) return kNoWatch;
  // The path of the open file itself: no name of it is looked up, so a rename or an unlink does not matter.
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const int id = inotify_add_watch(inotify_.get(), path.c_str(), IN_MODIFY);
  if (id < 0) {
    LOG_LIMITED(kWarning) << "inotify_add_watch: " << std::strerror(errno)
                          << ": a truncation of this mapped file by the host is noticed within a second only";
    return kNoWatch;
  }
  return id;
}

void TruncationWatch::Remove(WatchId id) {
  if (id != kNoWatch) inotify_rm_watch(inotify_.get(), id);
}

void TruncationWatch::SetActive(bool active) {
  if (active_.exchange(active, std::memory_order_relaxed) != active && active) wake_.Signal();
}

void TruncationWatch::Run() {
  enum { kStop, kWake, kInotify, kFds };
  std::array<pollfd, kFds> fds{};
  fds[kStop] = {.fd = stop_.fd(), .events = POLLIN, .revents = 0};
  fds[kWake] = {.fd = wake_.fd(), .events = POLLIN, .revents = 0};
  fds[kInotify] = {.fd = inotify_.get(), .events = POLLIN, .revents = 0};  // -1 is skipped by poll
  Clock::time_point next_sweep = Clock::now() + kSweepPeriod;
  for (;;) {
    int timeout_ms = -1;
    if (active_.load(std::memory_order_relaxed)) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_sweep - Clock::now());
      timeout_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    if (poll(fds.data(), fds.size(), timeout_ms) < 0) {
      if (errno == EINTR) continue;
      LOG(kError) << "poll: " << std::strerror(errno) << ": truncations of mapped files go unnoticed from here on";
      return;
    }
    if (fds[kStop].revents != 0) return;
    if (wake_.Drain()) next_sweep = std::min(next_sweep, Clock::now() + kSweepPeriod);
    const bool had_events = fds[kInotify].revents != 0;
    const bool lost_some = had_events && ReadEvents();
    if (had_events && !lost_some && !changed_.empty()) callbacks_.changed(changed_);
    if (active_.load(std::memory_order_relaxed) && (lost_some || Clock::now() >= next_sweep)) {
      callbacks_.sweep();
      next_sweep = Clock::now() + kSweepPeriod;
    }
    if (had_events && poll(&fds[kStop], 1, static_cast<int>(kBatchTime.count())) > 0) return;
  }
}

bool TruncationWatch::ReadEvents() {
  changed_.clear();
  bool lost = false;
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  // One buffer at a time: whatever is left makes the next poll return at once, and the stop is looked at in between.
  const ssize_t got = read(inotify_.get(), buffer.data(), buffer.size());
  for (ssize_t at = 0; at < got;) {
    inotify_event event;
    std::memcpy(&event, buffer.data() + at, sizeof(event));
    at += static_cast<ssize_t>(sizeof(event) + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0) lost = true;
    if ((event.mask & IN_MODIFY) != 0) changed_.push_back(event.wd);
  }
  std::sort(changed_.begin(), changed_.end());
  changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
  return lost;
}

}  // namespace daxvmm::dax
