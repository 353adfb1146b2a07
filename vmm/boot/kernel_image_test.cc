#include "vmm/boot/kernel_image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/boot/test_kernels.h"

namespace daxvmm::vmm::boot {
namespace {

absl::StatusOr<KernelImage> Parse(const std::string& content) { return ParseKernel(MakeBootFile(content)); }

// The header's promises, for any image that was accepted.
void ExpectSound(const KernelImage& image) {
  EXPECT_GE(image.begin, GuestPhysAddr(0x10'0000));
  EXPECT_LE(image.end, GuestPhysAddr(0xc000'0000));
  ASSERT_FALSE(image.segments.empty());
  GuestPhysAddr previous_end = image.begin;
  bool entry_found = false;
  for (const KernelSegment& segment : image.segments) {
    EXPECT_TRUE(image.file.Contains(segment.from, segment.file_size));
    EXPECT_LE(segment.file_size, segment.memory_size);
    EXPECT_GE(segment.to, previous_end);
    previous_end = segment.to + segment.memory_size;
    entry_found |= image.entry >= segment.to && image.entry < segment.to + segment.file_size;
  }
  EXPECT_LE(previous_end, image.end);
  EXPECT_TRUE(entry_found);
}

void ExpectRefused(const absl::StatusOr<KernelImage>& image, absl::string_view reason) {
  ASSERT_FALSE(image.ok()) << "should have been refused: " << reason;
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << image.status();
  EXPECT_TRUE(absl::StartsWith(image.status().message(), "file: ")) << image.status();
  EXPECT_TRUE(absl::StrContains(image.status().message(), reason)) << image.status();
}

void ExpectBzImageRefused(const std::function<void(setup_header&)>& change, absl::string_view reason) {
  setup_header header = MakeSetupHeader();
  change(header);
  ExpectRefused(Parse(MakeBzImage(header)), reason);
}

void ExpectElfRefused(const std::function<void(Elf64_Ehdr&, std::vector<ElfPiece>&)>& change,
                      absl::string_view reason) {
  Elf64_Ehdr header = MakeElfHeader();
  std::vector<ElfPiece> pieces = MakeElfPieces();
  change(header, pieces);
  ExpectRefused(Parse(MakeElf(header, pieces)), reason);
}

TEST(BootFileTest, RefusesWhatIsNoFile) {
  const char* tmp = getenv("TEST_TMPDIR");
  std::string directory = absl::StrCat(tmp != nullptr ? tmp : "/tmp", "/bootXXXXXX");
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string fifo = directory + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);

  const std::string missing = directory + "/missing";
  EXPECT_EQ(OpenKernel(missing).status(), absl::NotFoundError(missing + ": No such file or directory"));
  EXPECT_EQ(OpenKernel(directory).status(), absl::InvalidArgumentError(directory + ": is a directory"));
  // Would wait for a writer if it were opened the plain way.
  EXPECT_EQ(OpenKernel(fifo).status(), absl::InvalidArgumentError(fifo + ": is not a regular file"));
  EXPECT_EQ(OpenKernel("/dev/null").status(), absl::InvalidArgumentError("/dev/null: is not a regular file"));
  EXPECT_EQ(BootFile::FromFd(MakeFile(""), "none").status(), absl::InvalidArgumentError("none: is empty"));
  unlink(fifo.c_str());
  rmdir(directory.c_str());
}

TEST(BootFileTest, ContainsWithstandsOverflow) {
  const BootFile file = MakeBootFile(Pattern(100));
  EXPECT_TRUE(file.Contains(FileOffset(0), ByteCount(100)));
  EXPECT_TRUE(file.Contains(FileOffset(100), ByteCount(0)));
  EXPECT_FALSE(file.Contains(FileOffset(1), ByteCount(100)));
  EXPECT_FALSE(file.Contains(FileOffset(2), ByteCount(UINT64_MAX)));
  EXPECT_FALSE(file.Contains(FileOffset(UINT64_MAX), ByteCount(1)));
}

TEST(KernelImageTest, NotAKernel) {
  ExpectRefused(Parse("#!/bin/sh\n"), "not a Linux kernel: neither a bzImage");
  ExpectRefused(Parse(Pattern(100'000)), "not a Linux kernel: neither a bzImage");
  std::string boot_sector(4096, '\0');  // of a disk
  boot_sector[0x1fe] = 0x55;
  boot_sector[0x1ff] = static_cast<char>(0xaa);
  ExpectRefused(Parse(boot_sector), "not a Linux kernel: neither a bzImage");
}

TEST(KernelImageTest, BzImage) {
  const setup_header header = MakeSetupHeader();
  // Whatever follows the payload (a signature, say) is none of the kernel.
  auto image = Parse(MakeBzImage(header) + "signature");
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectSound(*image);
  EXPECT_EQ(image->format, KernelFormat::kBzImage);
  EXPECT_EQ(image->begin, GuestPhysAddr(0x100'0000));
  EXPECT_EQ(image->end, GuestPhysAddr(0x140'0000));
  EXPECT_EQ(image->entry, GuestPhysAddr(0x100'0200));
  EXPECT_EQ(image->initramfs_limit, GuestPhysAddr(0x8000'0000));
  EXPECT_EQ(image->command_line_max, ByteCount(2047));
  ASSERT_EQ(image->segments.size(), 1u);
  EXPECT_EQ(image->segments[0].from, FileOffset(3 * 512));
  EXPECT_EQ(image->segments[0].file_size, ByteCount(4096));
  EXPECT_EQ(memcmp(&image->header, &header, sizeof(header)), 0);
}

TEST(KernelImageTest, BzImageWithoutSetupSectorsHasFour) {
  setup_header header = MakeSetupHeader();
  header.setup_sects = 0;
  auto image = Parse(MakeBzImage(header));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->segments[0].from, FileOffset(5 * 512));
}

TEST(KernelImageTest, BzImageHeaderIsCopiedOnlyAsFarAsItGoes) {
  setup_header header = MakeSetupHeader();
  header.jump = 0x62eb;  // ends at 0x264, with init_size
  header.handover_offset = 0xdead;
  auto image = Parse(MakeBzImage(header));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(uint32_t{image->header.handover_offset}, 0u);
  EXPECT_EQ(uint32_t{image->header.init_size}, uint32_t{header.init_size});
}

TEST(KernelImageTest, BzImageWithHostileHeader) {
  ExpectBzImageRefused([](auto& h) { h.version = 0x0206; }, "too old a kernel: boot protocol 2.06");
  ExpectBzImageRefused([](auto& h) { h.version = 0x020b; }, "too old a kernel: boot protocol 2.11");
  ExpectBzImageRefused([](auto& h) { h.xloadflags = 0; }, "32-bit kernel");
  ExpectBzImageRefused([](auto& h) { h.jump = 0x61eb; }, "setup header is too short");
  ExpectBzImageRefused([](auto& h) { h.syssize = 0; }, "no code");
  ExpectBzImageRefused([](auto& h) { h.syssize = 0x200 / 16; }, "no code");
  ExpectBzImageRefused([](auto& h) { h.pref_address = 0; }, "below 1 MiB");
  ExpectBzImageRefused([](auto& h) { h.pref_address = 0xf'f000; }, "below 1 MiB");
  ExpectBzImageRefused([](auto& h) { h.pref_address = UINT64_MAX; }, "below 3 GiB");
  ExpectBzImageRefused([](auto& h) { h.pref_address = 0xc000'0000 - (4 << 20) + 1; }, "below 3 GiB");
  ExpectBzImageRefused([](auto& h) { h.init_size = UINT32_MAX; }, "below 3 GiB");

  std::string image = MakeBzImage(MakeSetupHeader());
  setup_header large = MakeSetupHeader();
  large.syssize = UINT32_MAX;
  memcpy(image.data() + 0x1f1, &large, sizeof(large));
  ExpectRefused(Parse(image), "truncated kernel");
}

TEST(KernelImageTest, BzImageWhosePayloadExceedsInitSizeKeepsClearOfAllOfIt) {
  setup_header header = MakeSetupHeader();
  header.init_size = 0;
  auto image = Parse(MakeBzImage(header));
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectSound(*image);
  EXPECT_EQ(image->end, image->begin + KiB(4));
}

TEST(KernelImageTest, EveryPrefixOfABzImageIsRefused) {
  const std::string whole = MakeBzImage(MakeSetupHeader());
  for (size_t size = 1; size < whole.size(); ++size) {
    auto image = Parse(whole.substr(0, size));
    ASSERT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << size << " bytes: " << image.status();
    if (size >= 0x206) {
      EXPECT_TRUE(absl::StrContains(image.status().message(), "truncated")) << image.status();
    }
  }
}

TEST(KernelImageTest, AnyByteOfABzImageHeaderMayBeAnything) {
  const std::string whole = MakeBzImage(MakeSetupHeader());
  const UniqueFd fd = MakeFile(whole);
  unsigned accepted = 0;
  for (size_t at = 0x1f1; at < 0x26c; ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      const char byte = static_cast<char>(value);
      ASSERT_EQ(pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
      auto image = ParseKernel(*BootFile::FromFd(UniqueFd(dup(fd.get())), "file"));
      if (image.ok()) {
        ExpectSound(*image);
        ++accepted;
      } else {
        EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
      }
    }
    ASSERT_EQ(pwrite(fd.get(), &whole[at], 1, static_cast<off_t>(at)), 1);
  }
  EXPECT_GT(accepted, 256u) << "most fields are free";
}

TEST(KernelImageTest, Elf) {
  auto image = Parse(MakeElf(MakeElfHeader(), MakeElfPieces()));
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectSound(*image);
  EXPECT_EQ(image->format, KernelFormat::kElf);
  EXPECT_EQ(image->begin, GuestPhysAddr(0x100'0000));
  EXPECT_EQ(image->end, GuestPhysAddr(0x130'0000));
  EXPECT_EQ(image->entry, GuestPhysAddr(0x100'0040));
  EXPECT_EQ(image->command_line_max, ByteCount(2047));
  ASSERT_EQ(image->segments.size(), 2u);
  EXPECT_EQ(image->segments[1].to, GuestPhysAddr(0x120'0000));
  EXPECT_EQ(image->segments[1].file_size, ByteCount(1000));
  EXPECT_EQ(image->segments[1].memory_size, MiB(1));
  EXPECT_EQ(uint16_t{image->header.boot_flag}, 0xaa55);
}

TEST(KernelImageTest, ElfEntryMayBeVirtual) {
  Elf64_Ehdr header = MakeElfHeader();
  header.e_entry = 0xffff'ffff'8120'0010;
  auto image = Parse(MakeElf(header, MakeElfPieces()));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->entry, GuestPhysAddr(0x120'0010));
}

TEST(KernelImageTest, ElfSegmentsMayStandInAnyOrderAmongOthers) {
  std::vector<ElfPiece> pieces = MakeElfPieces();
  std::swap(pieces[0], pieces[1]);
  ElfPiece note;
  note.header.p_type = PT_NOTE;
  note.header.p_paddr = 1;
  note.content = "note";
  pieces.push_back(note);
  ElfPiece nothing;
  nothing.header.p_type = PT_LOAD;
  pieces.push_back(nothing);
  auto image = Parse(MakeElf(MakeElfHeader(), pieces));
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectSound(*image);
  EXPECT_EQ(image->segments.size(), 2u);
}

TEST(KernelImageTest, ElfWithHostileHeaders) {
  ExpectElfRefused([](auto& h, auto&) { h.e_machine = EM_AARCH64; }, "not for x86-64");
  ExpectElfRefused([](auto& h, auto&) { h.e_ident[EI_DATA] = ELFDATA2MSB; }, "not for x86-64");
  ExpectElfRefused(
      [](auto& h, auto&) {
        h.e_ident[EI_CLASS] = ELFCLASS32;
        h.e_machine = EM_386;
      },
      "32-bit");
  ExpectElfRefused([](auto& h, auto&) { h.e_type = ET_REL; }, "not an executable");
  ExpectElfRefused([](auto& h, auto&) { h.e_phentsize = 1; }, "program headers");
  ExpectElfRefused([](auto& h, auto&) { h.e_phoff = UINT64_MAX - 8; }, "program headers lie beyond");
  ExpectElfRefused([](auto&, auto& p) { p.clear(); }, "program headers");
  ExpectElfRefused([](auto&, auto& p) { p.resize(200, p[0]); }, "program headers");
  ExpectElfRefused([](auto&, auto& p) { p[0].header.p_type = p[1].header.p_type = PT_NOTE; }, "nothing to load");
  ExpectElfRefused([](auto&, auto& p) { p[1].header.p_memsz = 999; }, "larger in the file");
  ExpectElfRefused([](auto&, auto& p) { p[1].header.p_memsz = UINT64_MAX; }, "below 3 GiB");
  ExpectElfRefused([](auto&, auto& p) { p[1].header.p_paddr = 0xc000'0000 - (1 << 20) + 1; }, "below 3 GiB");
  ExpectElfRefused([](auto&, auto& p) { p[0].header.p_paddr = 0x7000; }, "below 1 MiB");
  ExpectElfRefused([](auto&, auto& p) { p[1].header.p_paddr = p[0].header.p_paddr + 4095; }, "overlap");
  ExpectElfRefused([](auto& h, auto&) { h.e_entry = 0; }, "entry point");
  ExpectElfRefused([](auto& h, auto&) { h.e_entry = 0x100'1000; }, "entry point");
  ExpectElfRefused([](auto& h, auto&) { h.e_entry = 0x120'0000 + 1000; }, "entry point");
}

TEST(KernelImageTest, ElfSegmentBeyondTheFile) {
  std::string file = MakeElf(MakeElfHeader(), MakeElfPieces());
  for (uint64_t offset : {uint64_t{file.size()}, UINT64_MAX, UINT64_MAX - 4095}) {
    memcpy(file.data() + sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_offset), &offset, sizeof(offset));
    ExpectRefused(Parse(file), "beyond its end");
  }
}

TEST(KernelImageTest, EveryPrefixOfAnElfFileIsRefused) {
  const std::string whole = MakeElf(MakeElfHeader(), MakeElfPieces());
  for (size_t size = 1; size < whole.size(); ++size) {
    auto image = Parse(whole.substr(0, size));
    ASSERT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << size << " bytes: " << image.status();
  }
}

TEST(KernelImageTest, AnyByteOfTheElfHeadersMayBeAnything) {
  const std::string whole = MakeElf(MakeElfHeader(), MakeElfPieces());
  const UniqueFd fd = MakeFile(whole);
  for (size_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      const char byte = static_cast<char>(value);
      ASSERT_EQ(pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
      auto image = ParseKernel(*BootFile::FromFd(UniqueFd(dup(fd.get())), "file"));
      if (image.ok()) {
        ExpectSound(*image);
      } else {
        EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
      }
    }
    ASSERT_EQ(pwrite(fd.get(), &whole[at], 1, static_cast<off_t>(at)), 1);
  }
}

}  // namespace
}  // namespace daxvmm::vmm::boot
