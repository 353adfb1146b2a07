// The adaptive DAX policy: which files a guest may map, learnt from the requests that it sends. docs/adaptive.md tells
// the reasoning in plain words.
//
// A value without threads, locks, clock or system calls: the caller passes times in, serialises the calls, and has the
// same verdicts from the same calls on every machine. It holds records of a bounded number of files.
//
//   AdaptivePolicy policy;
//   when an inode is made in the guest (the first reply that carries its attributes):
//     inode.verdict = policy.Instantiated(now, {identity, size, huge});      // FUSE_ATTR_DAX = inode.verdict.dax
//   when policy.Due(now, maps), about once a second, with the inodes that had a request since:
//     for (const VerdictChange& change : policy.Tick(now, window, samples)) inode[change.file].verdict =
//     change.verdict;
//   when the guest has forgotten the inode:
//     policy.Forgotten(now, last_sample);
//
// The guest learns of a changed verdict when it next asks for attributes, and acts on it when the file's last user has
// closed it. A verdict is about the next instance of the inode for that reason.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "devices/virtio_fs/dax/adaptive_files.h"
#include "devices/virtio_fs/dax/adaptive_kinds.h"
#include "devices/virtio_fs/dax/adaptive_types.h"

namespace daxvmm::dax {

class AdaptivePolicy {
 public:
  // `capacity_chunks`: the window, in ranges of 2 MiB; 0: every verdict is a denial until a Tick tells otherwise.
  explicit AdaptivePolicy(uint64_t capacity_chunks, const AdaptiveTuning& tuning = {});

  // The verdict of a file whose inode comes to life. Constant time (amortised: one hash look-up). Of a file that lives
  // already, or that comes back: what it had, unless reasons that were passing have passed.
  Verdict Instantiated(AdaptiveTime now, const NewFile& file);
  // What that would be at present, but for trials, and without that anything is noted: for whoever asks about a file
  // that the guest does not hold.
  Verdict Preview(const NewFile& file) const;

  // The guest has forgotten the inode, and its mappings are gone. What was seen of the file is kept for its return.
  // `last`: the final counts; a file that is not known is ignored.
  void Forgotten(AdaptiveTime now, const FileSample& last);

  // Looks at the window and at the files that had any request since the last call, and returns the verdicts that
  // change: at most `max_changes_per_second` in any second, none of a file within its dwell time. `active` may list a
  // file that the policy no longer knows: it is taken up again with the verdict that the sample carries. Linear in the
  // active files, plus one pass over the live ones.
  std::vector<VerdictChange> Tick(AdaptiveTime now, const WindowSample& window, std::span<const FileSample> active);

  // Whether it is time for a Tick: a second has passed, or much was mapped since the last one. `maps` as in
  // WindowSample. For whoever serves SETUPMAPPING; a Tick at any other time does no harm.
  bool Due(AdaptiveTime now, uint64_t maps) const;

  // All that was learnt is dropped (the session ended); the tuning stays.
  void Reset();

  // Why the file has the verdict that it has, in a line: "denied: window at 84 %, ...". A text that says so if the file
  // is not known.
  std::string Explain(FileIdentity file) const;

  // For lists and tests.
  size_t live_files() const { return files_.live_count(); }
  size_t forgotten_files() const { return files_.forgotten_count(); }
  // The chunks that granted files are expected to need, and others still hold.
  uint64_t bespoken_chunks() const { return bespoken_; }
  // The chunks that granted files may be expected to need.
  uint64_t budget_chunks() const;
  // How full the window is taken to be, in percent: by what is mapped or bespoken, whichever is more, up to 100.
  uint8_t window_percent() const;
  bool turning_over() const { return turning_over_; }
  const AdaptiveTuning& tuning() const { return tuning_; }

 private:
  AdaptiveTime Clamp(AdaptiveTime now);
  Verdict Make(bool dax, AdaptiveReason reason, uint64_t count = 0, AdaptiveTime over = AdaptiveTime(0)) const;

  // What a file is told of which nothing (more) is known.
  Verdict Judge(const NewFile& file);
  // The same, but for trials.
  Verdict JudgeByKind(const NewFile& file) const;
  // What a file is told that comes back.
  Verdict JudgeReturn(AdaptiveTime now, const AdaptiveFile& record, const NewFile& file);

  bool MayChange(AdaptiveTime now, const AdaptiveFile& record);
  void Change(AdaptiveTime now, AdaptiveFile* record, const Verdict& verdict);
  // Counts the chunks that the file needs into `bespoken_`, instead of what it was counted with.
  void Bespeak(AdaptiveTime now, AdaptiveFile* record);
  void Release(AdaptiveFile* record);
  void MakePlace();

  // Takes a sample in; returns how many chunks were mapped that had been mapped before.
  uint64_t TakeUp(AdaptiveTime now, AdaptiveFile* record, const FileSample& sample);
  void VoteFor(AdaptiveFile* record);
  // Sees whether the window turns over, from what has come together since it was asked last.
  void Observe(AdaptiveTime now, const WindowSample& window);

  // Of a file that was read through in order, and is granted.
  bool GivesTooLittle(const AdaptiveFile& streamed) const;
  void WithdrawStreamed(AdaptiveTime now, std::span<AdaptiveFile* const> active, std::vector<VerdictChange>* changes);
  void WithdrawLeastUsed(AdaptiveTime now, std::vector<VerdictChange>* changes);
  void GrantServedOften(AdaptiveTime now, std::span<AdaptiveFile* const> active, std::vector<VerdictChange>* changes);

  const AdaptiveTuning tuning_;
  AdaptiveFiles files_;
  AdaptiveKinds kinds_;
  uint64_t capacity_;
  uint64_t bespoken_ = 0;
  WindowSample window_;  // when it was last observed
  uint64_t window_used_ = 0;
  uint64_t window_maps_ = 0;
  uint64_t mapped_again_ = 0;   // since then: chunks that had been mapped before
  uint64_t streamed_maps_ = 0;  // and chunks of files in huge pages that are read in order
  int64_t lost_ns_ = 0;         // what the former have cost
  bool turning_over_ = false;
  bool streams_harm_ = false;      // by more than they gain
  bool too_much_granted_ = false;  // it does because of what is granted already, not of newcomers
  AdaptiveTime now_{0};
  AdaptiveTime ticked_{0};
  AdaptiveTime observed_{0};
  AdaptiveTime withdrew_{-1'000'000};
  std::deque<AdaptiveTime> recent_changes_;  // of the last second; at most max_changes_per_second
};

// The line for a verdict: "granted: new file, window at 12 %".
std::string ExplainVerdict(const Verdict& verdict, const AdaptiveTuning& tuning);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_ADAPTIVE_H_
