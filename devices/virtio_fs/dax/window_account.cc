#include "devices/virtio_fs/dax/window_account.h"

#include <algorithm>
#include <utility>

namespace daxvmm::dax {
namespace {

int64_t SecondOf(RateMeter::Time time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

void RateMeter::Add(Time now) {
  const int64_t second = SecondOf(now);
  Bucket& bucket = buckets_[static_cast<size_t>(second % kBuckets)];
  if (bucket.second != second) bucket = {.second = second, .events = 0};
  ++bucket.events;
  ++total_;
}

uint64_t RateMeter::Sum(int64_t first_second, int64_t end_second) const {
  uint64_t sum = 0;
  for (const Bucket& bucket : buckets_) {
    if (bucket.second >= first_second && bucket.second < end_second) sum += bucket.events;
  }
  return sum;
}

EventRates RateMeter::Rates(Time now) const {
  const int64_t second = SecondOf(now);
  const auto over = [&](int64_t seconds) {
    return static_cast<double>(Sum(second - seconds, second)) / static_cast<double>(seconds);
  };
  return {.last_1s = over(1), .last_10s = over(10), .last_60s = over(60)};
}

WindowAccount::WindowAccount(uint64_t chunks, std::chrono::milliseconds reuse_within, WindowClock clock)
    : reuse_within_(reuse_within), clock_(std::move(clock)), removals_(chunks) {}

void WindowAccount::Mapped(NodeId node, std::span<const uint64_t> filled, uint32_t node_chunks) {
  const Time now = clock_();
  maps_.Add(now);
  for (const uint64_t chunk : filled) {
    std::optional<Time>& removal = removals_[chunk];
    if (removal && now - *removal <= reuse_within_) ++reused_soon_;
    removal.reset();
  }
  const uint64_t mapped = mapped_chunks_now() + filled.size();
  mapped_chunks_.store(mapped, std::memory_order_relaxed);
  mapped_chunks_max_ = std::max(mapped_chunks_max_, mapped);
  NodeWindowUse& use = nodes_[node];
  ++use.maps;
  use.chunks = node_chunks;
  use.chunks_max = std::max(use.chunks_max, node_chunks);
}

void WindowAccount::Unmapped(std::span<const uint64_t> emptied, bool none_was_free) {
  const Time now = clock_();
  unmaps_.Add(now);
  mapped_chunks_.store(mapped_chunks_now() - emptied.size(), std::memory_order_relaxed);
  if (!none_was_free) return;
  for (const uint64_t chunk : emptied) removals_[chunk] = now;
}

void WindowAccount::NodeLost(NodeId node, uint32_t chunks_left, Loss how) {
  const auto use = nodes_.find(node);
  if (use == nodes_.end()) return;
  if (chunks_left == 0) {
    nodes_.erase(use);
    return;
  }
  use->second.chunks = chunks_left;
  if (how == Loss::kRemoved) ++use->second.unmaps;
}

void WindowAccount::Cleared() {
  mapped_chunks_.store(0, std::memory_order_relaxed);
  std::fill(removals_.begin(), removals_.end(), std::nullopt);
  nodes_.clear();
}

NodeWindowUse WindowAccount::UseOf(NodeId node) const {
  const auto use = nodes_.find(node);
  return use == nodes_.end() ? NodeWindowUse() : use->second;
}

}  // namespace daxvmm::dax
