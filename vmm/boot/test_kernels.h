// Kernel files made up for tests: well-formed, with nothing in them that would run.
#ifndef DAXVMM_VMM_BOOT_TEST_KERNELS_H_
#define DAXVMM_VMM_BOOT_TEST_KERNELS_H_

#include <asm/bootparam.h>
#include <elf.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "vmm/boot/boot_file.h"

namespace daxvmm::vmm::boot {

// An anonymous file that holds `content`. CHECK-fails if the host refuses.
UniqueFd MakeFile(const std::string& content);
// The same as a BootFile named "file".
BootFile MakeBootFile(const std::string& content);

// `size` bytes, none of which is zero and no two neighbours of which are the same.
std::string Pattern(size_t size);

// A header as a current kernel has it: protocol 2.15, two setup sectors, 4 KiB of payload, 16 MiB, init_size 4 MiB.
setup_header MakeSetupHeader();
// A bzImage with `header`; its payload is Pattern(header.syssize * 16).
std::string MakeBzImage(const setup_header& header);
// Where the payload of MakeBzImage begins.
size_t PayloadOffset(const setup_header& header);

// An ELF file whose segments' content is given beside their headers; p_offset and p_filesz are filled in.
struct ElfPiece {
  Elf64_Phdr header = {};
  std::string content;
};
Elf64_Ehdr MakeElfHeader();
std::string MakeElf(Elf64_Ehdr header, std::vector<ElfPiece> pieces);
// Two segments, at 16 MiB (with entry) and 18 MiB (with 1 MiB of .bss), linked at 0xffffffff81000000.
std::vector<ElfPiece> MakeElfPieces();

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_TEST_KERNELS_H_
