#include "devices/virtio/transport_core.h"

#include <linux/virtio_config.h>

#include <bit>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "devices/virtio/ring_abi.h"

namespace daxvmm::virtio {
namespace {

constexpr uint64_t Bit(int feature) { return uint64_t{1} << feature; }
constexpr uint64_t kTransportFeatures =
    Bit(VIRTIO_F_VERSION_1) | Bit(VIRTIO_RING_F_INDIRECT_DESC) | Bit(VIRTIO_RING_F_EVENT_IDX);

// The order in which a driver sets them, each only upon the one before (3.1.1).
constexpr uint32_t kSteps[] = {VIRTIO_CONFIG_S_ACKNOWLEDGE, VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_FEATURES_OK,
                               VIRTIO_CONFIG_S_DRIVER_OK};

uint32_t Window(uint64_t features, uint32_t window) {
  return window < 2 ? static_cast<uint32_t>(features >> (32 * window)) : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TransportCore>> TransportCore::Create(VirtioDevice* device,
                                                                     const memory::GuestMemory* memory,
                                                                     InterruptLine* interrupt) {
  if (!std::has_single_bit(device->queue_size_max()) || device->queue_size_max() > 32768) {
    return absl::InvalidArgumentError(absl::StrCat("largest queue size ", device->queue_size_max()));
  }
  std::vector<EventFd> kicks;
  for (int i = 0; i < device->queue_count(); ++i) {
    ASSIGN_OR_RETURN(EventFd kick, EventFd::Create());
    kicks.push_back(std::move(kick));
  }
  return std::unique_ptr<TransportCore>(new TransportCore(device, memory, interrupt, std::move(kicks)));
}

TransportCore::TransportCore(VirtioDevice* device, const memory::GuestMemory* memory, InterruptLine* interrupt,
                             std::vector<EventFd> kicks)
    : device_(device),
      memory_(memory),
      interrupt_(interrupt),
      offered_(device->device_features() | kTransportFeatures),
      kicks_(std::move(kicks)),
      queues_(kicks_.size()) {}

TransportCore::~TransportCore() { device_->Reset(); }

void TransportCore::SetStatus(uint32_t value) {
  MutexLock lock(&mu_);
  if (value == 0) return ResetLocked();
  const uint32_t before = status_.load();
  if ((before & VIRTIO_CONFIG_S_FAILED) != 0) return;  // the driver gave up: only a reset leads on
  // A driver that writes back what it read includes our bit. Bits that it left out stay: it must not clear any (2.1.1).
  const uint32_t wanted = value & ~before & ~uint32_t{VIRTIO_CONFIG_S_NEEDS_RESET};
  if ((wanted & VIRTIO_CONFIG_S_FAILED) != 0) {
    LOG_LIMITED(kWarning) << "the driver of virtio device " << device_id() << " gave up on it";
    status_.fetch_or(VIRTIO_CONFIG_S_FAILED);
    return;
  }
  uint32_t required = 0;
  for (const uint32_t step : kSteps) {
    if ((status_.load() & required) != required) {
      if ((wanted & step) != 0) LOG_LIMITED(kDebug) << "status 0x" << std::hex << value << " out of order";
      return;
    }
    required |= step;
    if ((wanted & step) == 0) continue;
    if (step == VIRTIO_CONFIG_S_FEATURES_OK && !FeaturesAcceptable()) {
      LOG_LIMITED(kWarning) << "the driver of virtio device " << device_id() << " accepts features 0x" << std::hex
                            << accepted_ << " of 0x" << offered_ << ": refused";
      return;
    }
    // Before Activate: a worker that it starts may find the ring broken at once, and is to interrupt (2.1.2).
    status_.fetch_or(step);
    if (step != VIRTIO_CONFIG_S_DRIVER_OK) continue;
    if (absl::Status status = Activate(); !status.ok()) {
      LOG_LIMITED(kWarning) << "virtio device " << device_id() << " cannot start: " << std::string(status.message());
      SignalNeedsReset();
    }
  }
}

void TransportCore::ResetLocked() {
  device_->Reset();
  // No worker is left that could set any of this again.
  for (const EventFd& kick : kicks_) kick.Drain();
  queues_.assign(kicks_.size(), QueueSetup());
  selected_queue_ = 0;
  device_features_window_ = 0;
  driver_features_window_ = 0;
  accepted_ = 0;
  accepted_beyond_ = false;
  interrupts_.store(0);
  status_.store(0);
}

bool TransportCore::FeaturesAcceptable() const {
  // Without VERSION_1 it is a legacy driver, whose layouts are others (2.2.3, 6.1).
  return (accepted_ & ~offered_) == 0 && !accepted_beyond_ && (accepted_ & Bit(VIRTIO_F_VERSION_1)) != 0;
}

absl::Status TransportCore::Activate() {
  std::vector<ActiveQueue> active;
  for (uint16_t i = 0; i < queue_count(); ++i) {
    const QueueSetup& setup = queues_[i];
    if (!setup.ready) continue;
    if (setup.size > device_->queue_size_max()) {
      return absl::InvalidArgumentError(absl::StrCat("queue ", i, " of ", setup.size, " entries"));
    }
    const VirtqueueConfig config = {.size = static_cast<uint16_t>(setup.size),
                                    .descriptors = GuestPhysAddr(setup.descriptors),
                                    .driver_area = GuestPhysAddr(setup.driver_area),
                                    .device_area = GuestPhysAddr(setup.device_area),
                                    .event_idx = (accepted_ & Bit(VIRTIO_RING_F_EVENT_IDX)) != 0,
                                    .indirect = (accepted_ & Bit(VIRTIO_RING_F_INDIRECT_DESC)) != 0};
    auto queue = Virtqueue::Create(config, memory_);
    if (!queue.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("queue ", i, ": ", queue.status().message()));
    }
    active.push_back({QueueIndex(i), *std::move(queue), &kicks_[i]});
  }
  return device_->Activate(std::move(active), this);
}

void TransportCore::SelectDeviceFeatures(uint32_t window) {
  MutexLock lock(&mu_);
  device_features_window_ = window;
}

uint32_t TransportCore::DeviceFeatures() const {
  MutexLock lock(&mu_);
  return Window(offered_, device_features_window_);
}

void TransportCore::SelectDriverFeatures(uint32_t window) {
  MutexLock lock(&mu_);
  driver_features_window_ = window;
}

void TransportCore::SetDriverFeatures(uint32_t bits) {
  MutexLock lock(&mu_);
  if (InStatus(VIRTIO_CONFIG_S_FEATURES_OK)) {
    LOG_LIMITED(kDebug) << "features written after FEATURES_OK";
    return;
  }
  if (driver_features_window_ >= 2) {
    accepted_beyond_ = accepted_beyond_ || bits != 0;
    return;
  }
  const unsigned shift = 32 * driver_features_window_;
  accepted_ = (accepted_ & ~(uint64_t{0xffff'ffff} << shift)) | uint64_t{bits} << shift;
}

void TransportCore::SelectQueue(uint32_t index) {
  MutexLock lock(&mu_);
  selected_queue_ = index;
}

uint16_t TransportCore::QueueSizeMax() const {
  MutexLock lock(&mu_);
  return selected_queue_ < queues_.size() ? device_->queue_size_max() : uint16_t{0};
}

TransportCore::QueueSetup* TransportCore::Configurable() {
  if (selected_queue_ >= queues_.size() || queues_[selected_queue_].ready || InStatus(VIRTIO_CONFIG_S_DRIVER_OK)) {
    LOG_LIMITED(kDebug) << "queue " << selected_queue_ << " cannot be configured now";
    return nullptr;
  }
  return &queues_[selected_queue_];
}

void TransportCore::SetQueueSize(uint32_t size) {
  MutexLock lock(&mu_);
  // Checked at DRIVER_OK, where there is a way to refuse it.
  if (QueueSetup* queue = Configurable(); queue != nullptr) queue->size = size;
}

void TransportCore::SetQueueAddressLow(QueuePart part, uint32_t low) { ChangeAddress(part, ~uint64_t{0} << 32, low); }

void TransportCore::SetQueueAddressHigh(QueuePart part, uint32_t high) {
  ChangeAddress(part, 0xffff'ffff, uint64_t{high} << 32);
}

void TransportCore::ChangeAddress(QueuePart part, uint64_t keep, uint64_t set) {
  MutexLock lock(&mu_);
  QueueSetup* queue = Configurable();
  if (queue == nullptr) return;
  uint64_t& address = part == QueuePart::kDescriptors  ? queue->descriptors
                      : part == QueuePart::kDriverArea ? queue->driver_area
                                                       : queue->device_area;
  address = (address & keep) | set;
}

void TransportCore::SetQueueReady(bool ready) {
  MutexLock lock(&mu_);
  if (ready) {
    if (QueueSetup* queue = Configurable(); queue != nullptr) queue->ready = true;
    return;
  }
  if (selected_queue_ >= queues_.size() || !queues_[selected_queue_].ready) return;
  if (InStatus(VIRTIO_CONFIG_S_DRIVER_OK)) {
    LOG_LIMITED(kWarning) << "the driver of virtio device " << device_id() << " took back a queue in use";
    device_->Reset();
    SignalNeedsReset();
  }
  queues_[selected_queue_].ready = false;
}

bool TransportCore::QueueReady() const {
  MutexLock lock(&mu_);
  return selected_queue_ < queues_.size() && queues_[selected_queue_].ready;
}

void TransportCore::Notify(uint32_t queue) const {
  if (queue < kicks_.size()) kicks_[queue].Signal();
}

std::optional<SharedMemoryRegion> TransportCore::SharedMemory(uint32_t id) const {
  // Ids have 8 bits (2.10).
  if (id > 0xff) return std::nullopt;
  return device_->shared_memory(static_cast<uint8_t>(id));
}

void TransportCore::SignalUsed(QueueIndex) { Raise(kInterruptUsed); }

void TransportCore::SignalNeedsReset() {
  const uint32_t before = status_.fetch_or(VIRTIO_CONFIG_S_NEEDS_RESET);
  if ((before & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) return;
  LOG_LIMITED(kWarning) << "virtio device " << device_id() << " needs a reset by its driver";
  if (needs_reset_observer_) needs_reset_observer_();
  // 2.1.2: the driver is told once it listens.
  if ((before & VIRTIO_CONFIG_S_DRIVER_OK) != 0) Raise(kInterruptConfig);
}

void TransportCore::Raise(uint32_t bits) {
  // The bit first: the handler that the edge starts must find it. A handler that is just acknowledging the bit of an
  // earlier edge looks at the rings after that, and finds what this one is about.
  interrupts_.fetch_or(bits);
  interrupt_->Pulse();
}

}  // namespace daxvmm::virtio
