#include "devices/virtio_fs/dax/adaptive.h"

#include <algorithm>
#include <optional>

namespace daxvmm::dax {
namespace {

constexpr AdaptiveTime kSecond = std::chrono::seconds(1);

uint64_t Percent(uint64_t part, uint64_t whole) { return whole == 0 ? 0 : part * 100 / whole; }

// Denials for want of room, or of knowledge: another day they may be granted without any evidence.
bool Passing(AdaptiveReason reason) {
  switch (reason) {
    case AdaptiveReason::kNoWindow:
    case AdaptiveReason::kTooSmall:
    case AdaptiveReason::kTooLarge:
    case AdaptiveReason::kWindowBusy:
    case AdaptiveReason::kKind:
      return true;
    default:
      return false;
  }
}

constexpr int64_t kPagesPerChunk = static_cast<int64_t>(kDaxRangeSize.raw() / kPageSize.raw());

// What a stream through huge pages saves with each chunk: two FUSE_READs of 1 MiB.
int64_t StreamGainNs(const AdaptiveTuning& tuning) {
  return 2 * tuning.fuse_request_ns + kPagesPerChunk * tuning.fuse_page_ns - tuning.mapping_ns -
         tuning.first_touch_huge_ns;
}

// What it costs to map a chunk again that was in use; of 4 KiB pages, half of them are expected to be.
int64_t LossNs(const AdaptiveTuning& tuning, bool huge_pages) {
  return tuning.mapping_ns + (huge_pages ? tuning.first_touch_huge_ns : kPagesPerChunk / 2 * tuning.first_touch_ns);
}

AdaptiveTime Dwell(const AdaptiveTuning& tuning, uint32_t changes) {
  AdaptiveTime dwell = tuning.dwell;
  for (uint32_t i = 1; i < changes && dwell < tuning.max_dwell; ++i) dwell *= 2;
  return std::min(dwell, std::max(tuning.dwell, tuning.max_dwell));
}

}  // namespace

AdaptivePolicy::AdaptivePolicy(uint64_t capacity_chunks, const AdaptiveTuning& tuning)
    : tuning_(tuning), files_(tuning.max_live_files, tuning.max_forgotten_files), capacity_(capacity_chunks) {}

void AdaptivePolicy::Reset() {
  files_ = AdaptiveFiles(tuning_.max_live_files, tuning_.max_forgotten_files);
  kinds_ = AdaptiveKinds();
  bespoken_ = 0;
  window_ = WindowSample();
  window_used_ = window_maps_ = mapped_again_ = streamed_maps_ = 0;
  lost_ns_ = 0;
  turning_over_ = streams_harm_ = too_much_granted_ = false;
}

AdaptiveTime AdaptivePolicy::Clamp(AdaptiveTime now) { return now_ = std::max(now_, now); }

uint64_t AdaptivePolicy::budget_chunks() const {
  const uint64_t kept = std::max<uint64_t>(capacity_ * tuning_.guest_keeps_free_percent / 100, 1) +
                        capacity_ * tuning_.margin_percent / 100;
  return capacity_ > kept ? capacity_ - kept : 0;
}

uint8_t AdaptivePolicy::window_percent() const {
  return static_cast<uint8_t>(std::min<uint64_t>(100, Percent(std::max(window_used_, bespoken_), capacity_)));
}

Verdict AdaptivePolicy::Make(bool dax, AdaptiveReason reason, uint64_t count, AdaptiveTime over) const {
  // Rounded up, so that "in 0 s" is never said.
  const auto seconds = static_cast<uint32_t>((std::max(over, AdaptiveTime(1)) + kSecond - AdaptiveTime(1)) / kSecond);
  return {.dax = dax, .reason = reason, .window_percent = window_percent(), .seconds = seconds, .count = count};
}

// ---- Files that come to life

Verdict AdaptivePolicy::Judge(const NewFile& file) {
  const Verdict verdict = JudgeByKind(file);
  if (verdict.dax && ChunksOfSize(file.size) < kFewestInOrder && !file.huge_pages &&
      kinds_.TakesTrial(tuning_.trial_every, file.size, file.huge_pages)) {
    return Make(false, AdaptiveReason::kTrial);
  }
  return verdict;
}

Verdict AdaptivePolicy::Preview(const NewFile& file) const {
  const AdaptiveFile* const record = files_.Find(file.file);
  return record != nullptr ? record->verdict : JudgeByKind(file);
}

Verdict AdaptivePolicy::JudgeByKind(const NewFile& file) const {
  const uint64_t need = ChunksOfSize(file.size);
  if (capacity_ == 0) return Make(false, AdaptiveReason::kNoWindow);
  if (file.size < tuning_.smallest) return Make(false, AdaptiveReason::kTooSmall, file.size.raw());
  if (need > budget_chunks()) return Make(false, AdaptiveReason::kTooLarge, need);
  if (kinds_.Denied(file.size, file.huge_pages)) {
    return Make(false, AdaptiveReason::kKind, kinds_.Votes(file.size, file.huge_pages));
  }
  // A stream through huge pages is mapped for less than a FUSE_READ, and leaves its chunks behind: a full window is no
  // harm to it, and may be some to others.
  const bool harmless = file.huge_pages && kinds_.InOrder(file.size, file.huge_pages) && !streams_harm_;
  if (bespoken_ + need > budget_chunks() && !harmless) return Make(false, AdaptiveReason::kWindowBusy, need);
  return Make(true, AdaptiveReason::kNewFile);
}

Verdict AdaptivePolicy::JudgeReturn(AdaptiveTime now, const AdaptiveFile& record, const NewFile& file) {
  const Verdict& had = record.verdict;
  if (!MayChange(now, record)) return had;
  if (had.dax) {
    // It has nothing mapped now, and would pay for every page again.
    const FileSample& last = record.last;
    if (!file.huge_pages && ReadInOrder(last) && SeenWhole(last)) {
      return Make(false, AdaptiveReason::kStreamed, last.setups, record.active - record.born);
    }
    if (file.size < tuning_.smallest) return Make(false, AdaptiveReason::kTooSmall, file.size.raw());
    // It comes back cold: what it would have to map again has to find room like any other's, unless it has shown that
    // it is worth it.
    const uint64_t need = ChunksOfSize(file.size);
    if (had.reason != AdaptiveReason::kServedOften && !file.huge_pages && bespoken_ + need > budget_chunks()) {
      return Make(false, AdaptiveReason::kWindowBusy, need);
    }
    return had;
  }
  if (!Passing(had.reason)) return had;
  Verdict verdict = Judge(file);
  if (!verdict.dax) return had;
  if (had.reason == AdaptiveReason::kTooSmall) verdict = Make(true, AdaptiveReason::kGrown, file.size.raw());
  return verdict;
}

Verdict AdaptivePolicy::Instantiated(AdaptiveTime now, const NewFile& file) {
  now = Clamp(now);
  AdaptiveFile* record = files_.Find(file.file);
  if (record != nullptr && record->live) {
    files_.Touch(record);
    record->active = now;
    return record->verdict;
  }
  const bool known = record != nullptr;
  const Verdict verdict = known ? JudgeReturn(now, *record, file) : Judge(file);
  MakePlace();
  record = files_.Revive(file.file);
  if (record == nullptr) return verdict;
  if (known && record->verdict.dax != verdict.dax) {
    Change(now, record, verdict);
  } else {
    record->verdict = verdict;
  }
  record->born = record->active = now;
  record->first_size = file.size;
  record->voted_once = record->voted_worth = record->ordered = false;
  record->last = FileSample{.file = file.file, .size = file.size, .huge_pages = file.huge_pages, .dax = verdict.dax};
  record->last.open = true;  // about to be
  record->evidence.FadeTo(now, tuning_.evidence_half_life);
  Bespeak(now, record);
  return record->verdict;
}

void AdaptivePolicy::Forgotten(AdaptiveTime now, const FileSample& last) {
  now = Clamp(now);
  AdaptiveFile* record = files_.Find(last.file);
  if (record == nullptr || !record->live) return;
  TakeUp(now, record, last);
  Release(record);
  files_.Forget(record);
}

void AdaptivePolicy::MakePlace() {
  if (AdaptiveFile* oldest = files_.OldestIfFull()) Release(oldest);
}

// ---- Changing

bool AdaptivePolicy::MayChange(AdaptiveTime now, const AdaptiveFile& record) {
  while (!recent_changes_.empty() && recent_changes_.front() + kSecond <= now) recent_changes_.pop_front();
  if (recent_changes_.size() >= tuning_.max_changes_per_second) return false;
  return record.changes == 0 || now - record.changed >= Dwell(tuning_, record.changes);
}

void AdaptivePolicy::Change(AdaptiveTime now, AdaptiveFile* record, const Verdict& verdict) {
  record->verdict = verdict;
  record->changed = now;
  ++record->changes;
  recent_changes_.push_back(now);
}

void AdaptivePolicy::Release(AdaptiveFile* record) {
  bespoken_ -= record->bespoken;
  record->bespoken = 0;
}

void AdaptivePolicy::Bespeak(AdaptiveTime now, AdaptiveFile* record) {
  Release(record);
  const AdaptiveTime quiet_after = record->last.open ? tuning_.quiet_after : tuning_.closed_quiet_after;
  if (now - record->active > quiet_after) return;
  // A file that was read through in order and not mapped again is done with, most likely. Its chunks are the oldest,
  // and the first that the guest takes back; if it did need them, it maps them again, and counts in full.
  const FileSample& last = record->last;
  const bool in_order = ReadInOrder(last) && SeenWhole(last);
  if (in_order && last.setups <= ChunksOfSize(last.size)) return;
  record->bespoken = in_order && record->verdict.dax ? ChunksOfSize(last.size) : last.mapped_chunks;
  if (record->verdict.dax && last.open && now - record->born < tuning_.settles_after) {
    record->bespoken = std::max(record->bespoken, ChunksOfSize(last.size));
  }
  bespoken_ += record->bespoken;
}

// ---- Looking

uint64_t AdaptivePolicy::TakeUp(AdaptiveTime now, AdaptiveFile* record, const FileSample& sample) {
  record->evidence.FadeTo(now, tuning_.evidence_half_life);
  record->evidence.Add(record->last, sample);
  const uint64_t once = std::max(record->last.setups, ChunksOfSize(sample.size));
  record->last = sample;
  record->active = now;
  files_.Touch(record);
  VoteFor(record);
  return sample.setups > once ? sample.setups - once : 0;
}

void AdaptivePolicy::VoteFor(AdaptiveFile* record) {
  const FileSample& seen = record->last;
  if (!record->ordered && SeenInPart(seen)) {
    record->ordered = true;
    kinds_.Order(tuning_, seen.size, seen.huge_pages, ReadInOrder(seen) || ServedInOrder(seen));
  }
  if (seen.size < tuning_.smallest || record->voted_worth) return;
  std::optional<bool> worth;
  if (seen.setups > 0) {
    if (seen.write_setups > 0 || (seen.setups >= 4 && !ReadInOrder(seen))) {
      worth = true;
    } else if (ReadInOrder(seen) && SeenWhole(seen)) {
      worth = seen.huge_pages;
    }
  } else if (record->evidence.FuseNs(tuning_) > record->evidence.MappingNs(tuning_, seen.size, seen.huge_pages)) {
    worth = record->evidence.requests() >= 1;
  } else if (seen.read_bytes * 10 >= seen.size.raw() * 9 && record->first_size == seen.size) {
    worth = false;
  }
  if (!worth || (!*worth && record->voted_once)) return;
  // A file that was read once, and then again and again, takes its first vote back.
  if (*worth && record->voted_once) kinds_.Vote(tuning_, seen.size, seen.huge_pages, true);
  kinds_.Vote(tuning_, seen.size, seen.huge_pages, *worth);
  (*worth ? record->voted_worth : record->voted_once) = true;
}

bool AdaptivePolicy::Due(AdaptiveTime now, uint64_t maps) const {
  if (now < ticked_) return false;
  if (now - ticked_ >= tuning_.tick_every) return true;
  return now - ticked_ >= tuning_.tick_at_least && maps > window_maps_ &&
         maps - window_maps_ >= tuning_.tick_after_maps;
}

void AdaptivePolicy::Observe(AdaptiveTime now, const WindowSample& window) {
  const uint64_t maps = window.maps > window_.maps ? window.maps - window_.maps : 0;
  const uint64_t soon = window.reused_soon > window_.reused_soon ? window.reused_soon - window_.reused_soon : 0;
  uint64_t mapped_again = mapped_again_;
  // A stream takes the slots that it just left: that is no sign of somebody waiting.
  if (streamed_maps_ * 2 < maps) mapped_again = std::max(mapped_again, soon);
  const auto passed = static_cast<uint64_t>(std::max(now - observed_, AdaptiveTime(1)).count());
  turning_over_ = capacity_ > 0 && window.used_chunks >= budget_chunks() &&
                  mapped_again * 1'000'000 / capacity_ / passed >= tuning_.turnover_per_mille;
  streams_harm_ = turning_over_ && lost_ns_ > static_cast<int64_t>(streamed_maps_) * StreamGainNs(tuning_);
  // Where newcomers take the place, denying newcomers is the cure.
  too_much_granted_ = turning_over_ && mapped_again * 2 >= maps;
  window_ = window;
  observed_ = now;
  mapped_again_ = streamed_maps_ = 0;
  lost_ns_ = 0;
}

std::vector<VerdictChange> AdaptivePolicy::Tick(AdaptiveTime now, const WindowSample& window,
                                                std::span<const FileSample> active) {
  now = Clamp(now);
  std::vector<AdaptiveFile*> seen;
  seen.reserve(std::min(active.size(), tuning_.max_live_files));
  capacity_ = window.capacity_chunks;
  window_used_ = window.used_chunks;
  window_maps_ = window.maps;
  ticked_ = now;
  // More than can be remembered would push out one another.
  for (const FileSample& sample : active.first(std::min(active.size(), tuning_.max_live_files))) {
    AdaptiveFile* record = files_.Find(sample.file);
    if (record == nullptr || !record->live) {
      MakePlace();
      const bool known = record != nullptr;
      record = files_.Revive(sample.file);
      if (record == nullptr) continue;
      record->born = now;
      record->first_size = sample.size;
      record->last = sample;
      if (!known || record->verdict.dax != sample.dax) record->verdict = Make(sample.dax, AdaptiveReason::kNewFile);
    }
    const uint64_t maps_before = record->last.setups;
    const uint64_t again = TakeUp(now, record, sample);
    const bool harmless = sample.huge_pages && ReadInOrder(sample);
    if (!harmless) {
      mapped_again_ += again;
      lost_ns_ += static_cast<int64_t>(again) * LossNs(tuning_, sample.huge_pages);
    }
    if (harmless && sample.setups > maps_before) streamed_maps_ += sample.setups - maps_before;
    seen.push_back(record);
  }
  for (AdaptiveFile* file : seen) Bespeak(now, file);
  // Rates over less than that would be noise.
  const bool whole = now - observed_ >= tuning_.tick_every / 2;
  if (whole) {
    for (AdaptiveFile& file : files_.live()) Bespeak(now, &file);
    Observe(now, window);
  }

  std::vector<VerdictChange> changes;
  WithdrawStreamed(now, seen, &changes);
  if (whole && too_much_granted_) WithdrawLeastUsed(now, &changes);
  GrantServedOften(now, seen, &changes);
  return changes;
}

}  // namespace daxvmm::dax
