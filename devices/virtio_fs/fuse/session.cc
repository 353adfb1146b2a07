#include "devices/virtio_fs/fuse/session.h"

#include <algorithm>

namespace daxvmm::fuse {
namespace {

// How many requests the client may have in flight in the background (readahead, asynchronous direct I/O); its own
// default of 12 starves readahead.
constexpr uint16_t kMaxBackground = 64;
constexpr uint16_t kCongestionThreshold = 48;

// Granted to whoever offers them.
constexpr uint64_t kAlwaysGranted = uint64_t{FUSE_ASYNC_READ} | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                    FUSE_HAS_IOCTL_DIR | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
                                    FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT;

// Granted where the file system says that it can, and the rules below let it. What is in neither set is refused on
// purpose:
//   POSIX_LOCKS, FLOCK_LOCKS    locks stay the guest's own, and work
//   EXPORT_SUPPORT              the client would look up "." and ".." of nodes that it has forgotten
//   NO_OPEN_SUPPORT             the server would see neither open nor close
//   EXPLICIT_INVAL_DATA         the client would keep data that the host has changed
//   HANDLE_KILLPRIV             V2 says for each request what is to be cleared
//   the others                  of no use through a virtqueue, or not served; docs/fuse_support.md has a line for each
constexpr uint64_t kUpToTheFileSystem = uint64_t{FUSE_DONT_MASK} | FUSE_AUTO_INVAL_DATA | FUSE_WRITEBACK_CACHE |
                                        FUSE_POSIX_ACL | FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT |
                                        FUSE_SUBMOUNTS | FUSE_SETXATTR_EXT | FUSE_SECURITY_CTX | kCreateSuppGroup |
                                        kDirectIoAllowMmap;
constexpr uint64_t kWindow = uint64_t{FUSE_MAP_ALIGNMENT} | FUSE_HAS_INODE_DAX;
// An ACL decides over the umask, and setting one over the set-group-ID bit: both must be left to the server then.
constexpr uint64_t kNeededByAcls = uint64_t{FUSE_DONT_MASK} | FUSE_SETXATTR_EXT;

// Linux offers MAP_ALIGNMENT exactly if it can use the window in this mount, and HAS_INODE_DAX exactly in the modes
// where it goes by FUSE_ATTR_DAX (fuse_send_init, fs/fuse/inode.c of 6.1).
ClientDaxMode ModeOf(uint64_t offered, const SessionOptions& options) {
  if (!options.dax_window || (offered & FUSE_MAP_ALIGNMENT) == 0) return ClientDaxMode::kNever;
  return (offered & FUSE_HAS_INODE_DAX) != 0 ? ClientDaxMode::kPerFile : ClientDaxMode::kAlways;
}

uint64_t Granted(uint64_t offered, ClientDaxMode mode, const SessionOptions& options, uint64_t optional_flags) {
  uint64_t granted = offered & (kAlwaysGranted | (optional_flags & kUpToTheFileSystem));
  if (options.dax_window) granted |= offered & kWindow;
  // The client would trust its own mtime and size, which stores through a window never update (fs/fuse/dax.c).
  if (options.dax_window) granted &= ~uint64_t{FUSE_WRITEBACK_CACHE};
  // Stores through a window move the host's mtime, and the client would answer each new mtime by tearing down the
  // inode's mappings. Where the mount has no window, this is how it learns of the host's writes.
  if (mode != ClientDaxMode::kNever) granted &= ~uint64_t{FUSE_AUTO_INVAL_DATA};
  if ((granted & kNeededByAcls) != kNeededByAcls) granted &= ~uint64_t{FUSE_POSIX_ACL};
  return granted;
}

}  // namespace

Agreement Negotiate(const fuse_init_in& in, const SessionOptions& options, uint64_t optional_flags) {
  Agreement agreement;
  agreement.out.major = kMajor;
  agreement.out.minor = kMinor;
  if (in.major > kMajor) return agreement;
  if (in.major < kMajor || in.minor < kOldestMinor) {
    agreement.error = Errno(EPROTO);
    return agreement;
  }
  const uint64_t offered = JoinInitFlags(in.flags, in.flags2);
  agreement.starts_session = true;
  agreement.mode = ModeOf(offered, options);
  agreement.granted = Granted(offered, agreement.mode, options, optional_flags);

  fuse_init_out& out = agreement.out;
  out.minor = std::min(kMinor, in.minor);
  out.max_readahead = in.max_readahead;
  out.flags = static_cast<uint32_t>(agreement.granted);
  out.flags2 = static_cast<uint32_t>(agreement.granted >> 32);
  out.max_background = kMaxBackground;
  out.congestion_threshold = kCongestionThreshold;
  out.max_write = static_cast<uint32_t>(options.max_write.raw());
  out.time_gran = 1;
  if ((agreement.granted & FUSE_MAX_PAGES) != 0) {
    out.max_pages = static_cast<uint16_t>(options.max_write.raw() / kPageSize.raw());
  }
  // log2; the client refuses a connection whose alignment is above its own 2 MiB.
  if ((agreement.granted & FUSE_MAP_ALIGNMENT) != 0) out.map_alignment = 12;
  return agreement;
}

}  // namespace daxvmm::fuse
