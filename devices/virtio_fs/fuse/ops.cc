#include "devices/virtio_fs/fuse/ops.h"

#include <algorithm>
#include <iterator>

#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/request_handler.h"

namespace daxvmm::fuse {
namespace {

using H = RequestHandler;
constexpr NameKind kNone = NameKind::kNone;
constexpr NameKind kEntry = NameKind::kEntry;
constexpr NameKind kXattr = NameKind::kXattr;
constexpr NameKind kTarget = NameKind::kTarget;
constexpr NameKind kUnused = NameKind::kUnused;

template <typename T>
constexpr uint32_t Size() {
  return sizeof(T);
}
constexpr uint32_t kEntryOut = sizeof(fuse_entry_out);
constexpr uint32_t kAttrOut = sizeof(fuse_attr_out);
constexpr uint32_t kOpenOut = sizeof(fuse_open_out);
constexpr uint32_t kCreateOut = kEntryOut + kOpenOut;
// Before 7.36 fuse_init_in ended here.
constexpr uint32_t kOldInitIn = 16;
// Without SETXATTR_EXT the argument ends here.
constexpr uint32_t kSetXattrIn = FUSE_COMPAT_SETXATTR_IN_SIZE;

// Sorted by opcode. Not served: POLL and BMAP (a passthrough has nothing to add), locks (not granted, so that they stay
// the guest's own), STATX (its reply cannot carry FUSE_ATTR_DAX).
constexpr Op kOps[] = {
    {FUSE_LOOKUP, "LOOKUP", 0, {kEntry, kNone}, kEntryOut, 0, &H::Lookup},
    {FUSE_FORGET, "FORGET", Size<fuse_forget_in>(), {kNone, kNone}, 0, kNoReply, &H::Forget},
    {FUSE_GETATTR, "GETATTR", Size<fuse_getattr_in>(), {kNone, kNone}, kAttrOut, 0, &H::GetAttr},
    {FUSE_SETATTR, "SETATTR", Size<fuse_setattr_in>(), {kNone, kNone}, kAttrOut, 0, &H::SetAttr},
    {FUSE_READLINK, "READLINK", 0, {kNone, kNone}, 0, 0, &H::ReadLink},
    {FUSE_SYMLINK, "SYMLINK", 0, {kEntry, kTarget}, kEntryOut, kMakesInode, &H::SymLink},
    {FUSE_MKNOD, "MKNOD", Size<fuse_mknod_in>(), {kEntry, kNone}, kEntryOut, kMakesInode, &H::MkNod},
    {FUSE_MKDIR, "MKDIR", Size<fuse_mkdir_in>(), {kEntry, kNone}, kEntryOut, kMakesInode, &H::MkDir},
    {FUSE_UNLINK, "UNLINK", 0, {kEntry, kNone}, 0, 0, &H::Unlink},
    {FUSE_RMDIR, "RMDIR", 0, {kEntry, kNone}, 0, 0, &H::RmDir},
    {FUSE_RENAME, "RENAME", Size<fuse_rename_in>(), {kEntry, kEntry}, 0, 0, &H::Rename},
    {FUSE_LINK, "LINK", Size<fuse_link_in>(), {kEntry, kNone}, kEntryOut, 0, &H::Link},
    {FUSE_OPEN, "OPEN", Size<fuse_open_in>(), {kNone, kNone}, kOpenOut, 0, &H::Open},
    {FUSE_READ, "READ", Size<fuse_read_in>(), {kNone, kNone}, 0, 0, &H::Read},
    {FUSE_WRITE, "WRITE", Size<fuse_write_in>(), {kNone, kNone}, Size<fuse_write_out>(), 0, &H::Write},
    {FUSE_STATFS, "STATFS", 0, {kNone, kNone}, Size<fuse_statfs_out>(), 0, &H::StatFs},
    {FUSE_RELEASE, "RELEASE", Size<fuse_release_in>(), {kNone, kNone}, 0, 0, &H::Release},
    {FUSE_FSYNC, "FSYNC", Size<fuse_fsync_in>(), {kNone, kNone}, 0, 0, &H::Fsync},
    {FUSE_SETXATTR, "SETXATTR", kSetXattrIn, {kXattr, kNone}, 0, 0, &H::SetXattr},
    {FUSE_GETXATTR, "GETXATTR", Size<fuse_getxattr_in>(), {kXattr, kNone}, 0, 0, &H::GetXattr},
    {FUSE_LISTXATTR, "LISTXATTR", Size<fuse_getxattr_in>(), {kNone, kNone}, 0, 0, &H::ListXattr},
    {FUSE_REMOVEXATTR, "REMOVEXATTR", 0, {kXattr, kNone}, 0, 0, &H::RemoveXattr},
    {FUSE_FLUSH, "FLUSH", Size<fuse_flush_in>(), {kNone, kNone}, 0, 0, &H::Flush},
    {FUSE_INIT, "INIT", kOldInitIn, {kNone, kNone}, Size<fuse_init_out>(), kNoSession | kTransition, &H::Init},
    {FUSE_OPENDIR, "OPENDIR", Size<fuse_open_in>(), {kNone, kNone}, kOpenOut, 0, &H::OpenDir},
    {FUSE_READDIR, "READDIR", Size<fuse_read_in>(), {kNone, kNone}, 0, 0, &H::ReadDir},
    {FUSE_RELEASEDIR, "RELEASEDIR", Size<fuse_release_in>(), {kNone, kNone}, 0, 0, &H::ReleaseDir},
    {FUSE_FSYNCDIR, "FSYNCDIR", Size<fuse_fsync_in>(), {kNone, kNone}, 0, 0, &H::FsyncDir},
    {FUSE_ACCESS, "ACCESS", Size<fuse_access_in>(), {kNone, kNone}, 0, 0, &H::Access},
    {FUSE_CREATE, "CREATE", Size<fuse_create_in>(), {kEntry, kNone}, kCreateOut, kMakesInode, &H::Create},
    {FUSE_INTERRUPT, "INTERRUPT", Size<fuse_interrupt_in>(), {kNone, kNone}, 0, kNoReply, &H::Interrupt},
    {FUSE_DESTROY, "DESTROY", 0, {kNone, kNone}, 0, kTransition, &H::Destroy},
    {FUSE_IOCTL, "IOCTL", Size<fuse_ioctl_in>(), {kNone, kNone}, Size<fuse_ioctl_out>(), 0, &H::Ioctl},
    {FUSE_BATCH_FORGET, "BATCH_FORGET", Size<fuse_batch_forget_in>(), {kNone, kNone}, 0, kNoReply, &H::BatchForget},
    {FUSE_FALLOCATE, "FALLOCATE", Size<fuse_fallocate_in>(), {kNone, kNone}, 0, 0, &H::Fallocate},
    {FUSE_READDIRPLUS, "READDIRPLUS", Size<fuse_read_in>(), {kNone, kNone}, 0, 0, &H::ReadDirPlus},
    {FUSE_RENAME2, "RENAME2", Size<fuse_rename2_in>(), {kEntry, kEntry}, 0, 0, &H::Rename2},
    {FUSE_LSEEK, "LSEEK", Size<fuse_lseek_in>(), {kNone, kNone}, Size<fuse_lseek_out>(), 0, &H::Lseek},
    {FUSE_COPY_FILE_RANGE,
     "COPY_FILE_RANGE",
     Size<fuse_copy_file_range_in>(),
     {kNone, kNone},
     Size<fuse_write_out>(),
     0,
     &H::CopyFileRange},
    {FUSE_SETUPMAPPING, "SETUPMAPPING", Size<fuse_setupmapping_in>(), {kNone, kNone}, 0, 0, &H::SetupMapping},
    {FUSE_REMOVEMAPPING, "REMOVEMAPPING", Size<fuse_removemapping_in>(), {kNone, kNone}, 0, 0, &H::RemoveMapping},
    {FUSE_SYNCFS, "SYNCFS", Size<fuse_syncfs_in>(), {kNone, kNone}, 0, 0, &H::SyncFs},
    {FUSE_TMPFILE, "TMPFILE", Size<fuse_create_in>(), {kUnused, kNone}, kCreateOut, kMakesInode, &H::TmpFile},
};

constexpr bool WellFormed() {
  for (size_t i = 0; i < std::size(kOps); ++i) {
    if (kOps[i].argument_size > kMaxArgument) return false;
    if (i > 0 && kOps[i - 1].opcode >= kOps[i].opcode) return false;
  }
  return true;
}
static_assert(WellFormed(), "rows are sorted by opcode, and kMaxArgument holds every argument");

}  // namespace

const Op* FindOp(uint32_t opcode) {
  const Op* found = std::lower_bound(std::begin(kOps), std::end(kOps), opcode,
                                     [](const Op& op, uint32_t wanted) { return op.opcode < wanted; });
  return found != std::end(kOps) && found->opcode == opcode ? found : nullptr;
}

std::span<const Op> AllOps() { return kOps; }

}  // namespace daxvmm::fuse
