#include "tools/policy_lab/guest.h"

#include <algorithm>

#include "base/log.h"

namespace daxvmm::lab {
namespace {

constexpr uint64_t kMaxPagesPerRequest = 256;  // 1 MiB
constexpr uint64_t kReadAroundPages = 32;      // 128 KiB, around a page fault
constexpr Nanos kThinkStep = 250'000'000;
constexpr uint64_t kRemovesPerRequest = 256;

uint64_t DivideUp(uint64_t n, uint64_t by) { return (n + by - 1) / by; }

}  // namespace

Guest::Guest(const GuestConfig& config, LabPolicy* policy)
    : config_(config),
      policy_(policy),
      window_(config.window_bytes / kChunk, config.costs),
      cache_(config.cache_bytes / kPage) {
  window_.OnReclaim([this](const Range& range) {
    ++files_[range.file].seen.removes;
    --files_[range.file].seen.mapped_chunks;
    ++unmaps_;
    ++metrics_.removes;
    ++metrics_.remove_requests;
    Active(range.file);
  });
}

void Guest::AddFiles(const Trace& trace) {
  for (const TraceFile& file : trace.files) {
    File added;
    added.size = file.size;
    added.huge = file.huge || config_.backing == Backing::kHuge;
    files_.push_back(added);
  }
}

Metrics Guest::Run(const Trace& trace) {
  AddFiles(trace);
  for (const Op& op : trace.ops) Do(op);
  metrics_.elapsed_ns = now_;
  const double elapsed = static_cast<double>(std::max<Nanos>(now_, 1));
  metrics_.mean_chunks = chunk_ns_ / elapsed;
  metrics_.mean_cache_bytes = cache_ns_ / elapsed;
  return metrics_;
}

void Guest::Do(const Op& op) {
  const Nanos began = now_;
  if (op.kind == OpKind::kThink) {
    // In steps: the server's clock does not stand still.
    const Nanos end = began + static_cast<Nanos>(op.length);
    for (Nanos step = began; now_ < end; step = now_) {
      now_ = std::min(end, now_ + kThinkStep);
      window_.AdvanceTo(now_);
      Account(step);
      MaybeTick();
    }
    return;
  }
  Settle();
  const bool needs_open = op.kind == OpKind::kRead || op.kind == OpKind::kWrite || op.kind == OpKind::kTouch;
  const bool opened_for_it = needs_open && files_[op.file].opens == 0;
  if (opened_for_it) Open(op.file);
  switch (op.kind) {
    case OpKind::kOpen:
      Open(op.file);
      break;
    case OpKind::kClose:
      Close(op.file);
      break;
    case OpKind::kStat:
      LookUp(op.file);
      if (files_[op.file].dont_cache && files_[op.file].opens == 0) Evict(op.file);
      break;
    case OpKind::kRead:
      Read(op.file, op.offset, op.length);
      break;
    case OpKind::kWrite:
      Write(op.file, op.offset, op.length);
      break;
    case OpKind::kTouch:
      Touch(op.file, op.offset, op.length);
      break;
    case OpKind::kUnlink:
      Unlink(op.file);
      break;
    case OpKind::kThink:
      break;
  }
  if (opened_for_it) Close(op.file);
  Settle();
  metrics_.io_ns += now_ - began;
  Account(began);
  MaybeTick();
}

void Guest::Account(Nanos since) {
  const auto passed = static_cast<double>(now_ - since);
  const uint64_t cached = cache_.pages() * kPage;
  chunk_ns_ += passed * static_cast<double>(window_.used());
  cache_ns_ += passed * static_cast<double>(cached);
  metrics_.peak_chunks = std::max(metrics_.peak_chunks, window_.used());
  metrics_.peak_cache_bytes = std::max(metrics_.peak_cache_bytes, cached);
}

void Guest::MaybeTick() {
  if (!policy_->Due(now_, maps_)) return;
  std::vector<dax::FileSample> samples;
  samples.reserve(active_.size());
  for (const FileId id : active_) {
    File& file = files_[id];
    if (!file.active) continue;
    file.active = false;
    if (!file.live) continue;
    file.seen.size = ByteCount(file.size);
    file.seen.open = file.opens > 0;
    samples.push_back(file.seen);
  }
  active_.clear();
  const dax::WindowSample window{.capacity_chunks = window_.capacity(),
                                 .used_chunks = window_.used(),
                                 .maps = maps_,
                                 .unmaps = unmaps_,
                                 .reused_soon = window_.reused_soon()};
  metrics_.verdict_changes += policy_->Tick(now_, window, samples);
}

void Guest::Active(FileId id) {
  if (files_[id].active) return;
  files_[id].active = true;
  active_.push_back(id);
}

void Guest::Settle() {
  const uint64_t before = window_.background_reclaims();
  window_.AdvanceTo(now_);
  Spend(static_cast<Nanos>(window_.background_reclaims() - before) * config_.costs.shootdown);
}

void Guest::LookUp(FileId id) {
  File& file = files_[id];
  if (file.live && now_ < file.attr_until) return;
  Spend(config_.costs.metadata_request);
  if (file.live) {
    if (policy_->Current(id, file.size) != file.dax) file.dont_cache = true;
  } else {
    file.live = true;
    file.dont_cache = false;
    file.dax = policy_->Instantiated(now_, id, file.size, file.huge) && window_.capacity() > 0;
    file.next_chunk = file.next_page = UINT64_MAX;
    file.seen = dax::FileSample{
        .file = dax::FileIdentity(id), .size = ByteCount(file.size), .huge_pages = file.huge, .dax = file.dax};
    file.idle = idle_.insert(idle_.end(), id);
    file.idle_listed = true;
    if (idle_.size() > config_.max_inodes) {
      // Not the newcomer, which is about to be used.
      const FileId oldest = idle_.front();
      if (oldest != id) Evict(oldest);
    }
  }
  file.attr_until = now_ + config_.attr_timeout;
  Active(id);
}

void Guest::Open(FileId id) {
  LookUp(id);
  File& file = files_[id];
  Spend(config_.costs.metadata_request);
  Active(id);
  if (file.idle_listed) idle_.erase(file.idle);
  file.idle_listed = false;
  ++file.opens;
}

void Guest::Close(FileId id) {
  File& file = files_[id];
  if (file.opens == 0) return;
  --file.opens;
  if (file.opens > 0) return;
  Active(id);  // RELEASE
  file.idle = idle_.insert(idle_.end(), id);
  file.idle_listed = true;
  if (file.dont_cache) {
    ++metrics_.dropped_inodes;
    Evict(id);
  }
}

void Guest::Evict(FileId id) {
  File& file = files_[id];
  if (!file.live) return;
  cache_.Drop(id);
  const uint64_t ranges = window_.Evict(id, now_);
  if (ranges > 0) {
    const uint64_t requests = DivideUp(ranges, kRemovesPerRequest);
    Spend(static_cast<Nanos>(requests) * config_.costs.remove_request +
          static_cast<Nanos>(ranges) * config_.costs.remove_range);
    metrics_.remove_requests += requests;
    metrics_.removes += ranges;
    unmaps_ += ranges;
    file.seen.removes += ranges;
    file.seen.mapped_chunks = 0;
  }
  if (file.idle_listed) idle_.erase(file.idle);
  file.idle_listed = false;
  file.live = false;
  file.seen.size = ByteCount(file.size);
  policy_->Forgotten(now_, file.seen);
}

void Guest::Unlink(FileId id) {
  Spend(config_.costs.metadata_request);
  if (files_[id].opens == 0) {
    Evict(id);
  } else {
    files_[id].dont_cache = true;
  }
}

void Guest::Read(FileId id, uint64_t offset, uint64_t length) {
  File& file = files_[id];
  Spend(config_.costs.syscall);
  if (offset >= file.size) return;
  length = std::min(length, file.size - offset);
  if (length == 0) return;
  if (file.dax) {
    Mapped(id, offset, length, /*write=*/false, /*fault=*/false);
    return;
  }
  const uint64_t end = DivideUp(offset + length, kPage);
  uint64_t missing = 0;  // pages right before `page`
  for (uint64_t page = offset / kPage; page < end; ++page) {
    if (cache_.Touch(id, page)) {
      if (missing > 0) FuseRead(id, page - missing, missing);
      missing = 0;
      Spend(config_.costs.page_hit);
    } else if (++missing == kMaxPagesPerRequest) {
      FuseRead(id, page + 1 - missing, missing);
      missing = 0;
    }
  }
  if (missing > 0) FuseRead(id, end - missing, missing);
}

void Guest::FuseRead(FileId id, uint64_t first_page, uint64_t pages) {
  File& file = files_[id];
  Spend(config_.costs.fuse_request + static_cast<Nanos>(pages) * config_.costs.fuse_page);
  for (uint64_t i = 0; i < pages; ++i) cache_.Insert(id, first_page + i);
  ++file.seen.reads;
  if (first_page == file.next_page) ++file.seen.sequential_reads;
  file.next_page = first_page + pages;
  const uint64_t bytes = std::min(pages * kPage, file.size - std::min(file.size, first_page * kPage));
  file.seen.read_bytes += bytes;
  ++metrics_.fuse_reads;
  metrics_.copied_bytes += bytes;
  Active(id);
}

void Guest::FuseWrite(FileId id, uint64_t offset, uint64_t length) {
  File& file = files_[id];
  while (length > 0) {
    const uint64_t n = std::min(length, kMaxPagesPerRequest * kPage);
    const uint64_t first = offset / kPage;
    const uint64_t end = DivideUp(offset + n, kPage);
    Spend(config_.costs.fuse_request + static_cast<Nanos>(end - first) * config_.costs.fuse_page);
    if (!file.dax) {
      for (uint64_t page = first; page < end; ++page) cache_.Insert(id, page);
    }
    ++file.seen.writes;
    file.seen.write_bytes += n;
    ++metrics_.fuse_writes;
    metrics_.copied_bytes += n;
    offset += n;
    length -= n;
  }
  file.size = std::max(file.size, offset);
  Active(id);
}

void Guest::Write(FileId id, uint64_t offset, uint64_t length) {
  Spend(config_.costs.syscall);
  if (length == 0) return;
  // A write that makes the file longer goes through FUSE_WRITE as a whole.
  if (files_[id].dax && offset + length <= files_[id].size) {
    Mapped(id, offset, length, /*write=*/true, /*fault=*/false);
  } else {
    FuseWrite(id, offset, length);
  }
}

void Guest::Touch(FileId id, uint64_t offset, uint64_t length) {
  File& file = files_[id];
  if (offset >= file.size) return;
  length = std::min(length, file.size - offset);
  if (length == 0) return;
  if (file.dax) {
    Mapped(id, offset, length, /*write=*/false, /*fault=*/true);
    return;
  }
  const uint64_t end = DivideUp(offset + length, kPage);
  const uint64_t file_end = DivideUp(file.size, kPage);
  for (uint64_t page = offset / kPage; page < end; ++page) {
    if (!cache_.Touch(id, page)) {
      const uint64_t first = page / kReadAroundPages * kReadAroundPages;
      FuseRead(id, first, std::min(kReadAroundPages, file_end - first));
    }
    Spend(config_.costs.page_hit);
  }
}

Range* Guest::Map(FileId id, uint64_t chunk, bool write, bool fault) {
  File& file = files_[id];
  bool waited = false;
  std::optional<RangeId> range = window_.TryAllocate(now_);
  for (; !range; range = window_.TryAllocate(now_)) {
    // A page fault cannot reclaim: it holds the lock that reclaim needs.
    if (!fault) range = window_.ReclaimInline(id);
    if (range) {
      Spend(config_.costs.reclaim_range);
      break;
    }
    const std::optional<Nanos> free_at = window_.WaitForFree(now_);
    CHECK(free_at.has_value());  // one program cannot pin every range
    if (!waited) ++metrics_.waits;
    waited = true;
    metrics_.wait_ns += *free_at - now_;
    now_ = *free_at;
  }
  Spend(config_.costs.setup_mapping);
  if (chunk == file.next_chunk || chunk == 0) ++file.seen.sequential_setups;
  file.next_chunk = chunk + 1;
  ++file.seen.mapped_chunks;
  return window_.Install(*range, id, chunk, write);
}

void Guest::Mapped(FileId id, uint64_t offset, uint64_t length, bool write, bool fault) {
  File& file = files_[id];
  const Costs& costs = config_.costs;
  const uint64_t end = offset + length;
  while (offset < end) {
    const uint64_t chunk = offset / kChunk;
    const uint64_t part_end = std::min(end, (chunk + 1) * kChunk);
    Range* range = window_.Find(id, chunk);
    const bool is_new = range == nullptr;
    const bool upgrade = !is_new && write && !range->writable;
    if (is_new) range = Map(id, chunk, write, fault);
    if (upgrade) {
      Spend(costs.setup_mapping);
      range->writable = true;
    }
    if (is_new || upgrade) {
      ++metrics_.setups;
      ++maps_;
      ++file.seen.setups;
      if (write) ++file.seen.write_setups;
      Active(id);
    }
    window_.Pin(range);
    const uint64_t first = offset % kChunk / kPage;
    const uint64_t last = (part_end - 1) % kChunk / kPage;
    Nanos cost = static_cast<Nanos>(last - first + 1) * costs.page_hit;
    if (file.huge) {
      if (!range->touched_huge) cost += costs.first_touch_huge_chunk;
      range->touched_huge = true;
    } else {
      for (uint64_t page = first; page <= last; ++page) {
        if (range->touched.test(page)) continue;
        range->touched.set(page);
        cost += costs.FirstTouch(config_.backing);
      }
    }
    Spend(cost);
    Settle();
    window_.Unpin(range);
    offset = part_end;
  }
}

}  // namespace daxvmm::lab
