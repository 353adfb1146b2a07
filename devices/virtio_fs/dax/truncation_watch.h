// Notices that files change behind the guest's back: a thread on inotify, with a sweep once a second for whatever
// inotify does not tell (network file systems, a full event queue, no watches left).
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_TRUNCATION_WATCH_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_TRUNCATION_WATCH_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/named_thread.h"
#include "base/unique_fd.h"

namespace daxvmm::dax {

// Names one watched file; -1 where inotify does not watch it and only the sweep does.
using WatchId = int;
inline constexpr WatchId kNoWatch = -1;

// Add, Remove and SetActive may be called from any thread, also from within a callback.
class TruncationWatch {
 public:
  // Called on the watch's thread, one at a time, under no lock of the watch.
  struct Callbacks {
    // The contents or the size of these files changed; ids of files removed meanwhile may be among them.
    std::function<void(std::span<const WatchId>)> changed;
    // Look at every file.
    std::function<void()> sweep;
  };
  // Starts the thread. Without inotify (no instance left) it sweeps only. RESOURCE_EXHAUSTED or another errno's code if
  // the host has no descriptor left.
  static absl::StatusOr<std::unique_ptr<TruncationWatch>> Create(Callbacks callbacks);
  // Joins the thread: no callback runs after it.
  ~TruncationWatch();

  // Watches the file that `fd` is open on. A second call for the same inode gives the same id.
  WatchId Add(int fd);
  void Remove(WatchId id);

  // Whether there is anything to sweep; the thread sleeps until something happens while there is not.
  void SetActive(bool active);

 private:
  using Clock = std::chrono::steady_clock;

  TruncationWatch(Callbacks callbacks, UniqueFd inotify, EventFd stop, EventFd wake);
  void Run();
  // Takes all queued events; true if some were lost.
  bool ReadEvents();

  const Callbacks callbacks_;
  const UniqueFd inotify_;  // may be none
  const EventFd stop_;
  const EventFd wake_;
  // Relaxed is enough: wake_ orders it.
  std::atomic<bool> active_{false};
  std::vector<WatchId> changed_;  // of the thread alone
  NamedThread thread_;            // last: it uses all of the above
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_TRUNCATION_WATCH_H_
