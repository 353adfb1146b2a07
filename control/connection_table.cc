#include "control/connection_table.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace daxvmm::control {
namespace {

// What a client sends is read at once, the largest policy too: it takes a millisecond. While there is always more to
// read, gRPC may make calls without ever getting to what refuses them.
constexpr int kFloodBytes = 4 << 10;
constexpr int kFloodTimes = 4;

}  // namespace

void ConnectionTable::Add(UniqueFd fd, uint64_t owner, bool privileged) {
  if (!privileged) ++unprivileged_;
  entries_.push_back({.fd = std::move(fd), .owner = owner, .privileged = privileged});
}

size_t ConnectionTable::CountOf(uint64_t owner) const {
  return std::count_if(entries_.begin(), entries_.end(), [owner](const Entry& entry) { return entry.owner == owner; });
}

void ConnectionTable::AppendPollFds(std::vector<pollfd>* fds) const {
  // POLLHUP and POLLERR come unasked.
  for (const Entry& entry : entries_) fds->push_back({.fd = entry.fd.get(), .events = POLLRDHUP, .revents = 0});
}

template <typename Condition>
void ConnectionTable::Forget(Condition condition) {
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (condition(i)) {
      // gRPC may not have noticed, or be unable to as long as it has something to write.
      shutdown(entries_[i].fd.get(), SHUT_RDWR);
      if (!entries_[i].privileged) --unprivileged_;
      continue;
    }
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.resize(kept);
}

void ConnectionTable::Reap(std::span<const pollfd> fds) {
  Forget([fds](size_t i) { return i < fds.size() && fds[i].revents != 0; });
}

void ConnectionTable::CutStalled(Clock::time_point now) {
  Forget([this, now](size_t i) {
    Entry& entry = entries_[i];
    int queued = 0;
    if (ioctl(entry.fd.get(), SIOCOUTQ, &queued) != 0) queued = 0;
    // More may be queued all the time, until the socket is full; less is when the peer reads.
    const bool reads = queued == 0 || entry.queued == 0 || queued < entry.queued;
    entry.queued = queued;
    if (reads) entry.queued_since = now;
    if (reads || now - entry.queued_since < stalled_) return false;
    LOG_LIMITED(kWarning) << "control: cut a client that has read nothing for " << stalled_.count() << " ms";
    return true;
  });
}

std::vector<uint64_t> ConnectionTable::CutFlooding() {
  std::vector<uint64_t> owners;
  Forget([this, &owners](size_t i) {
    Entry& entry = entries_[i];
    int unread = 0;
    if (ioctl(entry.fd.get(), SIOCINQ, &unread) != 0) unread = 0;
    entry.flooded = unread < kFloodBytes ? 0 : entry.flooded + 1;
    if (entry.flooded <= kFloodTimes) return false;
    LOG_LIMITED(kWarning) << "control: cut a client that sends faster than it can be served";
    owners.push_back(entry.owner);
    return true;
  });
  return owners;
}

void ConnectionTable::Cut(uint64_t owner) {
  Forget([this, owner](size_t i) { return entries_[i].owner == owner; });
}

}  // namespace daxvmm::control
