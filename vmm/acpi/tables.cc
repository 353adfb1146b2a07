#include "vmm/acpi/tables.h"

#include <cstring>
#include <numeric>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "vmm/acpi/dsdt.h"
#include "vmm/acpi/wire.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::acpi {
namespace {

constexpr char kOemId[] = "DAXVMM";
constexpr char kOemTableId[] = "DAXVMM  ";
constexpr char kCreatorId[] = "DAXV";

template <typename T>
absl::string_view BytesOf(const T& object) {
  return absl::string_view(reinterpret_cast<const char*>(&object), sizeof(object));
}

// What makes the sum of `bytes` zero, if it replaces a byte that is zero now.
uint8_t Checksum(absl::string_view bytes) {
  return static_cast<uint8_t>(-std::accumulate(bytes.begin(), bytes.end(), 0u));
}

template <size_t n>
void SetText(const char (&text)[n], char (&field)[n - 1]) {
  memcpy(field, text, n - 1);
}

TableHeader Header(const char (&signature)[5], uint8_t revision) {
  TableHeader header = {};
  SetText(signature, header.signature);
  header.revision = revision;
  SetText(kOemId, header.oem_id);
  SetText(kOemTableId, header.oem_table_id);
  header.oem_revision = 1;
  SetText(kCreatorId, header.creator_id);
  header.creator_revision = 1;
  return header;
}

// Fills in the length and the checksum of a table that starts with its header.
std::string Finish(std::string table) {
  TableHeader header;
  memcpy(&header, table.data(), sizeof(header));
  header.length = static_cast<uint32_t>(table.size());
  header.checksum = 0;
  memcpy(table.data(), &header, sizeof(header));
  table[offsetof(TableHeader, checksum)] = static_cast<char>(Checksum(table));
  return table;
}

std::string BuildDsdt(const AcpiConfig& config) {
  // From revision 2 on integers are 64 bits wide.
  return Finish(std::string(BytesOf(Header("DSDT", 2))) + DsdtTerms(config));
}

GenericAddress BytePort(uint16_t port) {
  return {.space_id = kSpaceSystemIo, .bit_width = 8, .bit_offset = 0, .access_size = kAccessByte, .address = port};
}

std::string BuildFadt(GuestPhysAddr dsdt) {
  Fadt fadt = {};
  fadt.header = Header("FACP", 6);
  fadt.minor_version = 4;
  fadt.dsdt = static_cast<uint32_t>(dsdt.raw());
  fadt.x_dsdt = dsdt.raw();
  fadt.iapc_boot_arch = kIapcVgaNotPresent | kIapcCmosRtcNotPresent;
  fadt.flags =
      kFadtWbinvd | kFadtPowerButtonIsDevice | kFadtSleepButtonIsDevice | kFadtResetRegister | kFadtHardwareReduced;
  fadt.reset_register = BytePort(layout::kAcpiResetPort);
  fadt.reset_value = layout::kAcpiResetValue;
  fadt.sleep_control_register = BytePort(layout::kAcpiSleepControlPort);
  fadt.sleep_status_register = BytePort(layout::kAcpiSleepStatusPort);
  return Finish(std::string(BytesOf(fadt)));
}

std::string BuildMadt(unsigned cpus) {
  Madt madt = {};
  madt.header = Header("APIC", 5);
  madt.local_apic_address = static_cast<uint32_t>(layout::kLocalApic.raw());
  std::string out(BytesOf(madt));
  for (unsigned i = 0; i < cpus; ++i) {
    const auto id = static_cast<uint8_t>(i);
    out += std::string(BytesOf(MadtLocalApic{.processor_uid = id, .apic_id = id, .flags = kMadtProcessorEnabled}));
  }
  out += std::string(
      BytesOf(MadtIoApic{.io_apic_id = 0, .address = static_cast<uint32_t>(layout::kIoApic.raw()), .gsi_base = 0}));
  out += std::string(BytesOf(MadtLocalApicNmi{.processor_uid = kMadtAllProcessors, .flags = 0, .lint = 1}));
  return Finish(std::move(out));
}

std::string BuildXsdt(std::span<const GuestPhysAddr> tables) {
  std::string out(BytesOf(Header("XSDT", 1)));
  for (GuestPhysAddr table : tables) out += std::string(BytesOf(table.raw()));
  return Finish(std::move(out));
}

std::string BuildRsdp(GuestPhysAddr xsdt) {
  Rsdp rsdp = {};
  SetText("RSD PTR ", rsdp.signature);
  SetText(kOemId, rsdp.oem_id);
  rsdp.revision = 2;
  rsdp.length = sizeof(rsdp);
  rsdp.xsdt_address = xsdt.raw();
  rsdp.checksum = Checksum(BytesOf(rsdp).substr(0, 20));
  rsdp.extended_checksum = Checksum(BytesOf(rsdp));
  return std::string(BytesOf(rsdp));
}

// Hands out room for the tables, upwards and aligned, and writes them.
class TableArea {
 public:
  explicit TableArea(const memory::GuestMemory& memory) : memory_(memory) {}

  absl::StatusOr<GuestPhysAddr> Append(const std::string& table) {
    const GuestPhysAddr at = next_;
    const ByteCount used = (at - layout::kAcpiTables) + ByteCount(table.size());
    if (used > layout::kAcpiTablesMax) return absl::InvalidArgumentError("the ACPI tables do not fit in their area");
    RETURN_IF_ERROR(Write(at, table));
    next_ = (at + ByteCount(table.size())).AlignUp(ByteCount(16));
    return at;
  }

  absl::Status Write(GuestPhysAddr at, const std::string& table) const {
    if (memory_.Write(at, std::as_bytes(std::span(table)))) return absl::OkStatus();
    return absl::InternalError("the guest has no memory where its ACPI tables belong");
  }

 private:
  const memory::GuestMemory& memory_;
  GuestPhysAddr next_ = (layout::kAcpiTables + ByteCount(sizeof(Rsdp))).AlignUp(ByteCount(16));
};

absl::Status Validate(const AcpiConfig& config) {
  if (config.cpus == 0 || config.cpus > kMaxCpus) {
    return absl::InvalidArgumentError(absl::StrCat(config.cpus, " CPUs; 1 to ", kMaxCpus, " are possible"));
  }
  if (config.virtio_mmio.size() > kMaxVirtioMmioNodes) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.virtio_mmio.size(), " virtio devices; at most ", kMaxVirtioMmioNodes, " are possible"));
  }
  for (const VirtioMmioNode& node : config.virtio_mmio) {
    const std::optional<GuestPhysAddr> end = CheckedAdd(node.base, node.size);
    if (!end.has_value() || *end > layout::kMmioHoleEnd || node.size == ByteCount(0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a virtio device's registers at 0x", absl::Hex(node.base.raw()), " are not below 4 GiB"));
    }
    if (node.gsi.raw() >= layout::kIoApicPins) {
      return absl::InvalidArgumentError(absl::StrCat("interrupt ", node.gsi.raw(), " is not a pin of the IOAPIC"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GuestPhysAddr> WriteAcpiTables(const AcpiConfig& config, const memory::GuestMemory& memory) {
  RETURN_IF_ERROR(Validate(config));
  TableArea area(memory);
  ASSIGN_OR_RETURN(const GuestPhysAddr dsdt, area.Append(BuildDsdt(config)));
  ASSIGN_OR_RETURN(const GuestPhysAddr fadt, area.Append(BuildFadt(dsdt)));
  ASSIGN_OR_RETURN(const GuestPhysAddr madt, area.Append(BuildMadt(config.cpus)));
  const GuestPhysAddr listed[] = {fadt, madt};
  ASSIGN_OR_RETURN(const GuestPhysAddr xsdt, area.Append(BuildXsdt(listed)));
  RETURN_IF_ERROR(area.Write(layout::kAcpiTables, BuildRsdp(xsdt)));
  return layout::kAcpiTables;
}

}  // namespace daxvmm::vmm::acpi
