// The ACPI tables that announce the machine to the guest's kernel: hardware-reduced ACPI 6.4 (4.1), that is, without
// SCI, PM timer, PIT, 8259 or FACS.
//
// Beside the CPUs, the IOAPIC and the virtio-mmio devices of the config, the tables always hold COM1, a pvpanic port,
// a power button signalled by a Generic Event Device, and the sleep and reset registers, all at the places of
// vmm/layout.h.
#ifndef DAXVMM_VMM_ACPI_TABLES_H_
#define DAXVMM_VMM_ACPI_TABLES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm::acpi {

// A virtio-mmio transport: its register window, below 4 GiB, and its interrupt, raised as an edge.
struct VirtioMmioNode {
  GuestPhysAddr base;
  ByteCount size;
  Gsi gsi;
};

struct AcpiConfig {
  unsigned cpus = 1;  // the APIC id of each is its index
  std::vector<VirtioMmioNode> virtio_mmio;
};

// APIC ids are 8 bits wide without x2APIC, and 255 addresses all of them.
inline constexpr unsigned kMaxCpus = 255;
// The namespace numbers them with two digits.
inline constexpr size_t kMaxVirtioMmioNodes = 256;

// Writes all tables from layout::kAcpiTables up, and returns the RSDP's address. INVALID_ARGUMENT if the config exceeds
// a limit above, a register window does not lie below 4 GiB, or an interrupt is no pin of the IOAPIC; INTERNAL if
// `memory` has no RAM there.
absl::StatusOr<GuestPhysAddr> WriteAcpiTables(const AcpiConfig& config, const memory::GuestMemory& memory);

}  // namespace daxvmm::vmm::acpi

#endif  // DAXVMM_VMM_ACPI_TABLES_H_
