#include "devices/virtio_fs/dax/adaptive_evidence.h"

namespace daxvmm::dax {
namespace {

constexpr double kForgotten = 0.01;  // fewer requests than this are none

double Since(uint64_t before, uint64_t after) { return after > before ? static_cast<double>(after - before) : 0; }

}  // namespace

void Evidence::FadeTo(AdaptiveTime now, AdaptiveTime half_life) {
  if (now <= at_) return;
  AdaptiveTime gone = now - at_;
  at_ = now;
  // Multiplications only, no exp2(): the same on every machine.
  double factor = 1;
  for (; gone >= half_life && factor > 1e-6; gone -= half_life) factor /= 2;
  if (gone < half_life) factor *= 1 - 0.5 * static_cast<double>(gone.count()) / static_cast<double>(half_life.count());
  requests_ *= factor;
  bytes_ *= factor;
  setups_ *= factor;
  if (requests_ + setups_ < kForgotten) {
    Clear();
    since_ = now;
  }
}

void Evidence::Add(const FileSample& before, const FileSample& after) {
  const double grown = Since(before.size.raw(), after.size.raw());
  const double written = Since(before.write_bytes, after.write_bytes);
  const double in_place = written > 0 ? std::max(0.0, written - grown) / written : 0;
  requests_ += Since(before.reads, after.reads) + in_place * Since(before.writes, after.writes);
  bytes_ += Since(before.read_bytes, after.read_bytes) + in_place * written;
  setups_ += Since(before.setups, after.setups);
}

void Evidence::Clear() { requests_ = bytes_ = setups_ = 0; }

double Evidence::FuseNs(const AdaptiveTuning& tuning) const {
  return requests_ * static_cast<double>(tuning.fuse_request_ns) +
         bytes_ / static_cast<double>(kPageSize.raw()) * static_cast<double>(tuning.fuse_page_ns);
}

double Evidence::MappingNs(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages) const {
  const double touched = std::min(bytes_, static_cast<double>(size.raw()));
  const double chunks_of_bytes = bytes_ / static_cast<double>(kDaxRangeSize.raw());
  // Scattered requests touch up to one chunk each.
  const double chunks = std::min(static_cast<double>(ChunksOfSize(size)), std::max(requests_, chunks_of_bytes));
  const double touch =
      huge_pages ? chunks * static_cast<double>(tuning.first_touch_huge_ns)
                 : touched / static_cast<double>(kPageSize.raw()) * static_cast<double>(tuning.first_touch_ns);
  return chunks * static_cast<double>(tuning.mapping_ns) + touch;
}

}  // namespace daxvmm::dax
