#include "vmm/boot/linux_boot.h"

#include <asm/e820.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "memory/mapping.h"
#include "vmm/boot/e820.h"
#include "vmm/boot/test_kernels.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

// RAM as a machine lays it out; nothing is committed until it is touched.
struct Ram {
  explicit Ram(ByteCount size) {
    auto allocated = memory::Mapping::Anonymous(size);
    EXPECT_TRUE(allocated.ok()) << allocated.status();
    mapping = *std::move(allocated);
    const ByteCount low = std::min(size, GiB(3));
    std::vector<memory::Region> regions = {{GuestPhysAddr(0), low, mapping.data()}};
    if (size > low) regions.push_back({GuestPhysAddr(GiB(4).raw()), size - low, mapping.data() + low.raw()});
    auto created = memory::GuestMemory::Create(regions);
    EXPECT_TRUE(created.ok()) << created.status();
    memory.emplace(*std::move(created));
  }

  std::string Bytes(GuestPhysAddr at, size_t size) const {
    std::string out(size, '\0');
    EXPECT_TRUE(memory->Read(at, std::as_writable_bytes(std::span(out))));
    return out;
  }
  template <typename T>
  T Object(GuestPhysAddr at) const {
    const std::optional<T> object = memory->ReadObject<T>(at);
    EXPECT_TRUE(object.has_value());
    return object.value_or(T{});
  }

  memory::Mapping mapping;
  std::optional<memory::GuestMemory> memory;
};

KernelImage MakeKernel(const setup_header& header = MakeSetupHeader()) {
  auto image = ParseKernel(MakeBootFile(MakeBzImage(header)));
  EXPECT_TRUE(image.ok()) << image.status();
  return *std::move(image);
}

// A sparse file: reads as zeros and occupies nothing.
BootFile SparseFile(ByteCount size) {
  UniqueFd fd = MakeFile("");
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size.raw())), 0);
  return *BootFile::FromFd(std::move(fd), "sparse");
}

using Map = std::vector<std::tuple<uint64_t, uint64_t, uint32_t>>;

Map E820Of(const Ram& ram) {
  Map out;
  for (const boot_e820_entry& e : E820Map(*ram.memory)) out.emplace_back(e.addr, e.size, e.type);
  return out;
}

constexpr uint64_t kLow = 0x9fc00;
constexpr uint64_t kMega = 1 << 20;

TEST(E820Test, MapsLowMemoryTheHoleAndTheRest) {
  const auto below_1m = [](Map rest) {
    Map map = {{0, kLow, E820_RAM}, {kLow, kMega - kLow, E820_RESERVED}};
    map.insert(map.end(), rest.begin(), rest.end());
    return map;
  };
  EXPECT_EQ(E820Of(Ram(MiB(128))), below_1m({{kMega, 127 * kMega, E820_RAM}}));
  EXPECT_EQ(E820Of(Ram(GiB(3))), below_1m({{kMega, 3071 * kMega, E820_RAM}}));
  EXPECT_EQ(E820Of(Ram(GiB(5))), below_1m({{kMega, 3071 * kMega, E820_RAM}, {4096 * kMega, 2048 * kMega, E820_RAM}}));
}

TEST(E820Test, WindowsAreLeftOut) {
  Ram ram(MiB(128));
  auto memory = memory::GuestMemory::Create(
      {{GuestPhysAddr(0), MiB(64), ram.mapping.data()},
       {GuestPhysAddr(GiB(8).raw()), MiB(64), ram.mapping.data() + MiB(64).raw(), memory::RegionKind::kWindow}});
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(E820Map(*memory).size(), 3u);
}

TEST(LinuxBootTest, FillsMemoryAsTheProtocolAsks) {
  const KernelImage kernel = MakeKernel();
  const std::string cpio = Pattern(5000);
  const BootFile initramfs = MakeBootFile(cpio);
  Ram ram(MiB(128));
  auto state = LoadLinux({.kernel = kernel,
                          .initramfs = &initramfs,
                          .command_line = "console=ttyS0 quiet",
                          .rsdp = GuestPhysAddr(0xe0000)},
                         *ram.memory);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->entry, GuestPhysAddr(0x100'0200));
  EXPECT_EQ(state->boot_params, layout::kBootParams);
  EXPECT_EQ(state->stack, layout::kBootStack);
  EXPECT_EQ(state->initramfs, GuestPhysAddr(MiB(128).raw() - 8192)) << "the last whole pages of RAM";

  EXPECT_EQ(ram.Bytes(GuestPhysAddr(0x100'0000), 4096), Pattern(4096));
  EXPECT_EQ(ram.Bytes(*state->initramfs, cpio.size()), cpio);
  EXPECT_EQ(ram.Bytes(layout::kCommandLine, 20), std::string("console=ttyS0 quiet\0", 20));

  const std::string page = ram.Bytes(layout::kBootParams, 4096);
  const auto field = [&page](size_t offset, size_t size) {
    uint64_t value = 0;
    memcpy(&value, page.data() + offset, size);
    return value;
  };
  EXPECT_EQ(field(0x070, 8), 0xe0000u) << "acpi_rsdp_addr";
  EXPECT_EQ(field(0x0c0, 4), 0u) << "ext_ramdisk_image";
  EXPECT_EQ(field(0x1e8, 1), 3u) << "e820_entries";
  EXPECT_EQ(field(0x1ef, 1), 0u) << "sentinel";
  EXPECT_EQ(field(0x1fa, 2), 0xffffu) << "vid_mode";
  EXPECT_EQ(field(0x1fe, 2), 0xaa55u) << "boot_flag";
  EXPECT_EQ(field(0x202, 4), 0x53726448u) << "HdrS";
  EXPECT_EQ(field(0x206, 2), 0x020fu) << "version";
  EXPECT_EQ(field(0x210, 1), 0xffu) << "type_of_loader";
  EXPECT_EQ(field(0x211, 1), 1u) << "loadflags: LOADED_HIGH, no heap";
  EXPECT_EQ(field(0x218, 4), state->initramfs->raw()) << "ramdisk_image";
  EXPECT_EQ(field(0x21c, 4), cpio.size()) << "ramdisk_size";
  EXPECT_EQ(field(0x228, 4), layout::kCommandLine.raw()) << "cmd_line_ptr";
  EXPECT_EQ(field(0x2d0, 8), 0u);
  EXPECT_EQ(field(0x2d8, 8), kLow);
  EXPECT_EQ(field(0x2e0, 4), 1u);
  EXPECT_EQ(field(0x2f8, 8), kMega);
}

TEST(LinuxBootTest, LoadsElfWithItsOwnZeroPage) {
  auto kernel = ParseKernel(MakeBootFile(MakeElf(MakeElfHeader(), MakeElfPieces())));
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  Ram ram(MiB(32));
  auto state = LoadLinux({.kernel = *kernel}, *ram.memory);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->entry, GuestPhysAddr(0x100'0040));
  EXPECT_FALSE(state->initramfs.has_value());
  EXPECT_EQ(ram.Bytes(GuestPhysAddr(0x100'0000), 4096), Pattern(4096));
  EXPECT_EQ(ram.Bytes(GuestPhysAddr(0x120'0000), 1001), Pattern(1000) + '\0');
  const auto params = ram.Object<boot_params>(layout::kBootParams);
  EXPECT_EQ(uint32_t{params.hdr.header}, 0x53726448u);
  EXPECT_EQ(params.hdr.type_of_loader, 0xff);
  EXPECT_EQ(uint64_t{params.acpi_rsdp_addr}, 0u);
  EXPECT_EQ(uint32_t{params.hdr.ramdisk_size}, 0u);
}

TEST(LinuxBootTest, PageTablesMapFourGiBOntoThemselves) {
  const KernelImage kernel = MakeKernel();
  Ram ram(MiB(32));
  auto state = LoadLinux({.kernel = kernel}, *ram.memory);
  ASSERT_TRUE(state.ok()) << state.status();
  // The walk that a CPU does.
  const auto entry = [&ram](uint64_t table, uint64_t index) {
    return ram.Object<uint64_t>(GuestPhysAddr(table + index * 8));
  };
  constexpr uint64_t kAddress = 0x000f'ffff'ffff'f000;
  for (uint64_t address : {uint64_t{0}, uint64_t{0x100'0200}, uint64_t{0x3fff'ffff}, uint64_t{0x4000'0000},
                           uint64_t{0xbfff'ffff}, uint64_t{0xfee0'0000}, uint64_t{0xffff'ffff}}) {
    const uint64_t pml4e = entry(state->cpu.page_table_root.raw(), address >> 39);
    ASSERT_EQ(pml4e & 0x87, 3u) << address;
    const uint64_t pdpte = entry(pml4e & kAddress, address >> 30 & 511);
    ASSERT_EQ(pdpte & 0x87, 3u) << address;
    const uint64_t pde = entry(pdpte & kAddress, address >> 21 & 511);
    ASSERT_EQ(pde & 0x87, 0x83u) << address;
    EXPECT_EQ(pde & kAddress, address & ~uint64_t{0x1f'ffff});
  }
  EXPECT_EQ(entry(entry(state->cpu.page_table_root.raw(), 0) & kAddress, 4), 0u) << "4 GiB and up is not mapped";
}

TEST(LinuxBootTest, SegmentsAgreeWithTheGdt) {
  const KernelImage kernel = MakeKernel();
  Ram ram(MiB(32));
  auto state = LoadLinux({.kernel = kernel}, *ram.memory);
  ASSERT_TRUE(state.ok()) << state.status();
  const LongModeState& cpu = state->cpu;
  EXPECT_EQ(cpu.code.selector, 0x10);
  EXPECT_EQ(cpu.data.selector, 0x18);
  const auto descriptor = [&](const SegmentState& s) {
    EXPECT_LE(s.selector + 7, cpu.gdt_limit);
    return ram.Object<uint64_t>(cpu.gdt + ByteCount(s.selector));
  };
  EXPECT_EQ(descriptor(cpu.code), 0x00af9b000000ffffu);
  EXPECT_EQ(descriptor(cpu.data), 0x00cf93000000ffffu);
  EXPECT_EQ(descriptor(cpu.task), 0x00008b000000ffffu);
  EXPECT_EQ(cpu.code.limit, 0xffffffffu);
  EXPECT_TRUE(cpu.code.long_mode);
  EXPECT_FALSE(cpu.code.db);
  EXPECT_TRUE(cpu.task.system);
}

TEST(LinuxBootTest, InitramfsStaysBelowTheHoleAndTheKernelsLimit) {
  const BootFile initramfs = MakeBootFile(Pattern(4096));
  const auto place = [&initramfs](uint32_t limit, ByteCount ram_size) {
    setup_header header = MakeSetupHeader();
    header.initrd_addr_max = limit;
    const KernelImage kernel = MakeKernel(header);
    Ram ram(ram_size);
    auto state = LoadLinux({.kernel = kernel, .initramfs = &initramfs}, *ram.memory);
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? state->initramfs->raw() : 0;
  };
  EXPECT_EQ(place(0x7fff'ffff, GiB(1)), 0x3fff'f000u);
  EXPECT_EQ(place(0x7fff'ffff, GiB(5)), 0x7fff'f000u);
  EXPECT_EQ(place(0xffff'ffff, GiB(5)), 0xbfff'f000u);
  EXPECT_EQ(place(0x37ff'fffe, GiB(1)), 0x37ff'e000u) << "ends where it must not";
}

TEST(LinuxBootTest, InitramfsThatDoesNotFit) {
  const KernelImage kernel = MakeKernel();  // ends at 20 MiB
  Ram ram(MiB(32));
  const auto load = [&](const BootFile& initramfs) {
    return LoadLinux({.kernel = kernel, .initramfs = &initramfs}, *ram.memory).status();
  };
  EXPECT_EQ(load(SparseFile(MiB(12))), absl::OkStatus());
  EXPECT_EQ(load(SparseFile(MiB(12) + ByteCount(1))),
            absl::InvalidArgumentError("initrd: initramfs does not fit: 13 MiB, but only 12 MiB of memory are free "
                                       "above the kernel"));
  EXPECT_EQ(load(SparseFile(GiB(512))).code(), absl::StatusCode::kInvalidArgument);

  setup_header header = MakeSetupHeader();
  header.initrd_addr_max = (24 << 20) - 1;
  const KernelImage modest = MakeKernel(header);
  const BootFile initramfs = SparseFile(MiB(5));
  EXPECT_EQ(LoadLinux({.kernel = modest, .initramfs = &initramfs}, *ram.memory).status(),
            absl::InvalidArgumentError("initrd: initramfs does not fit: 5 MiB, but this kernel takes at most 4 MiB, "
                                       "whatever the memory"));
  header.initrd_addr_max = 0;
  const KernelImage hostile = MakeKernel(header);
  EXPECT_EQ(LoadLinux({.kernel = hostile, .initramfs = &initramfs}, *ram.memory).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LinuxBootTest, MemoryTooSmall) {
  const KernelImage kernel = MakeKernel();
  EXPECT_TRUE(LoadLinux({.kernel = kernel}, *Ram(MiB(20)).memory).ok());
  Ram small(MiB(20) - KiB(4));
  EXPECT_EQ(LoadLinux({.kernel = kernel}, *small.memory).status(),
            absl::InvalidArgumentError("mem: memory too small for this kernel: needs at least 20 MiB to start"));
  EXPECT_EQ(small.Bytes(layout::kBootParams, 4096), std::string(4096, '\0')) << "written before all was checked";
}

TEST(LinuxBootTest, CommandLineLimits) {
  setup_header header = MakeSetupHeader();
  Ram ram(MiB(32));
  const auto load = [&](uint32_t limit, const std::string& line) {
    header.cmdline_size = limit;
    const KernelImage kernel = MakeKernel(header);
    return LoadLinux({.kernel = kernel, .command_line = line}, *ram.memory).status();
  };
  EXPECT_EQ(load(2047, std::string(2047, 'a')), absl::OkStatus());
  EXPECT_EQ(ram.Bytes(layout::kCommandLine, 2049), std::string(2047, 'a') + std::string(2, '\0'));
  EXPECT_EQ(
      load(2047, std::string(2048, 'a')),
      absl::InvalidArgumentError("cmdline: command line too long: 2048 bytes, but this kernel takes at most 2047"));
  EXPECT_EQ(load(UINT32_MAX, std::string(65535, 'a')), absl::OkStatus());
  EXPECT_EQ(load(UINT32_MAX, std::string(65536, 'a')).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(load(2047, std::string("a\0b", 3)).code(), absl::StatusCode::kInvalidArgument);
}

TEST(LinuxBootTest, FilesThatAreCutWhileTheyAreRead) {
  Ram ram(MiB(32));
  UniqueFd kernel_fd = MakeFile(MakeBzImage(MakeSetupHeader()));
  const UniqueFd knife(dup(kernel_fd.get()));
  auto kernel = ParseKernel(*BootFile::FromFd(std::move(kernel_fd), "vmlinuz"));
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  ASSERT_EQ(ftruncate(knife.get(), 2000), 0);
  absl::Status status = LoadLinux({.kernel = *kernel}, *ram.memory).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(absl::StartsWith(status.message(), "kernel: vmlinuz: ends too early")) << status;

  const KernelImage sound = MakeKernel();
  UniqueFd initramfs_fd = MakeFile(Pattern(10'000));
  const UniqueFd other_knife(dup(initramfs_fd.get()));
  const BootFile initramfs = *BootFile::FromFd(std::move(initramfs_fd), "initrd.img");
  ASSERT_EQ(ftruncate(other_knife.get(), 9'999), 0);
  status = LoadLinux({.kernel = sound, .initramfs = &initramfs}, *ram.memory).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(absl::StartsWith(status.message(), "initrd: initrd.img: ends too early")) << status;
}

}  // namespace
}  // namespace daxvmm::vmm::boot
