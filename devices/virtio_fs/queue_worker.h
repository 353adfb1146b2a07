// The thread that owns one virtqueue of the device.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_QUEUE_WORKER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_QUEUE_WORKER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/named_thread.h"
#include "devices/virtio/virtio_device.h"
#include "devices/virtio_fs/arrival_clock.h"
#include "devices/virtio_fs/fuse/request_counts.h"
#include "memory/guest_memory.h"

namespace daxvmm::virtio_fs {

// Sleeps in poll(2) until the driver kicks, then serves what is in the ring, one request after the other, in order.
// A ring that the driver broke is reported once and not touched again.
class QueueWorker {
 public:
  // Serves one chain; the number of bytes written to `out`. `sent_after`: a moment at which the driver had not made the
  // chain available yet (see ArrivalClock).
  using Serve = std::function<uint32_t(const memory::IoVecs& in, const memory::IoVecs& out,
                                       std::chrono::steady_clock::time_point sent_after)>;

  // `label` names the share in log lines. `notifier`, `counts` (for this worker alone) and the queue's kick outlive it.
  // Fails if the host has no file descriptor or thread left.
  static absl::StatusOr<std::unique_ptr<QueueWorker>> Start(const std::string& label, virtio::ActiveQueue queue,
                                                            virtio::DriverNotifier* notifier,
                                                            fuse::RequestCounts* counts, Serve serve);
  // Stops and joins.
  ~QueueWorker();

  // Asks the thread to end after the request that it is serving. Any thread.
  void Stop();

 private:
  QueueWorker(const std::string& label, virtio::ActiveQueue queue, virtio::DriverNotifier* notifier,
              fuse::RequestCounts* counts, Serve serve, EventFd stop);
  void Run();
  // Serves until the ring is empty. False if the thread is to end.
  bool Drain();
  void AwaitKick() const;

  const std::string label_;
  const virtio::ActiveQueue queue_;
  virtio::DriverNotifier* const notifier_;
  fuse::RequestCounts* const counts_;
  const Serve serve_;
  const EventFd stop_event_;
  // Relaxed: only says when to end. What the stopping thread does next it orders by joining.
  std::atomic<bool> stop_{false};
  virtio::DescriptorChain chain_;
  ArrivalClock arrivals_;
  NamedThread thread_;  // last: uses all of the above
};

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_QUEUE_WORKER_H_
