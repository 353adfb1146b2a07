// The DAX window of a share: serves SETUPMAPPING and REMOVEMAPPING, knows what lies where, and takes pages out of the
// guest's reach before it can touch them past the end of a file that the host has truncated.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/virtio_fs/dax/mapped_file.h"
#include "devices/virtio_fs/dax/mapping_table.h"
#include "devices/virtio_fs/dax/truncation_watch.h"
#include "devices/virtio_fs/fuse/mapping_handler.h"
#include "memory/mapping_window.h"

namespace daxvmm::dax {

// Chunks are the 2 MiB ranges of the window; one counts as mapped if any page of it is.
struct WindowStats {
  uint64_t mapped_chunks = 0;
  uint64_t mapped_chunks_max = 0;  // high-water mark since the window was made
  uint64_t maps = 0;               // Setup calls that succeeded
  uint64_t unmaps = 0;             // entries of Remove that took a mapping away
  uint64_t rejected = 0;           // Setup and Remove calls that were refused
  uint64_t withdrawals = 0;        // times that pages past a truncated file's end were taken from the guest
  uint64_t restores = 0;           // times that such pages were given back
};

// Any thread may call any method. One lock covers the table and every mmap of the window; files are opened outside it.
//
// Truncation. Where a page of the window lies past the end of its file, a guest that touches it spins in KVM_RUN for
// ever (the asynchronous page fault of an in-kernel irqchip is retried without end; kvm_main.c and mmu.c of Linux 6.1),
// while a PROT_NONE page makes KVM_RUN fail with EFAULT at once, which ends the machine with a message. So when a file
// shrinks, the pages that it no longer reaches are withdrawn: replaced by PROT_NONE. When it grows again they go back
// to the file, before any reply that tells the guest of that growth. The pages past the end of a file that never
// shrank stay mapped to it: the guest knows where the end is, and does not ask again when the file grows.
class Window {
 public:
  // `window` outlives this. `read_only`: the share is, and a writable mapping answers EROFS. Fails if the host has no
  // file descriptor or thread left.
  static absl::StatusOr<std::unique_ptr<Window>> Create(memory::MappingWindow* window, bool read_only);
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  // Stops the watch and clears the window.
  ~Window();

  // Maps part of the node's file. Replaces what was there: wholly, in part, or by the same with more rights, in one
  // step that leaves no gap for another vCPU to fall into. `told_size` is the file size that the guest was told last
  // (InodeStates::ToldSize): pages between the file's end and there are withdrawn from the start.
  // EINVAL for a malformed request or what is not a regular file, EROFS, the errno of open(2); EIO for all else, since
  // EAGAIN would make the guest's fault handler loop and ENOMEM start its OOM killer. The old state stands then.
  fuse::Errno Setup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                    ByteCount told_size = ByteCount(0));

  // Back to PROT_NONE, whichever node's file lies there: on return no vCPU reaches the old pages. Validates all entries
  // before the first is applied (EINVAL); empty entries and ranges with nothing in them are fine.
  fuse::Errno Remove(NodeId node, std::span<const fuse_removemapping_one> entries);

  // Everything back to PROT_NONE: DESTROY, a new INIT, reset. A Setup that began before it does not map after it.
  void Clear();

  // The guest is about to be told that the node's file has this size: pages that were withdrawn and are inside the file
  // again are back before this returns. One atomic load while nothing is withdrawn.
  void FileSizeSeen(NodeId node, ByteCount size);

  WindowStats stats() const;
  // How many chunks hold a mapping of the node.
  uint32_t ChunksOf(NodeId node) const;
  // The same for every node that has any.
  std::unordered_map<NodeId, uint32_t> ChunksByNode() const;
  // Sorted by window offset.
  std::vector<TableEntry> Mappings() const;

  // For the message that ends a machine whose vCPU touched an unusable page: the files that are mapped beyond their
  // present end, a clause for each; empty if there are none.
  std::string DescribeUnusable() const;
  // What lies at `at`, in a clause: nothing, a page past a file's end, or a mapping with its rights.
  std::string Describe(WindowOffset at) const;

  // Waits until `reached` holds of the statistics; false if `deadline` passed first. For tests.
  bool AwaitStats(absl::FunctionRef<bool(const WindowStats&)> reached,
                  std::chrono::steady_clock::time_point deadline) const;

  ByteCount size() const { return window_->size(); }
  bool read_only() const { return read_only_; }

 private:
  struct Opened {
    std::shared_ptr<const UniqueFd> fd;
    dev_t device;
    ino_t inode;
  };

  Window(memory::MappingWindow* window, bool read_only);

  fuse::Errno TrySetup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source, ByteCount told_size);
  fuse::Errno MapLocked(const SetupRequest& request, NodeId node, const Opened& opened, ByteCount told_size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  fuse::Errno TryRemove(std::span<const fuse_removemapping_one> entries);

  // The record of the file that is open as `opened`, made if there is none.
  MappedFile& EnterFileLocked(NodeId node, const Opened& opened, bool writable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Gives the pages of `taken` back to their files' counts and drops the files that have none left.
  void ReleasePagesLocked(std::span<const TableEntry> taken) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropIfUnmappedLocked(MappedFileId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Puts back what the table says of `range`, after an mmap there that failed and may have left nothing.
  void RepairLocked(const WindowRange& range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Looks at the file's size and brings the window's pages in line with it; `told_size` as in Setup.
  void RefreshLocked(MappedFile& file, ByteCount told_size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes those of the file's pages that the window shows from the guest, or gives them back: wherever they are mapped,
  // or in one entry. Whether there were any. A failure of mmap puts the file in doubt, and the next look at it retries.
  enum class Pages { kWithdraw, kRestore };
  bool ChangePagesLocked(MappedFile& file, const PageRange& pages, Pages what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ChangePagesOfEntryLocked(MappedFile& file, const TableEntry& entry, const PageRange& pages, Pages what)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The watch's callbacks. `which` is null for all files.
  void CheckFiles(const std::span<const WatchId>* which);

  memory::MappingWindow* const window_;
  const bool read_only_;

  mutable Mutex mu_;
  mutable CondVar stats_changed_;
  MappingTable table_ ABSL_GUARDED_BY(mu_);
  std::map<MappedFileId, MappedFile> files_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<NodeId, MappedFileId> file_of_node_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<dev_t, ino_t>, MappedFileId> file_of_inode_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<WatchId, MappedFileId> file_of_watch_ ABSL_GUARDED_BY(mu_);
  uint64_t last_file_id_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t reduced_files_ ABSL_GUARDED_BY(mu_) = 0;  // those that are reduced()
  WindowStats stats_ ABSL_GUARDED_BY(mu_);           // but for mapped_chunks, which the table knows
  // One more with each Clear, under mu_; read without it by a Setup that begins.
  std::atomic<uint64_t> session_{0};

  // False only if no page is withdrawn and none is about to be. Whoever withdraws stores true before it looks at the
  // file's size; whoever lets a file grow loads it afterwards. Sequentially consistent, so one of the two sees the
  // other: either the growth is in the size looked at, or FileSizeSeen takes the lock and mends it.
  std::atomic<bool> any_withdrawn_{false};

  std::unique_ptr<TruncationWatch> watch_;  // last: its thread uses all of the above until it is joined
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_
