// The values that the adaptive policy takes and gives: what the server sees of files and of the window, and verdicts.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_TYPES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_TYPES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace daxvmm::dax {

// Time as the caller's clock tells it: since any fixed moment, never backwards (an earlier time counts as the latest
// one seen).
using AdaptiveTime = std::chrono::milliseconds;

// Whatever names a file for as long as it exists, also after its inode was forgotten: a hash of device, inode number
// and birth time will do. Opaque here. Two files with the same one are judged as one.
using FileIdentity = Id<struct FileIdentityTag, uint64_t>;

// Every constant of the policy. docs/adaptive.md says what each is for and how it was found.
struct AdaptiveTuning {
  // Memory: files whose inode lives, and files whose inode the guest has forgotten. About 250 bytes each.
  size_t max_live_files = 16384;
  size_t max_forgotten_files = 16384;

  // When a Tick is due: after the first time; or when so many chunks were mapped, but not within the last time. The
  // first files of a stream show what they are before the next hundred are granted.
  AdaptiveTime tick_every = std::chrono::seconds(1);
  uint64_t tick_after_maps = 8;
  AdaptiveTime tick_at_least = std::chrono::milliseconds(10);

  // Changes of verdicts in any second, all files together. A change costs the guest an inode.
  uint32_t max_changes_per_second = 32;
  // Between two changes of one file; doubles with each change that it has had, up to the second value. The verdict
  // that a file is born with is no change.
  AdaptiveTime dwell = std::chrono::seconds(10);
  AdaptiveTime max_dwell = std::chrono::seconds(640);

  // A smaller file costs more mapped than cached.
  ByteCount smallest = KiB(32);

  // In percent of the window. The guest reclaims when less is free than this much, and at least one chunk
  // (FUSE_DAX_RECLAIM_THRESHOLD, fs/fuse/dax.c) ...
  uint32_t guest_keeps_free_percent = 20;
  // ... and granted files are expected to leave so much more: what is left over both is the budget.
  uint32_t margin_percent = 5;
  // From here on, files that were only streamed through lose DAX.
  uint32_t pressure_percent = 60;
  // A file without a request for so long is not counted as needing its chunks: if it does, the guest's reclaim will
  // show it, because the file maps them again.
  AdaptiveTime quiet_after = std::chrono::seconds(60);
  // The same of a file that nobody has open.
  AdaptiveTime closed_quiet_after = std::chrono::seconds(10);
  // A new file is expected to fill its whole size in the window for so long, or until it is closed; then what it has
  // mapped counts.
  AdaptiveTime settles_after = std::chrono::seconds(10);
  // After files were withdrawn because the window turned over, for so long no more are: the guest needs a second to
  // learn of it, and a last close.
  AdaptiveTime withdraw_pause = std::chrono::seconds(3);
  // The window turns over if so many of 1000 chunks are, per second, mapped again after they were taken away.
  uint32_t turnover_per_mille = 20;

  // Estimated costs, in nanoseconds. Only their ratios matter.
  int64_t fuse_request_ns = 35'000;      // one FUSE_READ or FUSE_WRITE, without its pages
  int64_t fuse_page_ns = 600;            // each page of it
  int64_t mapping_ns = 90'000;           // SETUPMAPPING, and the REMOVEMAPPING that follows it one day
  int64_t first_touch_ns = 4'000;        // the first touch of a 4 KiB page of a mapping; 1'400 where tmpfs holds it
  int64_t first_touch_huge_ns = 20'000;  // the first touch of 2 MiB, where the host backs it by one huge page
  // A file is granted when what FUSE has cost it is so many percent of what mapping would have cost ...
  uint32_t grant_percent = 150;
  // ... and so many if the window's budget is spent.
  uint32_t grant_over_budget_percent = 600;
  // Evidence halves in this time.
  AdaptiveTime evidence_half_life = std::chrono::seconds(60);

  // New files are judged by how other files of their kind (size, page size) turned out: a score between -1 and 1, the
  // newest outcome counting 1/kind_memory. Denied when it falls to the first value, granted again at the second.
  double kind_memory = 4;
  double kind_denied_at = -0.5;
  double kind_granted_at = 0;
  // How a few chunks are used cannot be seen once they are mapped: one in so many new files that fit into three is read
  // without DAX, to see it. 0: none.
  uint32_t trial_every = 8;
};

enum class AdaptiveReason : uint8_t {
  kNoWindow,     // there is nothing to map into
  kTooSmall,     // below `smallest`
  kNewFile,      // nothing speaks against it
  kTooLarge,     // alone more than the budget
  kWindowBusy,   // would take the window beyond the budget
  kKind,         // files like it were read once
  kTrial,        // one in `trial_every`
  kStreamed,     // read through in order
  kTurnover,     // among the least used while the window turned over
  kServedOften,  // FUSE has cost more than mapping would
  kGrown,        // was small, and is no more
};

// One latched decision with what led to it. Cheap to copy; the text is made from it when somebody asks.
struct Verdict {
  bool dax = false;
  AdaptiveReason reason = AdaptiveReason::kNoWindow;
  uint8_t window_percent = 0;  // used, or bespoken, at the decision; at most 100
  uint32_t seconds = 0;        // the time over which `count` was seen
  uint64_t count = 0;          // what of, the reason says: chunks, mappings, requests, bytes

  bool operator==(const Verdict&) const = default;
};

// A file whose inode is about to come to life in the guest.
struct NewFile {
  FileIdentity file;
  ByteCount size;
  bool huge_pages = false;  // the host's page cache holds the file in huge pages
};

// What the server has seen of one live file. The counts are totals since its inode came to life.
struct FileSample {
  FileIdentity file;
  ByteCount size;
  bool huge_pages = false;
  bool open = false;               // somebody has it open, or mapped
  bool dax = false;                // the verdict that the caller has latched
  uint32_t mapped_chunks = 0;      // now
  uint64_t setups = 0;             // SETUPMAPPING
  uint64_t sequential_setups = 0;  // of these: of the chunk after the one before, or of the first
  uint64_t write_setups = 0;       // of these: writable
  uint64_t removes = 0;            // entries of REMOVEMAPPING
  uint64_t reads = 0;              // FUSE_READ
  uint64_t sequential_reads = 0;   // of these: from where the one before ended
  uint64_t read_bytes = 0;
  uint64_t writes = 0;  // FUSE_WRITE
  uint64_t write_bytes = 0;
};

// The window. The counts are totals.
struct WindowSample {
  uint64_t capacity_chunks = 0;
  uint64_t used_chunks = 0;
  uint64_t maps = 0;
  uint64_t unmaps = 0;
  uint64_t reused_soon = 0;  // maps of a slot that had become free a moment ago: somebody may have waited for it
};

struct VerdictChange {
  FileIdentity file;
  Verdict verdict;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_TYPES_H_
