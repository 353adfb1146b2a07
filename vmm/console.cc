#include "vmm/console.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "base/status.h"

namespace daxvmm::vmm {
namespace {

constexpr uint8_t kCtrlA = 0x01;
constexpr size_t kInputChunk = 256;
// What waits for a guest that does not read its port. A terminal is read on even then, and what is typed beyond this is
// lost: Ctrl-A x must reach us whatever the guest does. A pipe or a file can wait, and loses nothing.
constexpr size_t kTypedMax = 4096;
// A descriptor that polls writable takes this much without blocking (PIPE_BUF): the descriptor itself may be shared
// with other processes and is therefore not made non-blocking.
constexpr size_t kOutputChunk = 4096;
constexpr auto kFlushTime = std::chrono::seconds(1);

}  // namespace

bool EscapeFilter::Feed(std::span<const uint8_t> typed, std::deque<uint8_t>* out) {
  for (const uint8_t key : typed) {
    if (!escaped_) {
      if (key == kCtrlA) {
        escaped_ = true;
      } else {
        out->push_back(key);
      }
      continue;
    }
    escaped_ = false;
    if (key == 'x') return true;
    out->push_back(kCtrlA);
    if (key != kCtrlA && key != 'a') out->push_back(key);
  }
  return false;
}

absl::StatusOr<std::unique_ptr<Console>> Console::Create(Options options) {
  ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  return std::unique_ptr<Console>(new Console(std::move(options), std::move(wake)));
}

Console::Console(Options options, EventFd wake)
    : options_(std::move(options)), input_is_terminal_(isatty(options_.input_fd) != 0), wake_(std::move(wake)) {
  thread_ = NamedThread("console", [this] { Loop(); });
}

Console::~Console() {
  ReleaseWriters();
  {
    MutexLock lock(&mu_);
    stop_ = true;
  }
  wake_.Signal();
  thread_.Join();
}

void Console::Output(std::span<const uint8_t> data) {
  {
    MutexLock lock(&mu_);
    while (output_.size() + data.size() > kQueueMax && output_open_ && !released_) room_.Wait(&mu_);
    // Released writers may overshoot by what the guest prints until its vCPUs have stopped; a full queue drops it.
    if (!output_open_ || output_.size() + data.size() > kQueueMax) return;
    output_.insert(output_.end(), data.begin(), data.end());
  }
  wake_.Signal();
}

void Console::ReleaseWriters() {
  MutexLock lock(&mu_);
  released_ = true;
  room_.SignalAll();
}

bool Console::OutputQueued() {
  MutexLock lock(&mu_);
  return output_open_ && !output_.empty();
}

void Console::Loop() {
  std::chrono::steady_clock::time_point give_up = std::chrono::steady_clock::time_point::max();
  for (;;) {
    const bool queued = OutputQueued();
    {
      MutexLock lock(&mu_);
      if (stop_) {
        const auto now = std::chrono::steady_clock::now();
        if (give_up == std::chrono::steady_clock::time_point::max()) give_up = now + kFlushTime;
        if (!queued || now >= give_up) return;
      }
    }
    const bool flushing = give_up != std::chrono::steady_clock::time_point::max();
    pollfd fds[3] = {
        {wake_.fd(), POLLIN, 0},
        {input_open_ && !flushing && (typed_.empty() || input_is_terminal_) ? options_.input_fd : -1, POLLIN, 0},
        {queued ? options_.output_fd : -1, POLLOUT, 0},
    };
    if (poll(fds, 3, flushing ? 50 : -1) < 0 && errno != EINTR) return;
    if ((fds[0].revents & POLLIN) != 0) wake_.Drain();
    if (fds[1].revents != 0) ReadInput();
    if (!typed_.empty()) {
      std::vector<uint8_t> pending(typed_.begin(), typed_.end());
      const size_t taken = options_.to_guest(pending);
      typed_.erase(typed_.begin(), typed_.begin() + static_cast<ptrdiff_t>(taken));
    }
    if (fds[2].revents != 0) WriteOutput();
  }
}

void Console::ReadInput() {
  uint8_t buffer[kInputChunk];
  const ssize_t n = read(options_.input_fd, buffer, sizeof(buffer));
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    input_open_ = false;
    return;
  }
  if (filter_.Feed(std::span(buffer, static_cast<size_t>(n)), &typed_)) options_.on_quit();
  if (typed_.size() > kTypedMax) typed_.resize(kTypedMax);
}

void Console::WriteOutput() {
  uint8_t buffer[kOutputChunk];
  size_t length = 0;
  {
    MutexLock lock(&mu_);
    length = std::min(output_.size(), sizeof(buffer));
    std::copy_n(output_.begin(), length, buffer);
  }
  const ssize_t n = write(options_.output_fd, buffer, length);
  MutexLock lock(&mu_);
  if (n < 0) {
    if (errno == EINTR || errno == EAGAIN) return;
    output_open_ = false;
    output_.clear();
  } else {
    output_.erase(output_.begin(), output_.begin() + n);
  }
  room_.SignalAll();
}

}  // namespace daxvmm::vmm
