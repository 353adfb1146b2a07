// The DAX window of a share: serves SETUPMAPPING and REMOVEMAPPING, knows what lies where, and keeps the guest alive
// when the host truncates a file under its mapping.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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
#include "devices/virtio_fs/dax/told_sizes.h"
#include "devices/virtio_fs/dax/truncation_watch.h"
#include "devices/virtio_fs/dax/window_account.h"
#include "devices/virtio_fs/fuse/mapping_handler.h"
#include "memory/mapping_window.h"
#include "memory/window_owner.h"

namespace daxvmm::dax {

struct WindowOptions {
  // A chunk that is mapped again within this time of its removal, when no chunk was free at the removal, counts as
  // reused soon: the guest had been waiting for it, as far as the host can tell.
  std::chrono::milliseconds reuse_within{100};
  // Called under the window's lock, on any thread.
  WindowClock clock = [] { return std::chrono::steady_clock::now(); };
  // Pages past a file's end were withdrawn from the guest, or (false) given back to it. Called under the window's lock,
  // on any thread: must not block, nor call the window. May be empty.
  std::function<void(bool withdrawn)> repaired;
};

// With fewer of its ranges free than this a Linux guest takes ranges away from files that do not use them, in the
// background (FUSE_DAX_RECLAIM_THRESHOLD in fs/fuse/dax.c, 6.1).
inline constexpr uint64_t kReclaimPercent = 20;
constexpr uint64_t ReclaimThreshold(uint64_t chunks) {
  const uint64_t share = chunks / 100 * kReclaimPercent + chunks % 100 * kReclaimPercent / 100;
  return chunks == 0 ? 0 : std::max<uint64_t>(share, 1);
}

// What the caller of Setup knows besides the request.
struct SetupContext {
  // The file size that the guest was told last (InodeStates::ToldSize): pages between the file's end and there are
  // repair pages from the start.
  ByteCount told_size;
  // Of the policy in force; kept with the mapping for lists.
  uint64_t policy_generation = 0;
};

// Chunks are the 2 MiB ranges of the window; one counts as mapped if any page of it is. All but mapped_chunks and the
// rates count from when the window was made.
struct WindowStats {
  uint64_t chunks = 0;  // that the window has
  uint64_t mapped_chunks = 0;
  uint64_t mapped_chunks_max = 0;  // high-water mark
  uint64_t maps = 0;               // Setup calls that succeeded
  uint64_t unmaps = 0;             // entries of Remove that took a mapping away
  EventRates map_rates;
  EventRates unmap_rates;
  uint64_t reused_soon = 0;      // chunks mapped again soon after a removal from a full window; see WindowOptions
  uint64_t rejected = 0;         // Setup and Remove calls that were refused
  uint64_t repairs = 0;          // times that repair pages were laid past a file's end
  uint64_t restores = 0;         // times that such pages were given back to the file
  uint64_t stores_past_end = 0;  // guest stores to repair pages
  uint64_t files_extended = 0;   // those of them that were served by extending the file
};

// Any thread may call any method. One lock covers the table and every mmap of the window; files are opened, and
// extended, outside it.
//
// Truncation (ADR 0008). Where a page of the window lies past the end of its file, a guest that touches it spins in
// KVM_RUN for ever (the asynchronous page fault of an in-kernel irqchip is retried without end; kvm_main.c and mmu.c of
// Linux 6.1). So when a file shrinks, the pages that it no longer reaches become repair pages: read-only zeros. A load
// from one succeeds. A store makes KVM_RUN fail with EFAULT, whereupon the vCPU asks Mend, which extends the file. When
// the file grows again the pages go back to it, before any reply that tells the guest of that growth. The pages past
// the end of a file that never shrank stay mapped to it: the guest knows where the end is, and does not ask again when
// the file grows.
class Window final : public memory::WindowOwner {
 public:
  // `window` outlives this. `read_only`: the share is, and a writable mapping answers EROFS. Fails if the host has no
  // file descriptor or thread left.
  static absl::StatusOr<std::unique_ptr<Window>> Create(memory::MappingWindow* window, bool read_only,
                                                        WindowOptions options = {});
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  // Stops the watch and clears the window.
  ~Window() override;

  // Maps part of the node's file. Replaces what was there: wholly, in part, or by the same with more rights, in one
  // step that leaves no gap for another vCPU to fall into.
  // EINVAL for a malformed request or what is not a regular file, EROFS, the errno of open(2); EIO for all else, since
  // EAGAIN and ENOMEM would make a fault in the guest retry without end. The old state stands then.
  // A size that another thread told the guest since `known` was made is missed: call FileSizeSeen with the size told
  // last once this has returned.
  fuse::Errno Setup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                    const SetupContext& known = {});

  // Back to PROT_NONE, whichever node's file lies there: on return no vCPU reaches the old pages. Validates all entries
  // before the first is applied (EINVAL); empty entries and ranges with nothing in them are fine.
  fuse::Errno Remove(NodeId node, std::span<const fuse_removemapping_one> entries);

  // Everything back to PROT_NONE: DESTROY, a new INIT, reset. A Setup that began before it does not map after it.
  void Clear();

  // The guest is about to be told that the node's file has this size: pages that the file had lost and reaches again
  // are back before this returns, and the size is what stores past the end are measured by. One atomic load while
  // nothing is mapped; a short lock of its own while something is; the window's lock only for a file with repair pages.
  void FileSizeSeen(NodeId node, ByteCount size);

  WindowStats stats() const;
  // How many chunks are mapped: a relaxed load, for decisions that are made often and need no more than an idea.
  uint64_t mapped_chunks_now() const { return account_.mapped_chunks_now(); }
  // How many chunks hold a mapping of the node.
  uint32_t ChunksOf(NodeId node) const;
  // The same for every node that has any.
  std::unordered_map<NodeId, uint32_t> ChunksByNode() const;
  // What the node, or every node with something mapped, has had of the window; all 0 for a node with nothing mapped.
  NodeWindowUse UseOf(NodeId node) const;
  NodeWindowUseMap UseByNode() const;
  // Sorted by window offset. TableEntry::mapped_at is of the clock of WindowOptions, as is Now().
  std::vector<TableEntry> Mappings() const;
  std::chrono::steady_clock::time_point Now() const { return account_.Now(); }

  // memory::WindowOwner
  uint64_t repair_count() const override { return repair_count_.load(std::memory_order_acquire); }
  bool LookAtFiles() override { return CheckFiles(nullptr); }
  memory::MendOutcome Mend(WindowOffset at, memory::Touch touch) override;
  memory::MendOutcome Access(WindowOffset at, std::span<uint8_t> data, bool store) override;
  // The files that are mapped beyond their present end, a clause for each.
  std::string DescribeUnusable() const override;
  // Nothing, a page past a file's end, or a mapping with its rights.
  std::string Describe(WindowOffset at) const override;

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
  // A store past a file's end that can be served: the file is to reach at least from + length.
  struct Extension {
    MappedFileId file;
    std::shared_ptr<const UniqueFd> fd;
    FileOffset from;
    ByteCount length;
  };

  Window(memory::MappingWindow* window, bool read_only, WindowOptions options);

  // window.cc: the requests.
  fuse::Errno TrySetup(NodeId node, const fuse_setupmapping_in& in, fuse::MappingSource& source,
                       const SetupContext& known);
  fuse::Errno MapLocked(const SetupRequest& request, NodeId node, const Opened& opened, const SetupContext& known)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  fuse::Errno TryRemove(std::span<const fuse_removemapping_one> entries);
  WindowStats StatsLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // window_files.cc: which files are mapped.
  // The record of the file that is open as `opened`, made if there is none.
  MappedFile& EnterFileLocked(NodeId node, const Opened& opened, bool writable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the table has just let go of: gives the pages back to their files' counts, and drops the files and nodes that
  // have none left.
  void ReleasePagesLocked(std::span<const TableEntry> taken, WindowAccount::Loss how)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropFileIfUnmappedLocked(MappedFileId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropNodeLocked(NodeId node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Puts back what the table says of `range`, after an mmap there that failed and may have left nothing.
  void RepairLocked(const WindowRange& range) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // window_truncation.cc: the sizes of files.
  // Looks at the file's size and brings the window's pages in line with it and with what the guest was told; whether
  // any page was changed. The pages up to `touched` count as lost, though nobody may have heard of them.
  bool RefreshLocked(MappedFile& file, ByteCount touched = ByteCount(0)) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ApplyExtentLocked(MappedFile& file, const FileExtent& next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes those of the file's pages that the window shows repair pages, or gives them back: wherever they are mapped,
  // or in one entry. Whether there were any. A failure of mmap puts the file in doubt, and the next look at it retries.
  enum class Pages { kRepair, kRestore };
  bool ChangePagesLocked(MappedFile& file, const PageRange& pages, Pages what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ChangePagesOfEntryLocked(MappedFile& file, const TableEntry& entry, const PageRange& pages, Pages what)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The watch's callbacks, and the look at everything. `which` is null for all files. Whether any page was changed.
  bool CheckFiles(const std::span<const WatchId>* which);

  // window_mend.cc: what a vCPU could not reach.
  // Decides what can be done about a touch of `at`; `extension` is what remains to be done outside the lock.
  memory::MendOutcome MendLocked(WindowOffset at, memory::Touch touch, std::optional<Extension>* extension)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string DescribeLocked(WindowOffset at) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  memory::MappingWindow* const window_;
  const bool read_only_;
  const std::function<void(bool withdrawn)> repaired_;

  mutable Mutex mu_;
  mutable CondVar stats_changed_;
  MappingTable table_ ABSL_GUARDED_BY(mu_);
  std::map<MappedFileId, MappedFile> files_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<NodeId, MappedFileId> file_of_node_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<dev_t, ino_t>, MappedFileId> file_of_inode_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<WatchId, MappedFileId> file_of_watch_ ABSL_GUARDED_BY(mu_);
  uint64_t last_file_id_ ABSL_GUARDED_BY(mu_) = 0;
  WindowStats stats_ ABSL_GUARDED_BY(mu_);  // but for what account_ knows
  WindowAccount account_;                   // under mu_, but for what its header exempts and Now()
  // One more with each Clear, under mu_; read without it by a Setup that begins.
  std::atomic<uint64_t> session_{0};
  // Stored after the pages were laid, so that who reads a new value finds them.
  std::atomic<uint64_t> repair_count_{0};
  ToldSizes told_;

  std::unique_ptr<TruncationWatch> watch_;  // last: its thread uses all of the above until it is joined
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_H_
