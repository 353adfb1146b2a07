#include "devices/virtio_fs/queue_worker.h"

#include <poll.h>

#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::virtio_fs {

absl::StatusOr<std::unique_ptr<QueueWorker>> QueueWorker::Start(const std::string& label, virtio::ActiveQueue queue,
                                                                virtio::DriverNotifier* notifier,
                                                                fuse::RequestCounts* counts, Serve serve) {
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  auto worker = std::unique_ptr<QueueWorker>(
      new QueueWorker(label, std::move(queue), notifier, counts, std::move(serve), std::move(stop)));
  // Started only now that every member is in place.
  const std::string name = absl::StrCat("q", worker->queue_.index.raw(), "-", label);
  try {
    worker->thread_ = NamedThread(name, [raw = worker.get()] { raw->Run(); });
  } catch (const std::system_error& error) {
    // A driver brings this about by a reset at a moment when the host has no thread to give.
    return ErrnoStatus(error.code().value(), absl::StrCat("thread ", name));
  }
  return worker;
}

QueueWorker::QueueWorker(const std::string& label, virtio::ActiveQueue queue, virtio::DriverNotifier* notifier,
                         fuse::RequestCounts* counts, Serve serve, EventFd stop)
    : label_(label),
      queue_(std::move(queue)),
      notifier_(notifier),
      counts_(counts),
      serve_(std::move(serve)),
      stop_event_(std::move(stop)) {}

QueueWorker::~QueueWorker() {
  Stop();
  thread_.Join();
}

void QueueWorker::Stop() {
  stop_.store(true, std::memory_order_relaxed);
  stop_event_.Signal();
}

void QueueWorker::Run() {
  // The ring is looked at before the first wait: a driver may have filled it before DRIVER_OK took effect here.
  while (Drain()) {
    AwaitKick();
    counts_->Woken();
  }
}

bool QueueWorker::Drain() {
  virtio::Virtqueue& ring = *queue_.queue;
  // The last look at the clock, as long as nothing has taken time since.
  std::optional<std::chrono::steady_clock::time_point> now;
  do {
    ring.DisableKicks();
    // A driver that refills the ring as fast as it is served must not keep Stop waiting.
    while (!stop_.load(std::memory_order_relaxed) && ring.Pop(&chain_)) {
      if (!now.has_value()) now = std::chrono::steady_clock::now();
      counts_->Begun(*now);
      const uint32_t written = serve_(chain_.readable, chain_.writable, arrivals_.Take());
      // Before the reply is given: what is available now was sent without it.
      now = std::chrono::steady_clock::now();
      const uint16_t waiting = ring.Waiting();
      arrivals_.Answer(waiting, *now);
      counts_->Answered(*now, waiting);
      ring.Push(chain_, written);
      // After each, not each batch: the next request may block on the host's disk for long.
      if (ring.ShouldSignal()) {
        notifier_->SignalUsed(queue_.index);
        counts_->Signalled();
        now.reset();  // the next request is not to be charged for the system call
      }
    }
    if (stop_.load(std::memory_order_relaxed)) return false;
    if (ring.fault() != virtio::QueueFault::kNone) {
      LOG_LIMITED(kWarning) << "share '" << label_ << "': the driver broke queue " << queue_.index.raw() << " ("
                            << virtio::QueueFaultName(ring.fault()) << "); the device needs a reset";
      notifier_->SignalNeedsReset();
      return false;
    }
  } while (ring.EnableKicks());
  return true;
}

void QueueWorker::AwaitKick() const {
  pollfd events[2] = {{queue_.kick->fd(), POLLIN, 0}, {stop_event_.fd(), POLLIN, 0}};
  // An error can only be EINTR; the caller then finds the ring empty and comes back.
  (void)poll(events, 2, -1);
  // Before the ring is looked at, so that a kick for what comes later is not lost.
  queue_.kick->Drain();
}

}  // namespace daxvmm::virtio_fs
