// The persistent DAX hint of a file or directory: what `chattr +x` says inside the guest, wherever the share keeps it.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_DAX_HINT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_DAX_HINT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "devices/virtio_fs/fs/share_options.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// The names of the host that hold a hint. A guest sees neither, and can reach the hint by its ioctls only.
inline constexpr char kTrustedDaxHintName[] = "trusted.daxvmm.dax";
inline constexpr char kUserDaxHintName[] = "user.daxvmm.dax";
bool IsDaxHintName(absl::string_view host_xattr_name);

enum class DaxHint : uint8_t {
  kUnset,
  kSet,
  kSetInMemory,  // gone with the device
};

// The stores of one share. With kAuto a file of which no store says anything has the hint that the host's own flag is;
// a guest that unsets it writes so into a store, and leaves the flag alone.
//
// Any thread may call any method; a setter is one system call under a lock of the setters.
// Descriptors are those of a held inode, O_PATH will do, and the inode is a regular file or a directory.
class DaxHints {
 public:
  static constexpr size_t kMaxInMemory = 65536;

  explicit DaxHints(DaxHintStore store, size_t max_in_memory = kMaxInMemory)
      : store_(store), max_in_memory_(max_in_memory) {}

  // kUnset also where the store cannot be read.
  DaxHint Get(int fd, mode_t type) const;
  // What the store holds then. EOPNOTSUPP where a store that was asked for by name does not work, ENOSPC where memory
  // holds as many as it may, or what the host's file system says.
  fuse::Result<DaxHint> Set(int fd, mode_t type, bool on);

  size_t in_memory() const;

 private:
  // The birth time and the generation in the file's handle tell apart the files that had the same number one after the
  // other (zero where the host's file system keeps none). A birth alone would not: its clock may tick 4 ms at a time.
  struct Identity {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t birth_s = 0;
    uint32_t birth_ns = 0;
    uint64_t handle = 0;  // a hash
    bool operator==(const Identity&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Identity& id) {
      return H::combine(std::move(h), id.device, id.inode, id.birth_s, id.birth_ns, id.handle);
    }
  };
  struct Subject {
    Identity identity;
    bool frozen = false;  // immutable or append-only: nothing of it can be set, whatever the store
  };
  static fuse::Result<Subject> Identify(int fd);

  // What the store says of the file; nullopt if nothing.
  std::optional<bool> Holds(DaxHintStore store, int fd, mode_t type) const;
  fuse::Errno Put(DaxHintStore store, int fd, mode_t type, const Identity& identity, bool on);
  fuse::Errno Erase(DaxHintStore store, int fd, mode_t type, const Identity& identity);
  // Set with kAuto.
  fuse::Result<DaxHint> PutWhereItWorks(int fd, mode_t type, const Identity& identity, bool on)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(setters_);

  const DaxHintStore store_;
  const size_t max_in_memory_;
  Mutex setters_;
  // With kAuto, by device: the first store that took a hint.
  absl::flat_hash_map<uint64_t, DaxHintStore> works_ ABSL_GUARDED_BY(setters_);
  mutable Mutex mu_;
  absl::flat_hash_map<Identity, bool> memory_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_DAX_HINT_H_
