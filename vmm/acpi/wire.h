// The fixed ACPI tables as the guest reads them: little-endian and packed. Sections of ACPI 6.4.
#ifndef DAXVMM_VMM_ACPI_WIRE_H_
#define DAXVMM_VMM_ACPI_WIRE_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace daxvmm::vmm::acpi {

static_assert(std::endian::native == std::endian::little, "the structs below are written as they lie in memory");

// 5.2.5.3
struct [[gnu::packed]] Rsdp {
  char signature[8];
  uint8_t checksum;  // of the first 20 bytes
  char oem_id[6];
  uint8_t revision;
  uint32_t rsdt_address;
  uint32_t length;
  uint64_t xsdt_address;
  uint8_t extended_checksum;  // of everything
  uint8_t reserved[3];
};
static_assert(sizeof(Rsdp) == 36);

// 5.2.6: in front of every table but the RSDP.
struct [[gnu::packed]] TableHeader {
  char signature[4];
  uint32_t length;
  uint8_t revision;
  uint8_t checksum;
  char oem_id[6];
  char oem_table_id[8];
  uint32_t oem_revision;
  char creator_id[4];
  uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);
static_assert(offsetof(TableHeader, checksum) == 9);

// 5.2.3.2
struct [[gnu::packed]] GenericAddress {
  uint8_t space_id;
  uint8_t bit_width;
  uint8_t bit_offset;
  uint8_t access_size;
  uint64_t address;
};
static_assert(sizeof(GenericAddress) == 12);

inline constexpr uint8_t kSpaceSystemIo = 1;
inline constexpr uint8_t kAccessByte = 1;

// 5.2.9. On hardware-reduced ACPI everything of the PM register blocks is ignored.
struct [[gnu::packed]] Fadt {
  TableHeader header;
  uint32_t firmware_ctrl;
  uint32_t dsdt;
  uint8_t reserved_44;
  uint8_t preferred_pm_profile;
  uint8_t pm_blocks_46[63];
  uint16_t iapc_boot_arch;
  uint8_t reserved_111;
  uint32_t flags;
  GenericAddress reset_register;
  uint8_t reset_value;
  uint16_t arm_boot_arch;
  uint8_t minor_version;
  uint64_t x_firmware_ctrl;
  uint64_t x_dsdt;
  uint8_t x_pm_blocks_148[96];
  GenericAddress sleep_control_register;
  GenericAddress sleep_status_register;
  uint64_t hypervisor_vendor;
};
static_assert(sizeof(Fadt) == 276);
static_assert(offsetof(Fadt, iapc_boot_arch) == 109);
static_assert(offsetof(Fadt, flags) == 112);
static_assert(offsetof(Fadt, reset_register) == 116);
static_assert(offsetof(Fadt, minor_version) == 131);
static_assert(offsetof(Fadt, x_dsdt) == 140);
static_assert(offsetof(Fadt, sleep_control_register) == 244);
static_assert(offsetof(Fadt, hypervisor_vendor) == 268);

// Table 5.10
inline constexpr uint32_t kFadtWbinvd = 1u << 0;
inline constexpr uint32_t kFadtPowerButtonIsDevice = 1u << 4;  // or there is none: no fixed-feature button
inline constexpr uint32_t kFadtSleepButtonIsDevice = 1u << 5;
inline constexpr uint32_t kFadtResetRegister = 1u << 10;
inline constexpr uint32_t kFadtHardwareReduced = 1u << 20;
// Table 5.11. The bits for an 8042 and for legacy devices stay clear.
inline constexpr uint16_t kIapcVgaNotPresent = 1u << 2;
inline constexpr uint16_t kIapcCmosRtcNotPresent = 1u << 5;

// 5.2.12
struct [[gnu::packed]] Madt {
  TableHeader header;
  uint32_t local_apic_address;
  uint32_t flags;
};
static_assert(sizeof(Madt) == 44);

// 5.2.12.2
struct [[gnu::packed]] MadtLocalApic {
  uint8_t type = 0;
  uint8_t length = 8;
  uint8_t processor_uid;
  uint8_t apic_id;
  uint32_t flags;
};
static_assert(sizeof(MadtLocalApic) == 8);
inline constexpr uint32_t kMadtProcessorEnabled = 1u << 0;

// 5.2.12.3
struct [[gnu::packed]] MadtIoApic {
  uint8_t type = 1;
  uint8_t length = 12;
  uint8_t io_apic_id;
  uint8_t reserved = 0;
  uint32_t address;
  uint32_t gsi_base;
};
static_assert(sizeof(MadtIoApic) == 12);

// 5.2.12.7
struct [[gnu::packed]] MadtLocalApicNmi {
  uint8_t type = 4;
  uint8_t length = 6;
  uint8_t processor_uid;
  uint16_t flags;
  uint8_t lint;
};
static_assert(sizeof(MadtLocalApicNmi) == 6);
inline constexpr uint8_t kMadtAllProcessors = 0xff;

}  // namespace daxvmm::vmm::acpi

#endif  // DAXVMM_VMM_ACPI_WIRE_H_
