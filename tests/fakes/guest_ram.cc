#include "tests/fakes/guest_ram.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/log.h"

namespace daxvmm::fakes {
namespace {

constexpr ByteCount kBoundaryReserve = KiB(64);  // on each side
// Nothing at address 0, so that a forgotten address is not a buffer.
constexpr GuestPhysAddr kFirst{0x1000};

ByteCount Rounded(ByteCount size) { return ByteCount(std::bit_ceil(std::max<uint64_t>(size.raw(), 64))); }

memory::Mapping MustMap(ByteCount size) {
  auto mapping = memory::Mapping::Anonymous(size);
  CHECK(mapping.ok()) << std::string(mapping.status().message());
  return *std::move(mapping);
}

}  // namespace

GuestRam::GuestRam(const GuestRamOptions& options)
    : options_(options), low_(MustMap(options.low)), high_(MustMap(options.high)), next_(kFirst) {
  std::vector<memory::Region> regions = {
      {GuestPhysAddr(0), options.low, low_.data()},
      {GuestPhysAddr() + options.low, options.high, high_.data()},
  };
  if (options.window_host != nullptr) {
    regions.push_back(
        {kWindowBase, options.window_size, options.window_host, memory::RegionKind::kWindow, options.window_writable});
  }
  auto memory = memory::GuestMemory::Create(std::move(regions));
  CHECK(memory.ok()) << std::string(memory.status().message());
  memory_.emplace(*std::move(memory));
}

GuestPhysAddr GuestRam::Allocate(ByteCount size) {
  const ByteCount rounded = Rounded(size);
  std::vector<GuestPhysAddr>& reusable = free_[rounded.raw()];
  if (!reusable.empty()) {
    const GuestPhysAddr at = reusable.back();
    reusable.pop_back();
    return at;
  }
  const GuestPhysAddr boundary = GuestPhysAddr() + options_.low;
  GuestPhysAddr at = next_.AlignUp(std::min(rounded, kPageSize));
  if (at < boundary && at + rounded > boundary - kBoundaryReserve) at = boundary + kBoundaryReserve;
  CHECK(at + rounded <= end_of_ram()) << "the test's guest has no memory left";
  next_ = at + rounded;
  return at;
}

void GuestRam::Free(GuestPhysAddr at, ByteCount size) { free_[Rounded(size).raw()].push_back(at); }

GuestPhysAddr GuestRam::Straddling(ByteCount size) const {
  CHECK(size <= kBoundaryReserve + kBoundaryReserve && size.raw() >= 2);
  return GuestPhysAddr() + options_.low - ByteCount(size.raw() / 2);
}

std::byte* GuestRam::Host(GuestPhysAddr at, ByteCount size) const {
  std::byte* host = memory_->RamPointer(at, size);
  CHECK(host != nullptr) << at.raw() << " is not RAM";
  return host;
}

std::vector<std::byte> GuestRam::Read(GuestPhysAddr at, ByteCount size) const {
  std::vector<std::byte> bytes(size.raw());
  CHECK(bytes.empty() || memory_->Read(at, bytes)) << at.raw() << " is not readable";
  return bytes;
}

void GuestRam::Write(GuestPhysAddr at, const std::vector<std::byte>& bytes) const {
  CHECK(bytes.empty() || memory_->Write(at, bytes)) << at.raw() << " is not writable";
}

}  // namespace daxvmm::fakes
