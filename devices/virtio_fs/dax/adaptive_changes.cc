// Which verdicts a Tick changes, once it has looked.
#include <algorithm>
#include <cmath>

#include "devices/virtio_fs/dax/adaptive.h"

namespace daxvmm::dax {
namespace {

uint64_t Rounded(double count) { return static_cast<uint64_t>(std::llround(count)); }

}  // namespace

bool AdaptivePolicy::GivesTooLittle(const AdaptiveFile& streamed) const {
  const FileSample& seen = streamed.last;
  // The window cannot hold it between two passes. Perhaps the guest's cache can; if not, FUSE_READs will show it.
  const bool over_again = seen.setups >= 2 * ChunksOfSize(seen.size);
  if (seen.huge_pages) return over_again && streamed.verdict.reason != AdaptiveReason::kServedOften;
  return over_again || window_percent() >= tuning_.pressure_percent;
}

void AdaptivePolicy::WithdrawStreamed(AdaptiveTime now, std::span<AdaptiveFile* const> active,
                                      std::vector<VerdictChange>* changes) {
  for (AdaptiveFile* file : active) {
    const FileSample& seen = file->last;
    if (!file->verdict.dax || !MayChange(now, *file)) continue;
    if (seen.size < tuning_.smallest) {
      Change(now, file, Make(false, AdaptiveReason::kTooSmall, seen.size.raw()));
    } else if (ReadInOrder(seen) && SeenWhole(seen) && GivesTooLittle(*file)) {
      Change(now, file, Make(false, AdaptiveReason::kStreamed, seen.setups, now - file->born));
    } else {
      continue;
    }
    changes->push_back({file->file, file->verdict});
    Bespeak(now, file);
  }
}

void AdaptivePolicy::WithdrawLeastUsed(AdaptiveTime now, std::vector<VerdictChange>* changes) {
  if (now - withdrew_ < tuning_.withdraw_pause) return;
  struct Candidate {
    AdaptiveFile* file;
    double per_chunk;
    uint64_t chunks;
  };
  std::vector<Candidate> candidates;
  uint64_t wanted = 0;
  for (AdaptiveFile& file : files_.live()) {
    if (!file.verdict.dax || now - file.active > tuning_.quiet_after) continue;
    file.evidence.FadeTo(now, tuning_.evidence_half_life);
    // What it maps again and again counts in full, even if the guest has just taken it away.
    const uint64_t chunks = std::max<uint64_t>(
        file.bespoken, std::min<uint64_t>(ChunksOfSize(file.last.size), static_cast<uint64_t>(file.evidence.setups())));
    if (chunks == 0) continue;
    wanted += chunks;
    candidates.push_back({&file, file.evidence.setups() / static_cast<double>(chunks), chunks});
  }
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    if (a.per_chunk != b.per_chunk) return a.per_chunk < b.per_chunk;
    if (a.chunks != b.chunks) return a.chunks > b.chunks;
    return a.file->file < b.file->file;
  });
  // At least one goes: the window does turn over.
  for (const Candidate& candidate : candidates) {
    if (withdrew_ == now && wanted <= budget_chunks()) break;
    if (!MayChange(now, *candidate.file)) continue;
    AdaptiveFile* file = candidate.file;
    Change(now, file,
           Make(false, AdaptiveReason::kTurnover, Rounded(file->evidence.setups()),
                now - std::max(file->born, file->evidence.since())));
    changes->push_back({file->file, file->verdict});
    Bespeak(now, file);
    wanted -= candidate.chunks;
    withdrew_ = now;
  }
}

void AdaptivePolicy::GrantServedOften(AdaptiveTime now, std::span<AdaptiveFile* const> active,
                                      std::vector<VerdictChange>* changes) {
  struct Candidate {
    AdaptiveFile* file;
    double saved_per_chunk;
    bool passes;
    bool again;
    double percent;
    uint64_t chunks;
  };
  std::vector<Candidate> candidates;
  for (AdaptiveFile* file : active) {
    const FileSample& seen = file->last;
    if (file->verdict.dax || capacity_ == 0 || seen.size < tuning_.smallest) continue;
    const uint64_t chunks = ChunksOfSize(seen.size);
    // A stream through huge pages leaves its chunks behind: it need not fit.
    const bool passes = seen.huge_pages && ServedInOrder(seen) && !streams_harm_;
    if (chunks > budget_chunks() && !passes) continue;
    const double fuse = file->evidence.FuseNs(tuning_);
    const double mapping = file->evidence.MappingNs(tuning_, seen.size, seen.huge_pages);
    if (mapping <= 0 || fuse * 100 < mapping * tuning_.grant_percent) continue;
    // What was asked for the first time may be cached now, and never asked for again.
    if (file->evidence.bytes() < static_cast<double>(seen.size.raw())) continue;
    const bool again = file->evidence.bytes() >= 2 * static_cast<double>(seen.size.raw());
    candidates.push_back(
        {file, (fuse - mapping) / static_cast<double>(chunks), passes, again, fuse * 100 / mapping, chunks});
  }
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    if (a.saved_per_chunk != b.saved_per_chunk) return a.saved_per_chunk > b.saved_per_chunk;
    return a.file->file < b.file->file;
  });
  for (const Candidate& candidate : candidates) {
    AdaptiveFile* file = candidate.file;
    const uint64_t after = bespoken_ + candidate.chunks;
    const bool fits = after <= budget_chunks();
    if (!fits && !(candidate.passes && candidate.again) &&
        (turning_over_ || !candidate.again || candidate.percent < tuning_.grant_over_budget_percent ||
         after > capacity_))
      continue;
    if (!MayChange(now, *file)) continue;
    Change(now, file,
           Make(true, AdaptiveReason::kServedOften, Rounded(file->evidence.requests()),
                now - std::max(file->born, file->evidence.since())));
    changes->push_back({file->file, file->verdict});
    // Until the guest has made a new inode and settled, the whole file counts.
    Release(file);
    file->bespoken = std::min(candidate.chunks, budget_chunks());
    bespoken_ += file->bespoken;
    file->born = now;
    file->evidence.Clear();
  }
}

}  // namespace daxvmm::dax
