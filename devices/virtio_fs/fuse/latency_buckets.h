// How the time that a request took is counted: in buckets, 1-2-5 to the decade from 1 us to 10 s.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_LATENCY_BUCKETS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_LATENCY_BUCKETS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace daxvmm::fuse {

// The upper bounds of the buckets in nanoseconds, each bound included; the last bucket, behind them, has none. A
// quantile that is interpolated between two of them is off by a factor of 2.5 at the very most.
inline constexpr std::array<uint64_t, 22> kLatencyBounds = [] {
  std::array<uint64_t, 22> bounds{};
  uint64_t decade = 1000;
  for (size_t i = 0; i < bounds.size(); ++i) {
    constexpr uint64_t kSteps[] = {1, 2, 5};
    bounds[i] = decade * kSteps[i % 3];
    if (i % 3 == 2) decade *= 10;
  }
  return bounds;
}();
inline constexpr size_t kLatencyBuckets = kLatencyBounds.size() + 1;

namespace latency_internal {

// Of the values with so many bits, which share their highest one: the bucket of the smallest, and the one bound that
// can lie among them, since each bound is at least twice the one before. Above it is the next bucket.
struct Octave {
  uint8_t bucket;
  uint64_t bound;
};
inline constexpr std::array<Octave, 65> kOctaves = [] {
  std::array<Octave, 65> octaves{};
  for (size_t bits = 0; bits < octaves.size(); ++bits) {
    const uint64_t smallest = bits == 0 ? 0 : uint64_t{1} << (bits - 1);
    uint8_t bucket = 0;
    while (bucket < kLatencyBounds.size() && kLatencyBounds[bucket] < smallest) ++bucket;
    octaves[bits] = {bucket, bucket < kLatencyBounds.size() ? kLatencyBounds[bucket] : ~uint64_t{0}};
  }
  return octaves;
}();

}  // namespace latency_internal

// The bucket that so many nanoseconds belong to.
constexpr size_t LatencyBucket(uint64_t nanoseconds) {
  const latency_internal::Octave& octave = latency_internal::kOctaves[std::bit_width(nanoseconds)];
  return octave.bucket + (nanoseconds > octave.bound ? 1 : 0);
}

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_LATENCY_BUCKETS_H_
