#include "vmm/boot/test_kernels.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace daxvmm::vmm::boot {

UniqueFd MakeFile(const std::string& content) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
  CHECK(fd.valid()) << strerror(errno);
  CHECK(pwrite(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  return fd;
}

BootFile MakeBootFile(const std::string& content) {
  auto file = BootFile::FromFd(MakeFile(content), "file");
  CHECK(file.ok()) << std::string(file.status().message());
  return *std::move(file);
}

std::string Pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(1 + i % 251);
  return out;
}

setup_header MakeSetupHeader() {
  setup_header header = {};
  header.setup_sects = 2;
  header.syssize = 4096 / 16;
  header.boot_flag = 0xaa55;
  header.jump = 0x6aeb;  // over the header, to 0x26c
  header.header = 0x53726448;
  header.version = 0x020f;
  header.loadflags = LOADED_HIGH | CAN_USE_HEAP;
  header.initrd_addr_max = 0x7fff'ffff;
  header.kernel_alignment = 0x20'0000;
  header.relocatable_kernel = 1;
  header.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
  header.cmdline_size = 2047;
  header.pref_address = 0x100'0000;
  header.init_size = 4 << 20;
  return header;
}

size_t PayloadOffset(const setup_header& header) {
  return (size_t{1} + (header.setup_sects ? header.setup_sects : 4)) * 512;
}

std::string MakeBzImage(const setup_header& header) {
  std::string image(PayloadOffset(header), '\0');
  memcpy(image.data() + offsetof(boot_params, hdr), &header, sizeof(header));
  return image + Pattern(size_t{header.syssize} * 16);
}

Elf64_Ehdr MakeElfHeader() {
  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_entry = 0x100'0040;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  return header;
}

std::string MakeElf(Elf64_Ehdr header, std::vector<ElfPiece> pieces) {
  header.e_phnum = static_cast<uint16_t>(pieces.size());
  std::string headers(reinterpret_cast<const char*>(&header), sizeof(header));
  std::string contents;
  const size_t start = sizeof(header) + pieces.size() * sizeof(Elf64_Phdr);
  for (ElfPiece& piece : pieces) {
    piece.header.p_offset = start + contents.size();
    piece.header.p_filesz = piece.content.size();
    headers.append(reinterpret_cast<const char*>(&piece.header), sizeof(piece.header));
    contents += piece.content;
  }
  return headers + contents;
}

std::vector<ElfPiece> MakeElfPieces() {
  std::vector<ElfPiece> pieces(2);
  pieces[0].content = Pattern(4096);
  pieces[0].header.p_type = PT_LOAD;
  pieces[0].header.p_paddr = 0x100'0000;
  pieces[0].header.p_vaddr = 0xffff'ffff'8100'0000;
  pieces[0].header.p_memsz = 4096;
  pieces[1].content = Pattern(1000);
  pieces[1].header.p_type = PT_LOAD;
  pieces[1].header.p_paddr = 0x120'0000;
  pieces[1].header.p_vaddr = 0xffff'ffff'8120'0000;
  pieces[1].header.p_memsz = 1 << 20;
  return pieces;
}

}  // namespace daxvmm::vmm::boot
