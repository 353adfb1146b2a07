#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "vmm/kvm/flex_array.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {

absl::Status KvmVm::SetTssAddress(GuestPhysAddr at) {
  if (ioctl(fd_.get(), KVM_SET_TSS_ADDR, at.raw()) < 0) return ErrnoStatus(errno, "KVM_SET_TSS_ADDR");
  return absl::OkStatus();
}

absl::Status KvmVm::SetIdentityMapAddress(GuestPhysAddr at) {
  uint64_t address = at.raw();
  if (ioctl(fd_.get(), KVM_SET_IDENTITY_MAP_ADDR, &address) < 0) {
    return ErrnoStatus(errno, "KVM_SET_IDENTITY_MAP_ADDR");
  }
  return absl::OkStatus();
}

absl::Status KvmVm::CreateIrqchip() {
  if (ioctl(fd_.get(), KVM_CREATE_IRQCHIP, 0) < 0) return ErrnoStatus(errno, "KVM_CREATE_IRQCHIP");
  return absl::OkStatus();
}

absl::Status KvmVm::RouteGsisToIoApic(unsigned pins) {
  FlexArray<kvm_irq_routing, kvm_irq_routing_entry> routing(pins);
  routing->nr = pins;
  for (unsigned pin = 0; pin < pins; ++pin) {
    kvm_irq_routing_entry& entry = routing->entries[pin];
    entry.gsi = pin;
    entry.type = KVM_IRQ_ROUTING_IRQCHIP;
    entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
    entry.u.irqchip.pin = pin;
  }
  if (ioctl(fd_.get(), KVM_SET_GSI_ROUTING, routing.get()) < 0) return ErrnoStatus(errno, "KVM_SET_GSI_ROUTING");
  return absl::OkStatus();
}

absl::Status KvmVm::SetMemory(MemorySlot slot, const memory::Region& region) {
  kvm_userspace_memory_region request{};
  request.slot = slot.raw();
  request.flags = region.writable ? 0 : KVM_MEM_READONLY;
  request.guest_phys_addr = region.base.raw();
  request.memory_size = region.size.raw();
  request.userspace_addr = reinterpret_cast<uintptr_t>(region.host);
  if (ioctl(fd_.get(), KVM_SET_USER_MEMORY_REGION, &request) < 0) {
    return ErrnoStatus(errno, absl::StrFormat("KVM_SET_USER_MEMORY_REGION: slot %d, 0x%x bytes at 0x%x", slot.raw(),
                                              region.size.raw(), region.base.raw()));
  }
  return absl::OkStatus();
}

absl::Status KvmVm::AddIrqFd(const EventFd& event, Gsi gsi) {
  kvm_irqfd request{};
  request.fd = static_cast<uint32_t>(event.fd());
  request.gsi = gsi.raw();
  if (ioctl(fd_.get(), KVM_IRQFD, &request) < 0) return ErrnoStatus(errno, absl::StrCat("KVM_IRQFD: GSI ", gsi.raw()));
  return absl::OkStatus();
}

absl::Status KvmVm::AddIoEventFd(const EventFd& event, GuestPhysAddr at, uint32_t value) {
  kvm_ioeventfd request{};
  request.addr = at.raw();
  request.len = sizeof(uint32_t);
  request.datamatch = value;
  request.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  request.fd = event.fd();
  if (ioctl(fd_.get(), KVM_IOEVENTFD, &request) < 0) {
    return ErrnoStatus(errno, absl::StrFormat("KVM_IOEVENTFD: 0x%x", at.raw()));
  }
  return absl::OkStatus();
}

absl::StatusOr<KvmVcpu> KvmVm::CreateVcpu(unsigned index) {
  UniqueFd fd(ioctl(fd_.get(), KVM_CREATE_VCPU, static_cast<unsigned long>(index)));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("KVM_CREATE_VCPU ", index));
  void* run = mmap(nullptr, run_size_.raw(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (run == MAP_FAILED) return ErrnoStatus(errno, absl::StrCat("mmap of vCPU ", index));
  return KvmVcpu(std::move(fd), memory::Mapping(run, run_size_));
}

}  // namespace daxvmm::vmm
