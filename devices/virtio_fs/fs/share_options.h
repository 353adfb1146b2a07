// What an operator says of a share. Plain values; share_option_text reads them from text.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTIONS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "devices/virtio_fs/fs/id_map.h"
#include "devices/virtio_fs/fs/xattr_map.h"

namespace daxvmm::fs {

// How much the guest may trust what it has cached.
enum class CacheMode {
  kAuto,      // names and attributes for a second; data as long as the file is the same at the next open
  kAlways,    // everything, until the guest itself changes it: for a share that nobody else changes
  kNever,     // nothing: names and attributes are asked for each time, data is never kept
  kMetadata,  // names and attributes as kAlways, data as kNever
};

// Where the persistent DAX hint of a file (chattr +x in the guest) is kept.
enum class DaxHintStore {
  kAuto,          // the first of these three that works: trusted xattr as root, user xattr, memory; the host's flag is
                  // the hint of a file of which they say nothing
  kTrustedXattr,  // trusted.daxvmm.dax: hidden from the guest and from ordinary users of the host
  kUserXattr,     // user.daxvmm.dax: hidden from the guest
  kHostFlag,      // the host inode's own FS_XFLAG_DAX, where its file system stores that
  kMemory,        // not persistent: gone with the device
};

struct ShareOptions {
  std::string path;
  // Everything that would modify the share answers EROFS, a writable mapping included.
  bool read_only = false;

  CacheMode cache = CacheMode::kAuto;
  // How long the guest may trust names and attributes unasked; by `cache` where not set. 0 for entries makes the guest
  // drop an inode, and its mappings, at each last close.
  std::optional<absl::Duration> attr_timeout;
  std::optional<absl::Duration> entry_timeout;
  // The guest collects writes in its page cache and keeps size and mtime itself. Not with a DAX window: stores through
  // it would leave mtime as it was.
  bool writeback = false;

  IdMap uid_map;
  IdMap gid_map;
  bool xattr = true;      // false: the guest has none (ENOSYS, which Linux remembers)
  bool posix_acl = true;  // where the host's file system has them
  XattrMap xattr_map;

  // A mount below the share becomes a mount of its own in the guest, with a device number of its own.
  bool announce_submounts = false;

  DaxHintStore dax_hint_store = DaxHintStore::kAuto;
  // Inode flags (FS_*_FL of <linux/fs.h>) that the guest may change besides the DAX hint; they are the host's flags.
  uint32_t settable_flags = 0;

  // Bounds on what a guest can make the host hold. 0: `max_nodes` is 2^20, and `max_descriptors` three quarters of
  // RLIMIT_NOFILE as it is at creation. Of the descriptors an eighth (at most 512) is left to what requests open while
  // they run, a third of the rest is for open files and directories, two thirds for inodes.
  // More inodes than that are held by file handle (name_to_handle_at(2); the process needs CAP_DAC_READ_SEARCH), and
  // inodes that need no descriptor have 2560 at most. ENFILE where a file system has no handles and the descriptors are
  // used up, where so many files are open, and beyond `max_nodes`.
  uint64_t max_nodes = 0;
  uint64_t max_descriptors = 0;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_SHARE_OPTIONS_H_
