#include "devices/bus.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"

namespace daxvmm::devices {

absl::Status Bus::Attach(uint64_t base, uint64_t size, BusDevice* device) {
  uint64_t end = 0;
  if (size == 0 || __builtin_add_overflow(base, size, &end)) {
    return absl::InvalidArgumentError(absl::StrFormat("bus range %#x of %#x bytes is empty or wraps", base, size));
  }
  const auto next = std::lower_bound(ranges_.begin(), ranges_.end(), base,
                                     [](const Range& range, uint64_t value) { return range.base < value; });
  const bool meets_next = next != ranges_.end() && next->base < end;
  const bool meets_previous = next != ranges_.begin() && base - std::prev(next)->base < std::prev(next)->size;
  if (meets_next || meets_previous) {
    return absl::AlreadyExistsError(absl::StrFormat("bus range %#x of %#x bytes overlaps another", base, size));
  }
  ranges_.insert(next, Range{base, size, device});
  return absl::OkStatus();
}

const Bus::Range* Bus::Find(uint64_t address, size_t size) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                      [](uint64_t value, const Range& range) { return value < range.base; });
  if (after == ranges_.begin()) return nullptr;
  const Range& range = *std::prev(after);
  const uint64_t offset = address - range.base;
  // The whole access, so that a device never sees one that crosses its end.
  if (offset >= range.size || size > range.size - offset) return nullptr;
  return &range;
}

bool Bus::Read(uint64_t address, std::span<uint8_t> data) const {
  const Range* range = Find(address, data.size());
  if (range == nullptr) {
    std::fill(data.begin(), data.end(), uint8_t{0xff});
    return false;
  }
  range->device->Read(address - range->base, data);
  return true;
}

bool Bus::Write(uint64_t address, std::span<const uint8_t> data) const {
  const Range* range = Find(address, data.size());
  if (range == nullptr) return false;
  range->device->Write(address - range->base, data);
  return true;
}

}  // namespace daxvmm::devices
