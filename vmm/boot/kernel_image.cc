#include "vmm/boot/kernel_image.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/size_text.h"
#include "base/status.h"
#include "vmm/layout.h"

namespace daxvmm::vmm::boot {
namespace {

constexpr size_t kHeaderOffset = offsetof(boot_params, hdr);
static_assert(kHeaderOffset == 0x1f1);
static_assert(kHeaderOffset + offsetof(setup_header, boot_flag) == 0x1fe);
static_assert(kHeaderOffset + offsetof(setup_header, jump) == 0x200);
static_assert(kHeaderOffset + offsetof(setup_header, header) == 0x202);
static_assert(kHeaderOffset + offsetof(setup_header, xloadflags) == 0x236);
static_assert(kHeaderOffset + offsetof(setup_header, pref_address) == 0x258);
static_assert(kHeaderOffset + offsetof(setup_header, init_size) == 0x260);
static_assert(kHeaderOffset + sizeof(setup_header) == 0x26c);

constexpr ByteCount kSector(512);
constexpr uint16_t kBootFlag = 0xaa55;
constexpr uint32_t kHeaderMagic = 0x5372'6448;  // "HdrS"
// The first with xloadflags, and so with an announced 64-bit entry point (boot.rst).
constexpr uint16_t kFirst64BitProtocol = 0x020c;
// boot.rst, "64-bit Boot Protocol": the entry lies this far behind the load address.
constexpr ByteCount kEntry64Offset(0x200);
// The short jump at 0x200 jumps over the header, so its operand tells where the header ends (boot.rst).
constexpr size_t kHeaderEndBase = 0x202;
constexpr size_t kLastNeededField = 0x264;  // the end of init_size

// What header.S announces for every 64-bit kernel, for vmlinux, which announces nothing.
constexpr uint32_t kElfInitramfsAddressMax = 0x7fff'ffff;
constexpr ByteCount kElfCommandLineMax(2047);
constexpr unsigned kMaxElfSegments = 128;

// [begin, end) as an image may use it, or the reason why not.
absl::Status CheckArea(const BootFile& file, GuestPhysAddr begin, std::optional<GuestPhysAddr> end) {
  if (begin < layout::kHighMemoryStart) {
    return file.Refuse(absl::StrFormat("not a bootable kernel: wants to be loaded at %#x, below 1 MiB", begin.raw()));
  }
  if (!end.has_value() || *end > layout::kMmioHoleStart) {
    return file.Refuse(
        absl::StrFormat("not a bootable kernel: wants to be loaded at %#x, and does not end below 3 GiB", begin.raw()));
  }
  return absl::OkStatus();
}

absl::StatusOr<KernelImage> ParseBzImage(BootFile file, const setup_header& from_file) {
  KernelImage image(std::move(file));
  image.format = KernelFormat::kBzImage;
  const setup_header& header = from_file;

  if (header.version < kFirst64BitProtocol) {
    return image.file.Refuse(
        absl::StrFormat("too old a kernel: boot protocol %d.%02d, 2.12 is the first with a 64-bit "
                        "entry point (Linux 3.8)",
                        header.version >> 8, header.version & 0xff));
  }
  const size_t header_end = kHeaderEndBase + (header.jump >> 8);
  if (header_end < kLastNeededField) return image.file.Refuse("a damaged kernel: its setup header is too short");
  if ((header.xloadflags & XLF_KERNEL_64) == 0) {
    return image.file.Refuse("a 32-bit kernel: it has no 64-bit entry point");
  }

  // Neither product overflows: the factors have 8 and 32 bits.
  const unsigned setup_sectors = header.setup_sects == 0 ? 4 : header.setup_sects;
  const FileOffset payload((setup_sectors + 1) * kSector.raw());
  const ByteCount payload_size(uint64_t{header.syssize} * 16);
  if (payload_size <= kEntry64Offset) return image.file.Refuse("a damaged kernel: no code behind its setup header");
  if (!image.file.Contains(payload, payload_size)) {
    return image.file.Refuse(absl::StrFormat("a truncated kernel: it has %d bytes, its header announces %d",
                                             image.file.size().raw(), payload.raw() + payload_size.raw()));
  }

  image.begin = GuestPhysAddr(header.pref_address);
  // A relocatable kernel runs wherever it is put, but decompresses to its preferred address from below: init_size
  // counts from the higher of the two (boot.rst), so there is nothing to win by another place.
  const ByteCount area = std::max(ByteCount(header.init_size), payload_size);
  const std::optional<GuestPhysAddr> end = CheckedAdd(image.begin, area);
  RETURN_IF_ERROR(CheckArea(image.file, image.begin, end));
  image.end = *end;
  image.entry = image.begin + kEntry64Offset;
  image.segments.push_back({payload, payload_size, image.begin, payload_size});

  image.initramfs_limit = GuestPhysAddr(uint64_t{header.initrd_addr_max} + 1);
  image.command_line_max = ByteCount(header.cmdline_size);
  memcpy(&image.header, &header, std::min(sizeof(header), header_end - kHeaderOffset));
  return image;
}

absl::Status CheckElfHeader(const BootFile& file, const Elf64_Ehdr& elf) {
  if (elf.e_machine != EM_X86_64 || elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB) {
    return file.Refuse(elf.e_machine == EM_386 ? "a 32-bit kernel or program: the ELF file is not for x86-64"
                                               : "an ELF file, but not for x86-64");
  }
  if (elf.e_type != ET_EXEC && elf.e_type != ET_DYN) return file.Refuse("an ELF file, but not an executable one");
  if (elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum == 0 || elf.e_phnum > kMaxElfSegments) {
    return file.Refuse(
        absl::StrFormat("a damaged ELF file: %d program headers of %d bytes", elf.e_phnum, elf.e_phentsize));
  }
  return absl::OkStatus();
}

absl::StatusOr<KernelSegment> CheckElfSegment(const BootFile& file, const Elf64_Phdr& program) {
  const KernelSegment segment{FileOffset(program.p_offset), ByteCount(program.p_filesz), GuestPhysAddr(program.p_paddr),
                              ByteCount(program.p_memsz)};
  if (segment.file_size > segment.memory_size) {
    return file.Refuse("a damaged ELF file: a segment is larger in the file than in memory");
  }
  if (!file.Contains(segment.from, segment.file_size)) {
    return file.Refuse("a truncated ELF file: a segment lies beyond its end");
  }
  RETURN_IF_ERROR(CheckArea(file, segment.to, CheckedAdd(segment.to, segment.memory_size)));
  return segment;
}

// e_entry is physical in a vmlinux (phys_startup_64 in vmlinux.lds.S); an ELF file linked otherwise has it as a virtual
// address of a segment.
std::optional<GuestPhysAddr> FindEntry(uint64_t entry, std::span<const Elf64_Phdr> programs) {
  for (const Elf64_Phdr& p : programs) {
    if (entry >= p.p_paddr && entry - p.p_paddr < p.p_filesz) return GuestPhysAddr(entry);
  }
  for (const Elf64_Phdr& p : programs) {
    if (entry >= p.p_vaddr && entry - p.p_vaddr < p.p_filesz) return GuestPhysAddr(entry - p.p_vaddr + p.p_paddr);
  }
  return std::nullopt;
}

// What header.S would have said; the loader fields follow in the loader.
setup_header ElfSetupHeader() {
  setup_header header = {};
  header.boot_flag = kBootFlag;
  header.header = kHeaderMagic;
  header.version = kFirst64BitProtocol;
  header.root_flags = 1;  // mount the root read-only, as a bzImage asks for
  header.xloadflags = XLF_KERNEL_64;
  header.initrd_addr_max = kElfInitramfsAddressMax;
  header.cmdline_size = static_cast<uint32_t>(kElfCommandLineMax.raw());
  header.kernel_alignment = static_cast<uint32_t>(MiB(2).raw());
  return header;
}

absl::StatusOr<KernelImage> ParseElf(BootFile file) {
  KernelImage image(std::move(file));
  image.format = KernelFormat::kElf;

  Elf64_Ehdr elf;
  if (!image.file.Contains(FileOffset(0), ByteCount(sizeof(elf)))) return image.file.Refuse("a truncated ELF file");
  RETURN_IF_ERROR(image.file.Read(FileOffset(0), std::as_writable_bytes(std::span(&elf, 1))));
  RETURN_IF_ERROR(CheckElfHeader(image.file, elf));

  std::vector<Elf64_Phdr> programs(elf.e_phnum);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(programs));
  if (!image.file.Contains(FileOffset(elf.e_phoff), ByteCount(bytes.size()))) {
    return image.file.Refuse("a truncated ELF file: its program headers lie beyond its end");
  }
  RETURN_IF_ERROR(image.file.Read(FileOffset(elf.e_phoff), bytes));
  std::erase_if(programs, [](const Elf64_Phdr& p) { return p.p_type != PT_LOAD || p.p_memsz == 0; });
  if (programs.empty()) return image.file.Refuse("an ELF file with nothing to load");
  std::sort(programs.begin(), programs.end(),
            [](const Elf64_Phdr& a, const Elf64_Phdr& b) { return a.p_paddr < b.p_paddr; });

  for (const Elf64_Phdr& program : programs) {
    ASSIGN_OR_RETURN(const KernelSegment segment, CheckElfSegment(image.file, program));
    if (!image.segments.empty() && segment.to < image.end) {
      return image.file.Refuse("a damaged ELF file: segments overlap");
    }
    image.segments.push_back(segment);
    image.end = segment.to + segment.memory_size;
  }
  image.begin = image.segments.front().to;

  const std::optional<GuestPhysAddr> entry = FindEntry(elf.e_entry, programs);
  if (!entry.has_value()) return image.file.Refuse("a damaged ELF file: its entry point lies in no segment");
  image.entry = *entry;
  image.initramfs_limit = GuestPhysAddr(uint64_t{kElfInitramfsAddressMax} + 1);
  image.command_line_max = kElfCommandLineMax;
  image.header = ElfSetupHeader();
  return image;
}

}  // namespace

absl::StatusOr<KernelImage> OpenKernel(const std::string& path) {
  ASSIGN_OR_RETURN(BootFile file, BootFile::Open(path));
  return ParseKernel(std::move(file));
}

absl::StatusOr<KernelImage> ParseKernel(BootFile file) {
  // What a shorter file lacks reads as zero, which no check below accepts.
  std::array<std::byte, kHeaderOffset + sizeof(setup_header)> start = {};
  const size_t available = static_cast<size_t>(std::min<uint64_t>(start.size(), file.size().raw()));
  RETURN_IF_ERROR(file.Read(FileOffset(0), std::span(start).first(available)));

  if (memcmp(start.data(), ELFMAG, SELFMAG) == 0) return ParseElf(std::move(file));
  setup_header header;
  memcpy(&header, start.data() + kHeaderOffset, sizeof(header));
  if (header.boot_flag == kBootFlag && header.header == kHeaderMagic) {
    if (available < start.size()) {
      return file.Refuse(absl::StrFormat("a truncated kernel: it has %d bytes", file.size().raw()));
    }
    return ParseBzImage(std::move(file), header);
  }
  return file.Refuse("not a Linux kernel: neither a bzImage (vmlinuz) nor an x86-64 ELF file (vmlinux)");
}

}  // namespace daxvmm::vmm::boot
