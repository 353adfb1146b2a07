// The connections that gRPC has, so that they can be counted and cut: gRPC tells neither.
#ifndef DAXVMM_CONTROL_CONNECTION_TABLE_H_
#define DAXVMM_CONTROL_CONNECTION_TABLE_H_

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"

namespace daxvmm::control {

// Holds a second descriptor of each connection. gRPC shuts a connection down before it closes its own, and the kernel
// says so of the second one. Used by one thread.
class ConnectionTable {
 public:
  using Clock = std::chrono::steady_clock;

  // `stalled`: how long a peer may take nothing of what waits for it.
  explicit ConnectionTable(std::chrono::milliseconds stalled) : stalled_(stalled) {}

  // `fd` is a duplicate. `owner` is what connections are counted by; `privileged` ones are left out of `unprivileged`.
  void Add(UniqueFd fd, uint64_t owner, bool privileged);
  size_t size() const { return entries_.size(); }
  size_t unprivileged() const { return unprivileged_; }
  size_t CountOf(uint64_t owner) const;

  // One for each connection, to be polled and then given to Reap unchanged but for `revents`.
  void AppendPollFds(std::vector<pollfd>* fds) const;
  // Forgets those that have ended; a half that the peer has closed is the end of the whole.
  void Reap(std::span<const pollfd> fds);
  // Cuts those whose peers have stalled. To be called at CheckPeriod's intervals; looks at each connection.
  void CutStalled(Clock::time_point now);
  std::chrono::milliseconds CheckPeriod() const { return stalled_ / 4; }
  // Cuts those that have sent more than is read for a whole second, looked at in intervals of a quarter: gRPC makes a
  // call of each header block, and neither the streams that are reset nor those that it has not agreed to count
  // against its limits. Returns their owners.
  std::vector<uint64_t> CutFlooding();
  // Cuts all of `owner`.
  void Cut(uint64_t owner);

 private:
  struct Entry {
    UniqueFd fd;
    uint64_t owner = 0;
    bool privileged = false;
    int queued = 0;  // bytes for the peer when it was looked at last, and since when they have not become less
    Clock::time_point queued_since;
    int flooded = 0;  // how many times in a row too much was unread
  };
  template <typename Condition>
  void Forget(Condition condition);

  const std::chrono::milliseconds stalled_;
  std::vector<Entry> entries_;
  size_t unprivileged_ = 0;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONNECTION_TABLE_H_
