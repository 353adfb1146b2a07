#include "tools/policy_lab/window_model.h"

#include <algorithm>

namespace daxvmm::lab {
namespace {

constexpr Nanos kSoon = 1'000'000;

}  // namespace

WindowModel::WindowModel(uint64_t ranges, const Costs& costs) : costs_(costs), ranges_(ranges) {
  for (RangeId id = 0; id < ranges; ++id) free_.push_back(id);
}

uint64_t WindowModel::threshold() const { return std::max<uint64_t>(capacity() * kThresholdPercent / 100, 1); }

Range* WindowModel::Find(FileId file, uint64_t chunk) {
  const auto of_file = files_.find(file);
  if (of_file == files_.end()) return nullptr;
  const auto it = of_file->second.find(chunk);
  return it == of_file->second.end() ? nullptr : &ranges_[it->second];
}

uint64_t WindowModel::RangesOf(FileId file) const {
  const auto it = files_.find(file);
  return it == files_.end() ? 0 : it->second.size();
}

void WindowModel::Kick(Nanos now, Nanos delay) {
  // queue_delayed_work does nothing to work that is queued; one that is running is queued behind itself, which the end
  // of the run does anyway.
  if (free_.size() >= threshold() || scheduled_ != kNever || victim_done_ != kNever) return;
  scheduled_ = now + delay;
}

std::optional<RangeId> WindowModel::TryAllocate(Nanos now) {
  if (free_.empty()) {
    Kick(now, 0);
    return std::nullopt;
  }
  const RangeId id = free_.front();
  free_.pop_front();
  const Range& range = ranges_[id];
  if (range.freed_at >= 0 && now - range.freed_at < kSoon) ++reused_soon_;
  Kick(now, 0);
  return id;
}

Range* WindowModel::Install(RangeId id, FileId file, uint64_t chunk, bool writable) {
  Range& range = ranges_[id];
  range = Range{.file = file, .chunk = chunk, .busy = true, .writable = writable};
  range.place = busy_.insert(busy_.end(), id);
  files_[file].emplace(chunk, id);
  return &range;
}

void WindowModel::TakeAway(RangeId id) {
  Range& range = ranges_[id];
  on_reclaim_(range);
  files_[range.file].erase(range.chunk);
  busy_.erase(range.place);
  range.busy = false;
}

std::optional<RangeId> WindowModel::ReclaimInline(FileId file) {
  const auto of_file = files_.find(file);
  if (of_file == files_.end()) return std::nullopt;
  for (const auto& [chunk, id] : of_file->second) {
    if (ranges_[id].pins > 0 || id == victim_) continue;
    const RangeId taken = id;
    ++inline_reclaims_;
    TakeAway(taken);
    ++reused_soon_;
    return taken;
  }
  return std::nullopt;
}

bool WindowModel::StartVictim(Nanos now) {
  for (size_t looked = 0, all = busy_.size(); looked < all; ++looked) {
    const RangeId id = busy_.front();
    // Looked at, it goes to the tail, whether it can be taken or not.
    busy_.splice(busy_.end(), busy_, busy_.begin());
    if (ranges_[id].pins > 0) continue;
    victim_ = id;
    victim_done_ = now + costs_.reclaim_range;
    return true;
  }
  return false;
}

Nanos WindowModel::NextEvent() const { return std::min(scheduled_, victim_done_); }

void WindowModel::Step() {
  Nanos now = 0;
  if (victim_done_ != kNever) {
    now = victim_done_;
    victim_done_ = kNever;
    if (victim_ != kNoVictim && ranges_[victim_].pins == 0) {
      TakeAway(victim_);
      ranges_[victim_].freed_at = now;
      free_.push_back(victim_);
      ++background_reclaims_;
    }
    victim_ = kNoVictim;
    --left_in_run_;
  } else {
    now = scheduled_;
    scheduled_ = kNever;
    left_in_run_ = kReclaimChunk;
  }
  if (left_in_run_ > 0 && StartVictim(now)) return;
  left_in_run_ = 0;
  Kick(now, costs_.worker_delay);
}

void WindowModel::AdvanceTo(Nanos now) {
  while (NextEvent() <= now) Step();
}

std::optional<Nanos> WindowModel::WaitForFree(Nanos now) {
  AdvanceTo(now);
  Kick(now, 0);
  if (free_.empty() && std::ranges::all_of(busy_, [this](RangeId id) { return ranges_[id].pins > 0; })) {
    return std::nullopt;
  }
  while (free_.empty()) {
    if (NextEvent() == kNever) return std::nullopt;
    now = std::max(now, NextEvent());
    Step();
  }
  return now;
}

uint64_t WindowModel::Evict(FileId file, Nanos now) {
  const auto of_file = files_.find(file);
  if (of_file == files_.end()) return 0;
  const uint64_t count = of_file->second.size();
  for (const auto& [chunk, id] : of_file->second) {
    Range& range = ranges_[id];
    busy_.erase(range.place);
    range.busy = false;
    range.freed_at = now;
    free_.push_back(id);
    // The worker finds its hands empty when it is done, and goes on with its run.
    if (victim_ == id) victim_ = kNoVictim;
  }
  files_.erase(of_file);
  return count;
}

}  // namespace daxvmm::lab
