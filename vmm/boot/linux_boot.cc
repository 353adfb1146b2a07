#include "vmm/boot/linux_boot.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "vmm/boot/e820.h"
#include "vmm/boot/reset_vector.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

// The fields that are filled in below (Documentation/arch/x86/zero-page.rst).
static_assert(sizeof(boot_params) == kPageSize.raw());
static_assert(offsetof(boot_params, acpi_rsdp_addr) == 0x070);
static_assert(offsetof(boot_params, ext_ramdisk_image) == 0x0c0);
static_assert(offsetof(boot_params, e820_entries) == 0x1e8);
static_assert(offsetof(boot_params, sentinel) == 0x1ef);
static_assert(offsetof(boot_params, hdr) == 0x1f1);
static_assert(offsetof(boot_params, e820_table) == 0x2d0);
static_assert(sizeof(boot_e820_entry) == 20);

constexpr uint8_t kUndefinedLoader = 0xff;
constexpr uint16_t kNormalVideoMode = 0xffff;

// `status` with the input in front that an operator would have to change.
absl::Status Blame(absl::string_view input, const absl::Status& status) {
  if (status.ok() || absl::IsInternal(status)) return status;
  return absl::Status(status.code(), absl::StrCat(input, ": ", status.message()));
}

uint64_t MebibytesUp(ByteCount size) { return (size.raw() >> 20) + (size.raw() % MiB(1).raw() != 0 ? 1 : 0); }
uint64_t MebibytesDown(ByteCount size) { return size.raw() >> 20; }

// The end of the RAM that begins at address 0, below the hole for devices; 0 if there is none.
GuestPhysAddr LowRamEnd(const memory::GuestMemory& memory) {
  const memory::Region* region = memory.Find(GuestPhysAddr(0));
  if (region == nullptr || region->kind != memory::RegionKind::kRam) return GuestPhysAddr(0);
  return std::min(region->base + region->size, layout::kMmioHoleStart);
}

// As high as it may lie, so that the kernel has one large free range above itself: page-aligned, and clear of what the
// kernel uses before it knows that there is an initramfs.
absl::StatusOr<GuestPhysAddr> PlaceInitramfs(const KernelImage& kernel, ByteCount size, GuestPhysAddr ram_end) {
  const GuestPhysAddr top = std::min(kernel.initramfs_limit, ram_end);
  const GuestPhysAddr bottom = kernel.end.AlignUp(kPageSize);
  const ByteCount room = top > bottom ? top - bottom : ByteCount(0);
  if (size <= room) {
    const GuestPhysAddr start = top - size;
    const GuestPhysAddr aligned = start - ByteCount(start.raw() % kPageSize.raw());
    if (aligned >= bottom) return aligned;
  }
  if (kernel.initramfs_limit < ram_end) {
    return absl::InvalidArgumentError(absl::StrCat("initrd: initramfs does not fit: ", MebibytesUp(size),
                                                   " MiB, but this kernel takes at most ", MebibytesDown(room),
                                                   " MiB, whatever the memory"));
  }
  return absl::InvalidArgumentError(absl::StrCat("initrd: initramfs does not fit: ", MebibytesUp(size),
                                                 " MiB, but only ", MebibytesDown(room),
                                                 " MiB of memory are free above the kernel"));
}

absl::Status CheckMemory(const KernelImage& kernel, GuestPhysAddr ram_end) {
  // The kernel's area lies below 3 GiB, so enough memory is all that it takes.
  if (kernel.end <= ram_end) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("mem: memory too small for this kernel: needs at least ",
                                                 MebibytesUp(kernel.end - GuestPhysAddr(0)), " MiB to start"));
}

absl::Status CheckCommandLine(const KernelImage& kernel, const std::string& line) {
  const ByteCount limit = std::min(kernel.command_line_max, layout::kCommandLineMax - ByteCount(1));
  if (line.size() > limit.raw()) {
    return absl::InvalidArgumentError(absl::StrCat("cmdline: command line too long: ", line.size(),
                                                   " bytes, but this kernel takes at most ", limit.raw()));
  }
  // The kernel would silently ignore what follows.
  if (line.find('\0') != std::string::npos) return absl::InvalidArgumentError("cmdline: it has a NUL in it");
  return absl::OkStatus();
}

boot_params MakeBootParams(const BootRequest& request, std::optional<GuestPhysAddr> initramfs,
                           std::span<const boot_e820_entry> map) {
  boot_params params = {};
  setup_header& header = params.hdr;
  header = request.kernel.header;
  header.type_of_loader = kUndefinedLoader;
  header.loadflags = static_cast<uint8_t>((header.loadflags | LOADED_HIGH) & ~(CAN_USE_HEAP | KEEP_SEGMENTS));
  header.vid_mode = kNormalVideoMode;
  header.code32_start = static_cast<uint32_t>(request.kernel.begin.raw());
  header.cmd_line_ptr = static_cast<uint32_t>(layout::kCommandLine.raw());
  header.setup_data = 0;
  header.ramdisk_image = 0;
  header.ramdisk_size = 0;
  if (initramfs.has_value()) {
    // Both fit in 32 bits: it lies below 3 GiB.
    header.ramdisk_image = static_cast<uint32_t>(initramfs->raw());
    header.ramdisk_size = static_cast<uint32_t>(request.initramfs->size().raw());
  }
  if (request.rsdp.has_value()) params.acpi_rsdp_addr = request.rsdp->raw();

  std::copy(map.begin(), map.end(), params.e820_table);
  params.e820_entries = static_cast<uint8_t>(map.size());
  return params;
}

}  // namespace

absl::StatusOr<BootState> LoadLinux(const BootRequest& request, const memory::GuestMemory& memory) {
  const KernelImage& kernel = request.kernel;
  const GuestPhysAddr ram_end = LowRamEnd(memory);
  RETURN_IF_ERROR(CheckMemory(kernel, ram_end));
  RETURN_IF_ERROR(CheckCommandLine(kernel, request.command_line));
  std::optional<GuestPhysAddr> initramfs;
  if (request.initramfs != nullptr) {
    ASSIGN_OR_RETURN(initramfs, PlaceInitramfs(kernel, request.initramfs->size(), ram_end));
  }
  const std::vector<boot_e820_entry> map = E820Map(memory);
  if (map.size() > E820_MAX_ENTRIES_ZEROPAGE) return absl::InternalError("guest memory in too many pieces");

  for (const KernelSegment& segment : kernel.segments) {
    RETURN_IF_ERROR(Blame("kernel", kernel.file.ReadToGuest(segment.from, segment.file_size, memory, segment.to)));
  }
  if (initramfs.has_value()) {
    const BootFile& file = *request.initramfs;
    RETURN_IF_ERROR(Blame("initrd", file.ReadToGuest(FileOffset(0), file.size(), memory, *initramfs)));
  }
  // c_str(): with its NUL.
  const std::span<const char> line(request.command_line.c_str(), request.command_line.size() + 1);
  if (!memory.Write(layout::kCommandLine, std::as_bytes(line)) ||
      !memory.WriteObject(layout::kBootParams, MakeBootParams(request, initramfs, map))) {
    return absl::InternalError("the guest has no memory where its boot parameters belong");
  }
  RETURN_IF_ERROR(WriteResetVector(memory));
  ASSIGN_OR_RETURN(const LongModeState cpu, WriteLongModeTables(memory));
  return BootState{.entry = kernel.entry,
                   .boot_params = layout::kBootParams,
                   .stack = layout::kBootStack,
                   .cpu = cpu,
                   .initramfs = initramfs};
}

}  // namespace daxvmm::vmm::boot
