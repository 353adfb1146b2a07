#include "tests/fakes/echo_device.h"

#include <poll.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fakes {

std::optional<virtio::SharedMemoryRegion> EchoDevice::shared_memory(uint8_t id) const {
  if (!traits_.shared_memory.has_value() || traits_.shared_memory->id != id) return std::nullopt;
  return traits_.shared_memory;
}

void EchoDevice::ReadConfig(uint64_t offset, std::span<uint8_t> data) const {
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i < traits_.config.size() ? traits_.config[offset + i] : 0;
  }
}

absl::Status EchoDevice::Activate(std::vector<virtio::ActiveQueue> queues, virtio::DriverNotifier* notifier) {
  ++activations_;
  RETURN_IF_ERROR(traits_.activation);
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  stop_.emplace(std::move(stop));
  queues_ = std::move(queues);
  for (virtio::ActiveQueue& queue : queues_) {
    workers_.emplace_back(absl::StrCat("echo", queue.index.raw()),
                          [this, &queue, notifier] { Serve(&queue, notifier); });
  }
  return absl::OkStatus();
}

void EchoDevice::Reset() {
  ++resets_;
  if (stop_.has_value()) stop_->Signal();
  workers_.clear();
  queues_.clear();
  stop_.reset();
}

void EchoDevice::Serve(virtio::ActiveQueue* queue, virtio::DriverNotifier* notifier) {
  virtio::DescriptorChain chain;
  std::vector<std::byte> bytes;
  for (;;) {
    do {
      queue->queue->DisableKicks();
      while (queue->queue->Pop(&chain)) {
        if (before_reply_) before_reply_();
        memory::IovReader reader(chain.readable);
        memory::IovWriter writer(chain.writable);
        bytes.resize(std::min(reader.remaining(), writer.remaining()));
        const bool copied = reader.Read(bytes) && writer.Write(bytes);
        ++answered_;
        queue->queue->Push(chain, copied ? static_cast<uint32_t>(bytes.size()) : 0);
        if (queue->queue->ShouldSignal()) notifier->SignalUsed(queue->index);
      }
    } while (queue->queue->EnableKicks());
    if (queue->queue->fault() != virtio::QueueFault::kNone) return notifier->SignalNeedsReset();
    pollfd fds[] = {{queue->kick->fd(), POLLIN, 0}, {stop_->fd(), POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    queue->kick->Drain();
  }
}

}  // namespace daxvmm::fakes
