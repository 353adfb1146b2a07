#include "devices/virtio/mmio_transport.h"

#include <linux/virtio_mmio.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace daxvmm::virtio {
namespace {

constexpr uint32_t kMagic = 0x74726976;  // "virt"
constexpr uint32_t kVersion = 2;
constexpr uint32_t kVendorId = 0x4d565844;  // "DXVM"

static_assert(MmioTransport::kQueueNotifyOffset == VIRTIO_MMIO_QUEUE_NOTIFY);
static_assert(kInterruptUsed == VIRTIO_MMIO_INT_VRING && kInterruptConfig == VIRTIO_MMIO_INT_CONFIG);

bool IsRegisterAccess(uint64_t offset, size_t size) {
  return size == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0;
}

uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t High(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

}  // namespace

absl::StatusOr<std::unique_ptr<MmioTransport>> MmioTransport::Create(VirtioDevice* device,
                                                                     const memory::GuestMemory* memory,
                                                                     InterruptLine* interrupt) {
  ASSIGN_OR_RETURN(std::unique_ptr<TransportCore> core, TransportCore::Create(device, memory, interrupt));
  return std::unique_ptr<MmioTransport>(new MmioTransport(std::move(core)));
}

void MmioTransport::Read(uint64_t offset, std::span<uint8_t> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) return core_->ReadConfig(offset - VIRTIO_MMIO_CONFIG, data);
  if (!IsRegisterAccess(offset, data.size())) {
    LOG_LIMITED(kDebug) << "virtio-mmio: read of " << data.size() << " bytes at 0x" << std::hex << offset;
    std::fill(data.begin(), data.end(), uint8_t{0});
    return;
  }
  const uint32_t value = ReadRegister(static_cast<uint32_t>(offset));
  std::memcpy(data.data(), &value, sizeof(value));
}

void MmioTransport::Write(uint64_t offset, std::span<const uint8_t> data) {
  if (offset >= VIRTIO_MMIO_CONFIG || !IsRegisterAccess(offset, data.size())) {
    LOG_LIMITED(kDebug) << "virtio-mmio: write of " << data.size() << " bytes at 0x" << std::hex << offset;
    return;
  }
  uint32_t value;
  std::memcpy(&value, data.data(), sizeof(value));
  WriteRegister(static_cast<uint32_t>(offset), value);
}

uint32_t MmioTransport::ReadRegister(uint32_t offset) const {
  switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
      return kMagic;
    case VIRTIO_MMIO_VERSION:
      return kVersion;
    case VIRTIO_MMIO_DEVICE_ID:
      return core_->device_id();
    case VIRTIO_MMIO_VENDOR_ID:
      return kVendorId;
    case VIRTIO_MMIO_DEVICE_FEATURES:
      return core_->DeviceFeatures();
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
      return core_->QueueSizeMax();
    case VIRTIO_MMIO_QUEUE_READY:
      return core_->QueueReady() ? 1 : 0;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
      return core_->pending_interrupts();
    case VIRTIO_MMIO_STATUS:
      return core_->status();
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH: {
      const std::optional<SharedMemoryRegion> region = core_->SharedMemory(shared_memory_select_.load());
      // A region that does not exist has the length 2^64 - 1 (4.2.2).
      if (!region.has_value()) return ~uint32_t{0};
      if (offset == VIRTIO_MMIO_SHM_LEN_LOW) return Low(region->size.raw());
      if (offset == VIRTIO_MMIO_SHM_LEN_HIGH) return High(region->size.raw());
      if (offset == VIRTIO_MMIO_SHM_BASE_LOW) return Low(region->base.raw());
      return High(region->base.raw());
    }
    case VIRTIO_MMIO_CONFIG_GENERATION:
      return core_->config_generation();
    default:
      LOG_LIMITED(kDebug) << "virtio-mmio: no register to read at 0x" << std::hex << offset;
      return 0;
  }
}

void MmioTransport::WriteRegister(uint32_t offset, uint32_t value) {
  switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
      return core_->SelectDeviceFeatures(value);
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
      return core_->SelectDriverFeatures(value);
    case VIRTIO_MMIO_DRIVER_FEATURES:
      return core_->SetDriverFeatures(value);
    case VIRTIO_MMIO_QUEUE_SEL:
      return core_->SelectQueue(value);
    case VIRTIO_MMIO_QUEUE_NUM:
      return core_->SetQueueSize(value);
    case VIRTIO_MMIO_QUEUE_READY:
      return core_->SetQueueReady((value & 1) != 0);
    case VIRTIO_MMIO_QUEUE_NOTIFY:
      return core_->Notify(value);
    case VIRTIO_MMIO_INTERRUPT_ACK:
      return core_->AcknowledgeInterrupts(value);
    case VIRTIO_MMIO_STATUS:
      return core_->SetStatus(value);
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
      return core_->SetQueueAddressLow(QueuePart::kDescriptors, value);
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
      return core_->SetQueueAddressHigh(QueuePart::kDescriptors, value);
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
      return core_->SetQueueAddressLow(QueuePart::kDriverArea, value);
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
      return core_->SetQueueAddressHigh(QueuePart::kDriverArea, value);
    case VIRTIO_MMIO_QUEUE_USED_LOW:
      return core_->SetQueueAddressLow(QueuePart::kDeviceArea, value);
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
      return core_->SetQueueAddressHigh(QueuePart::kDeviceArea, value);
    case VIRTIO_MMIO_SHM_SEL:
      shared_memory_select_.store(value);
      return;
    default:
      LOG_LIMITED(kDebug) << "virtio-mmio: no register to write at 0x" << std::hex << offset;
  }
}

}  // namespace daxvmm::virtio
