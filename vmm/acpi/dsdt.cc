#include "vmm/acpi/dsdt.h"

#include "absl/strings/str_format.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::acpi {
namespace {

// Present, enabled and working, but not shown to the user (ACPI 6.4, 6.3.7).
constexpr uint64_t kStaHidden = 0xb;
// "Button pressed" (ACPI 6.4, 4.8.2.2.1.2).
constexpr uint64_t kNotifyButton = 0x80;
constexpr char kPowerButton[] = "\\_SB.PWRB";

// The kernel matches the MADT's entries with these by _UID; without them it has CPUs but no processor devices.
aml::Bytes Processors(unsigned count) {
  aml::Bytes out;
  for (unsigned i = 0; i < count; ++i) {
    out += aml::Device(absl::StrFormat("C%03X", i),
                       aml::Name("_HID", aml::String("ACPI0007")) + aml::Name("_UID", aml::Integer(i)));
  }
  return out;
}

// Without this node ttyS0 would have no interrupt: hardware-reduced ACPI knows no preassigned ISA lines.
aml::Bytes SerialPort() {
  return aml::Device(
      "COM1", aml::Name("_HID", aml::EisaId("PNP0501")) + aml::Name("_UID", aml::Integer(0)) +
                  aml::Name("_CRS", aml::ResourceTemplate(aml::IoPorts(layout::kSerialPort, layout::kSerialPortSize) +
                                                          aml::EdgeInterrupt(layout::kSerialGsi))));
}

// Linux's virtio_mmio knows this _HID, and looks at the first memory range and the first interrupt only. _CCA: DMA is
// coherent (ACPI 6.4, 6.2.17).
aml::Bytes VirtioMmio(const std::vector<VirtioMmioNode>& nodes) {
  aml::Bytes out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    out += aml::Device(absl::StrFormat("VR%02X", i),
                       aml::Name("_HID", aml::String("LNRO0005")) + aml::Name("_UID", aml::Integer(i)) +
                           aml::Name("_CCA", aml::Integer(1)) +
                           aml::Name("_CRS", aml::ResourceTemplate(aml::Memory32Fixed(nodes[i].base, nodes[i].size) +
                                                                   aml::EdgeInterrupt(nodes[i].gsi))));
  }
  return out;
}

// One byte-wide port, as QEMU's docs/specs/pvpanic has it.
aml::Bytes Pvpanic() {
  return aml::Device("PEVT", aml::Name("_HID", aml::String("QEMU0001")) +
                                 aml::Name("_CRS", aml::ResourceTemplate(aml::IoPorts(layout::kPvpanicPort, 1))) +
                                 aml::Name("_STA", aml::Integer(kStaHidden)));
}

// There is no SCI to press a button with, so a Generic Event Device stands in (ACPI 6.4, 5.6.9). The power button is
// its only event, so _EVT need not look at its argument.
aml::Bytes PowerButton() {
  return aml::Device("PWRB", aml::Name("_HID", aml::EisaId("PNP0C0C")) + aml::Name("_UID", aml::Integer(0))) +
         aml::Device("GED0", aml::Name("_HID", aml::String("ACPI0013")) + aml::Name("_UID", aml::Integer(0)) +
                                 aml::Name("_CRS", aml::ResourceTemplate(aml::EdgeInterrupt(layout::kPowerButtonGsi))) +
                                 aml::Method("_EVT", 1, /*serialized=*/true, aml::Notify(kPowerButton, kNotifyButton)));
}

}  // namespace

aml::Bytes DsdtTerms(const AcpiConfig& config) {
  // The first element is what the guest writes to SLP_TYP for soft-off (ACPI 6.4, 7.4.2).
  const aml::Bytes soft_off =
      aml::Package({aml::Integer(layout::kAcpiSleepTypeS5), aml::Integer(0), aml::Integer(0), aml::Integer(0)});
  return aml::Name("\\_S5", soft_off) +
         aml::Scope("\\_SB", Processors(config.cpus) + SerialPort() + VirtioMmio(config.virtio_mmio) + Pvpanic() +
                                 PowerButton());
}

}  // namespace daxvmm::vmm::acpi
