#include "tests/fakes/mmio_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::fakes {
namespace {

constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;

absl::Status Wrong(absl::string_view what, uint64_t value) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": 0x", absl::Hex(value)));
}

}  // namespace

uint32_t MmioDriver::ReadRegister(uint32_t offset) {
  uint8_t bytes[4] = {};
  device_->Read(offset, bytes);
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

void MmioDriver::WriteRegister(uint32_t offset, uint32_t value) {
  uint8_t bytes[4];
  std::memcpy(bytes, &value, sizeof(value));
  device_->Write(offset, bytes);
}

std::vector<uint8_t> MmioDriver::ReadConfigBytes(uint32_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) device_->Read(VIRTIO_MMIO_CONFIG + offset + i, std::span(&bytes[i], 1));
  return bytes;
}

uint32_t MmioDriver::ReadConfig32(uint32_t offset) { return ReadRegister(VIRTIO_MMIO_CONFIG + offset); }

uint32_t MmioDriver::status() { return ReadRegister(VIRTIO_MMIO_STATUS); }

bool MmioDriver::needs_reset() { return (status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0; }

void MmioDriver::AddStatus(uint32_t bits) { WriteRegister(VIRTIO_MMIO_STATUS, status() | bits); }

uint32_t MmioDriver::TakeInterrupts() {
  const uint32_t bits = ReadRegister(VIRTIO_MMIO_INTERRUPT_STATUS);
  WriteRegister(VIRTIO_MMIO_INTERRUPT_ACK, bits);
  return bits;
}

absl::Status MmioDriver::Identify(uint32_t device_id) {
  const uint32_t magic = ReadRegister(VIRTIO_MMIO_MAGIC_VALUE);
  if (magic != 0x74726976) return Wrong("magic", magic);
  const uint32_t version = ReadRegister(VIRTIO_MMIO_VERSION);
  if (version != 2) return Wrong("version", version);
  const uint32_t id = ReadRegister(VIRTIO_MMIO_DEVICE_ID);
  if (id != device_id) return Wrong("device id", id);
  RETURN_IF_ERROR(Reset());
  AddStatus(VIRTIO_CONFIG_S_ACKNOWLEDGE);
  AddStatus(VIRTIO_CONFIG_S_DRIVER);
  const uint32_t now = status();
  if (now != (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)) return Wrong("status after DRIVER", now);
  return absl::OkStatus();
}

absl::Status MmioDriver::Negotiate(uint64_t wanted) {
  WriteRegister(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
  offered_ = uint64_t{ReadRegister(VIRTIO_MMIO_DEVICE_FEATURES)} << 32;
  WriteRegister(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
  offered_ |= ReadRegister(VIRTIO_MMIO_DEVICE_FEATURES);
  if ((offered_ & kVersion1) == 0) return Wrong("features without VERSION_1", offered_);
  WriteFeaturesUnchecked(offered_ & wanted);
  AddStatus(VIRTIO_CONFIG_S_FEATURES_OK);
  if ((status() & VIRTIO_CONFIG_S_FEATURES_OK) == 0) return Wrong("the device refused the features", accepted_);
  return absl::OkStatus();
}

void MmioDriver::WriteFeaturesUnchecked(uint64_t value) {
  accepted_ = value;
  WriteRegister(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
  WriteRegister(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<uint32_t>(value >> 32));
  WriteRegister(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
  WriteRegister(VIRTIO_MMIO_DRIVER_FEATURES, static_cast<uint32_t>(value));
}

absl::Status MmioDriver::SetUpQueue(uint16_t index, uint16_t size) {
  WriteRegister(VIRTIO_MMIO_QUEUE_SEL, index);
  if (ReadRegister(VIRTIO_MMIO_QUEUE_READY) != 0) return Wrong("queue is in use already", index);
  const uint32_t max = ReadRegister(VIRTIO_MMIO_QUEUE_NUM_MAX);
  if (max == 0) return Wrong("no such queue", index);
  const DriverQueueOptions options{.size = static_cast<uint16_t>(std::min<uint32_t>(size, max)),
                                   .event_idx = (accepted_ >> VIRTIO_RING_F_EVENT_IDX & 1) != 0,
                                   .indirect = (accepted_ >> VIRTIO_RING_F_INDIRECT_DESC & 1) != 0};
  auto queue = std::make_unique<DriverQueue>(ram_, options);
  WriteRegister(VIRTIO_MMIO_QUEUE_NUM, options.size);
  const auto write_address = [&](uint32_t low, GuestPhysAddr at) {
    WriteRegister(low, static_cast<uint32_t>(at.raw()));
    WriteRegister(low + 4, static_cast<uint32_t>(at.raw() >> 32));
  };
  write_address(VIRTIO_MMIO_QUEUE_DESC_LOW, queue->config().descriptors);
  write_address(VIRTIO_MMIO_QUEUE_AVAIL_LOW, queue->config().driver_area);
  write_address(VIRTIO_MMIO_QUEUE_USED_LOW, queue->config().device_area);
  WriteRegister(VIRTIO_MMIO_QUEUE_READY, 1);
  if (ReadRegister(VIRTIO_MMIO_QUEUE_READY) != 1) return Wrong("queue did not become ready", index);
  if (queues_.size() <= index) queues_.resize(index + size_t{1});
  queues_[index] = std::move(queue);
  return absl::OkStatus();
}

std::optional<virtio::SharedMemoryRegion> MmioDriver::SharedMemory(uint8_t id) {
  WriteRegister(VIRTIO_MMIO_SHM_SEL, id);
  const uint64_t length = ReadRegister(VIRTIO_MMIO_SHM_LEN_LOW) | uint64_t{ReadRegister(VIRTIO_MMIO_SHM_LEN_HIGH)}
                                                                      << 32;
  if (length == ~uint64_t{0}) return std::nullopt;
  const uint64_t base = ReadRegister(VIRTIO_MMIO_SHM_BASE_LOW) | uint64_t{ReadRegister(VIRTIO_MMIO_SHM_BASE_HIGH)}
                                                                     << 32;
  return virtio::SharedMemoryRegion{.id = id, .base = GuestPhysAddr(base), .size = ByteCount(length)};
}

absl::Status MmioDriver::DriverOk() {
  AddStatus(VIRTIO_CONFIG_S_DRIVER_OK);
  const uint32_t now = status();
  if ((now & VIRTIO_CONFIG_S_DRIVER_OK) == 0 || (now & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) {
    return Wrong("status after DRIVER_OK", now);
  }
  return absl::OkStatus();
}

absl::Status MmioDriver::Reset() {
  WriteRegister(VIRTIO_MMIO_STATUS, 0);
  const uint32_t now = status();
  if (now != 0) return Wrong("status after reset", now);
  for (auto& queue : queues_) {
    if (queue != nullptr) queue->Reset();
  }
  queues_.clear();
  return absl::OkStatus();
}

absl::Status MmioDriver::Probe(const MmioDriverOptions& options) {
  RETURN_IF_ERROR(Identify(options.device_id));
  RETURN_IF_ERROR(Negotiate(options.features));
  for (uint16_t i = 0; i < options.queues; ++i) RETURN_IF_ERROR(SetUpQueue(i, options.queue_size));
  return DriverOk();
}

DriverQueue& MmioDriver::queue(uint16_t index) {
  CHECK(index < queues_.size() && queues_[index] != nullptr) << "queue " << index << " was not set up";
  return *queues_[index];
}

void MmioDriver::Notify(uint16_t index) { WriteRegister(VIRTIO_MMIO_QUEUE_NOTIFY, index); }

void MmioDriver::PublishAndNotify(uint16_t index) {
  if (queue(index).Publish()) Notify(index);
}

std::optional<Completion> MmioDriver::Run(uint16_t index, const Request& request, std::chrono::milliseconds patience) {
  CHECK(queue(index).outstanding() == 0);
  if (!queue(index).Add(request).has_value()) return std::nullopt;
  PublishAndNotify(index);
  std::vector<Completion> completions = Wait(index, 1, patience);
  if (completions.empty()) return std::nullopt;
  return std::move(completions[0]);
}

std::vector<Completion> MmioDriver::Wait(uint16_t index, size_t count, std::chrono::milliseconds patience) {
  CHECK(interrupts_ != nullptr);
  DriverQueue& ring = queue(index);
  std::vector<Completion> all;
  interrupts_->WaitUntil(
      [&] {
        do {
          for (Completion& completion : ring.Collect()) all.push_back(std::move(completion));
          if (all.size() >= count) return true;
        } while (ring.WantInterrupts(true));
        return needs_reset();
      },
      patience);
  return all;
}

bool MmioDriver::WaitNeedsReset(std::chrono::milliseconds patience) {
  CHECK(interrupts_ != nullptr);
  return interrupts_->WaitUntil([&] { return needs_reset(); }, patience);
}

}  // namespace daxvmm::fakes
