#include "vmm/boot/long_mode.h"

#include <array>
#include <cstddef>
#include <span>

#include "base/status.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

// Intel SDM volume 3, 4.5: entries of the four-level page tables.
constexpr uint64_t kPresent = 1u << 0;
constexpr uint64_t kWritable = 1u << 1;
constexpr uint64_t kLargePage = 1u << 7;
constexpr size_t kEntries = 512;
constexpr size_t kDirectories = 4;  // of 1 GiB each

using PageTable = std::array<uint64_t, kEntries>;
static_assert(sizeof(PageTable) == kPageSize.raw());

// Intel SDM volume 3, 3.4.5.1 and 3.5: segment types.
constexpr uint8_t kCodeReadExecuteAccessed = 0xb;
constexpr uint8_t kDataReadWriteAccessed = 0x3;
constexpr uint8_t kBusyTss = 0xb;

constexpr uint16_t kCodeSelector = 0x10;
constexpr uint16_t kDataSelector = 0x18;
constexpr uint16_t kTaskSelector = 0x20;

// The eight bytes of a descriptor (a 64-bit TSS has eight more, which hold the upper half of its base).
constexpr uint64_t Descriptor(const SegmentState& s) {
  const uint64_t limit = s.granularity ? s.limit >> 12 : s.limit;
  uint64_t d = (limit & 0xffff) | (s.base & 0xff'ffff) << 16 | (limit >> 16 & 0xf) << 48 | (s.base >> 24 & 0xff) << 56;
  d |= uint64_t{s.type} << 40 | uint64_t{!s.system} << 44 | uint64_t{s.dpl} << 45 | uint64_t{s.present} << 47;
  d |= uint64_t{s.long_mode} << 53 | uint64_t{s.db} << 54 | uint64_t{s.granularity} << 55;
  return d;
}

constexpr SegmentState kCode{.limit = 0xffff'ffff,
                             .selector = kCodeSelector,
                             .type = kCodeReadExecuteAccessed,
                             .long_mode = true,
                             .granularity = true};
constexpr SegmentState kData{
    .limit = 0xffff'ffff, .selector = kDataSelector, .type = kDataReadWriteAccessed, .db = true, .granularity = true};
constexpr SegmentState kTask{.limit = 0xffff, .selector = kTaskSelector, .type = kBusyTss, .system = true};

constexpr std::array<uint64_t, 6> kGdt = {0, 0, Descriptor(kCode), Descriptor(kData), Descriptor(kTask), 0};
static_assert(kGdt[kCodeSelector / 8] == 0x00af'9b00'0000'ffff);
static_assert(kGdt[kDataSelector / 8] == 0x00cf'9300'0000'ffff);
static_assert(layout::kGdt + ByteCount(sizeof(kGdt)) <= layout::kBootParams);

constexpr GuestPhysAddr TableAt(size_t index) { return layout::kPageTables + ByteCount(index * sizeof(PageTable)); }
static_assert(TableAt(2 + kDirectories) <= layout::kCommandLine);

}  // namespace

absl::StatusOr<LongModeState> WriteLongModeTables(const memory::GuestMemory& memory) {
  std::array<PageTable, 2 + kDirectories> tables = {};
  tables[0][0] = TableAt(1).raw() | kPresent | kWritable;
  for (size_t d = 0; d < kDirectories; ++d) {
    tables[1][d] = TableAt(2 + d).raw() | kPresent | kWritable;
    for (size_t i = 0; i < kEntries; ++i) {
      tables[2 + d][i] = (d * kEntries + i) * MiB(2).raw() | kPresent | kWritable | kLargePage;
    }
  }
  if (!memory.WriteObject(layout::kPageTables, tables) || !memory.WriteObject(layout::kGdt, kGdt)) {
    return absl::InternalError("the guest has no memory where its page tables and GDT belong");
  }
  return LongModeState{.page_table_root = layout::kPageTables,
                       .gdt = layout::kGdt,
                       .gdt_limit = sizeof(kGdt) - 1,
                       .code = kCode,
                       .data = kData,
                       .task = kTask};
}

}  // namespace daxvmm::vmm::boot
