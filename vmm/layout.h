// Where everything lies in the guest's address spaces. Fixed: nothing here depends on the host.
#ifndef DAXVMM_VMM_LAYOUT_H_
#define DAXVMM_VMM_LAYOUT_H_

#include <cstdint>

#include "base/units.h"

namespace daxvmm::vmm::layout {

// Low memory, below 1 MiB.
inline constexpr GuestPhysAddr kGdt{0x500};
inline constexpr GuestPhysAddr kBootParams{0x7000};  // the "zero page"
inline constexpr GuestPhysAddr kBootStack{0x8ff0};
inline constexpr GuestPhysAddr kPageTables{0x9000};  // PML4, PDPT and four page directories: 4 GiB of 2 MiB pages
inline constexpr GuestPhysAddr kCommandLine{0x20000};
inline constexpr ByteCount kCommandLineMax = KiB(64);
inline constexpr GuestPhysAddr kLowMemoryEnd{0x9fc00};
// RSDP first (the kernel is also told its address), then the other tables. Reserved in the e820 map.
inline constexpr GuestPhysAddr kAcpiTables{0xe0000};
inline constexpr ByteCount kAcpiTablesMax = KiB(124);
// F000:FFF0 in real mode, in the reserved range behind the tables.
inline constexpr GuestPhysAddr kFirmwareEntry{0xffff0};
inline constexpr ByteCount kFirmwareEntrySize{16};
inline constexpr GuestPhysAddr kHighMemoryStart{0x100000};

// The hole for devices, 3 GiB to 4 GiB: RAM beyond 3 GiB continues at 4 GiB.
inline constexpr GuestPhysAddr kMmioHoleStart{0xc000'0000};
inline constexpr GuestPhysAddr kMmioHoleEnd{0x1'0000'0000};
inline constexpr GuestPhysAddr kVirtioMmioBase{0xd000'0000};
inline constexpr ByteCount kVirtioMmioSize = KiB(4);
inline constexpr GuestPhysAddr kIoApic{0xfec0'0000};
inline constexpr GuestPhysAddr kLocalApic{0xfee0'0000};
inline constexpr GuestPhysAddr kIdentityMap{0xfffb'c000};  // one page that KVM needs on VT-x
inline constexpr GuestPhysAddr kTss{0xfffb'd000};          // three pages that KVM needs on VT-x

// I/O ports.
inline constexpr uint16_t kSerialPort = 0x3f8;
inline constexpr uint16_t kSerialPortSize = 8;
inline constexpr uint16_t kPvpanicPort = 0x505;
inline constexpr uint16_t kAcpiSleepControlPort = 0x600;  // ACPI 6.4, 4.8.3.7
inline constexpr uint16_t kAcpiSleepStatusPort = 0x601;
inline constexpr uint16_t kAcpiResetPort = 0x602;
inline constexpr uint8_t kAcpiResetValue = 1;
inline constexpr uint8_t kAcpiSleepTypeS5 = 5;

// Interrupt lines: the 24 pins of the in-kernel IOAPIC.
inline constexpr Gsi kSerialGsi{4};
inline constexpr Gsi kPowerButtonGsi{5};
inline constexpr Gsi kFirstVirtioGsi{8};
inline constexpr unsigned kIoApicPins = 24;
// One line each.
inline constexpr unsigned kMaxVirtioDevices = kIoApicPins - 8;

// DAX windows lie above RAM and above 4 GiB, each on a boundary of 1 GiB, so that the guest's direct map of it can use
// large pages and it shares no memory section with another.
inline constexpr ByteCount kWindowAlignment = GiB(1);

}  // namespace daxvmm::vmm::layout

#endif  // DAXVMM_VMM_LAYOUT_H_
