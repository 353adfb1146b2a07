// The FUSE wire format: the kernel's own header, and what the header of Debian 12 (7.38) lacks.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_ABI_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_ABI_H_

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace daxvmm::fuse {

// Later than 7.38, with the kernel version that brought each.
inline constexpr uint32_t kOpStatx = 52;                           // FUSE_STATX, Linux 6.6 (7.39)
inline constexpr uint64_t kCreateSuppGroup = uint64_t{1} << 34;    // FUSE_CREATE_SUPP_GROUP, Linux 6.3 (7.38)
inline constexpr uint64_t kDirectIoAllowMmap = uint64_t{1} << 36;  // FUSE_DIRECT_IO_ALLOW_MMAP, Linux 6.6 (7.39)
// FUSE_EXT_GROUPS, Linux 6.3 (7.38): the fuse_ext_header::type of a count of group ids and the ids, 32 bits each.
inline constexpr uint32_t kExtGroups = 32;

// The whole 64-bit flag word of INIT, from its two halves; `flags2` counts only with FUSE_INIT_EXT.
constexpr uint64_t JoinInitFlags(uint32_t flags, uint32_t flags2) {
  return (flags & FUSE_INIT_EXT) != 0 ? (uint64_t{flags2} << 32) | flags : flags;
}

// The layout is the guest's: what the compiler makes of the header must agree with the wire.
static_assert(sizeof(fuse_in_header) == 40 && offsetof(fuse_in_header, total_extlen) == 36);
static_assert(sizeof(fuse_out_header) == 16);
static_assert(sizeof(fuse_init_in) == 64 && offsetof(fuse_init_in, flags2) == 16);
static_assert(sizeof(fuse_init_out) == 64 && offsetof(fuse_init_out, map_alignment) == 30 &&
              offsetof(fuse_init_out, flags2) == 32);
static_assert(sizeof(fuse_attr) == 88 && offsetof(fuse_attr, flags) == 84);
static_assert(sizeof(fuse_entry_out) == 128 && sizeof(fuse_attr_out) == 104);
static_assert(sizeof(fuse_setupmapping_in) == 40 && offsetof(fuse_setupmapping_in, moffset) == 32);
static_assert(sizeof(fuse_removemapping_in) == 4 && sizeof(fuse_removemapping_one) == 16);
static_assert(sizeof(fuse_setxattr_in) == 16 && offsetof(fuse_setxattr_in, setxattr_flags) == 8);
static_assert(sizeof(fuse_ioctl_in) == 32 && sizeof(fuse_ioctl_out) == 16);
static_assert(sizeof(fuse_ext_header) == 8 && sizeof(fuse_secctx_header) == 8 && sizeof(fuse_secctx) == 8);
static_assert(FUSE_SETUPMAPPING_FLAG_WRITE == 1 && FUSE_SETUPMAPPING_FLAG_READ == 2);

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_ABI_H_
