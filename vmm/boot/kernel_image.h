// What a kernel file says about itself, checked: after this nothing looks at the file's headers again.
//
// Two formats are known: the bzImage that distributions install as vmlinuz (Documentation/arch/x86/boot.rst, "boot.rst"
// below) and the ELF file vmlinux. Both end up as the same plain value, so that the loader knows no formats. The file
// is the operator's, but may come from anywhere: every number in it is taken for hostile.
#ifndef DAXVMM_VMM_BOOT_KERNEL_IMAGE_H_
#define DAXVMM_VMM_BOOT_KERNEL_IMAGE_H_

#include <asm/bootparam.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "vmm/boot/boot_file.h"

namespace daxvmm::vmm::boot {

enum class KernelFormat { kBzImage, kElf };

// A piece of the file and where it belongs. What memory has beyond the file's part stays zero.
struct KernelSegment {
  FileOffset from;
  ByteCount file_size;
  GuestPhysAddr to;
  ByteCount memory_size;  // at least file_size
};

// Segments lie in [begin, end) and do not overlap; the file parts lie in the file; [begin, end) lies between 1 MiB and
// 3 GiB; `entry` lies in a segment's file part.
struct KernelImage {
  explicit KernelImage(BootFile f) : file(std::move(f)) {}

  BootFile file;
  KernelFormat format = KernelFormat::kBzImage;
  std::vector<KernelSegment> segments;
  // All that the kernel uses before it reads its memory map: decompression, .bss and .brk included.
  GuestPhysAddr begin;
  GuestPhysAddr end;
  // The 64-bit entry point, to be called with the zero page's address in RSI.
  GuestPhysAddr entry;
  // Where an initramfs must end at the latest, and the longest command line without its NUL.
  GuestPhysAddr initramfs_limit;
  ByteCount command_line_max;
  // For the zero page: the file's own for a bzImage, a minimal one for ELF. The loader's fields are not filled in.
  setup_header header = {};
};

// Opens and parses `path`. Errors of BootFile::Open; otherwise INVALID_ARGUMENT with the file's name and one reason.
absl::StatusOr<KernelImage> OpenKernel(const std::string& path);
// The same for an open file.
absl::StatusOr<KernelImage> ParseKernel(BootFile file);

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_KERNEL_IMAGE_H_
