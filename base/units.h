// Strong types for the quantities that a VMM must not mix up.
//
// Construction is explicit; only operations that make dimensional sense exist; `raw()` is for a system call, an ioctl
// or a wire format. Arithmetic that can be reached by guest input goes through the Checked* functions, which return
// nullopt on overflow; the plain operators are for values already validated.
#ifndef DAXVMM_BASE_UNITS_H_
#define DAXVMM_BASE_UNITS_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>

namespace daxvmm {

// A number of bytes.
class ByteCount {
 public:
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(uint64_t n) : n_(n) {}
  constexpr uint64_t raw() const { return n_; }
  constexpr auto operator<=>(const ByteCount&) const = default;
  friend constexpr ByteCount operator+(ByteCount a, ByteCount b) { return ByteCount(a.n_ + b.n_); }
  friend constexpr ByteCount operator-(ByteCount a, ByteCount b) { return ByteCount(a.n_ - b.n_); }
  constexpr ByteCount& operator+=(ByteCount b) {
    n_ += b.n_;
    return *this;
  }
  constexpr ByteCount& operator-=(ByteCount b) {
    n_ -= b.n_;
    return *this;
  }
  constexpr bool IsMultipleOf(ByteCount unit) const { return n_ % unit.n_ == 0; }

 private:
  uint64_t n_ = 0;
};

constexpr ByteCount KiB(uint64_t n) { return ByteCount(n << 10); }
constexpr ByteCount MiB(uint64_t n) { return ByteCount(n << 20); }
constexpr ByteCount GiB(uint64_t n) { return ByteCount(n << 30); }

inline constexpr ByteCount kPageSize = KiB(4);
// The grain of virtio-fs DAX: Linux maps files in ranges of this size (FUSE_DAX_SHIFT, fs/fuse/dax.c).
inline constexpr ByteCount kDaxRangeSize = MiB(2);

// A position: something that is displaced by ByteCount, and whose difference is a ByteCount.
template <typename Tag>
class Position {
 public:
  constexpr Position() = default;
  constexpr explicit Position(uint64_t at) : at_(at) {}
  constexpr uint64_t raw() const { return at_; }
  constexpr auto operator<=>(const Position&) const = default;
  friend constexpr Position operator+(Position p, ByteCount n) { return Position(p.at_ + n.raw()); }
  friend constexpr Position operator-(Position p, ByteCount n) { return Position(p.at_ - n.raw()); }
  friend constexpr ByteCount operator-(Position a, Position b) { return ByteCount(a.at_ - b.at_); }
  constexpr Position& operator+=(ByteCount n) {
    at_ += n.raw();
    return *this;
  }
  constexpr bool IsAlignedTo(ByteCount unit) const { return at_ % unit.raw() == 0; }
  // The first position at or after this one that is a multiple of `unit`.
  constexpr Position AlignUp(ByteCount unit) const {
    return Position((at_ + unit.raw() - 1) / unit.raw() * unit.raw());
  }
  template <typename H>
  friend H AbslHashValue(H h, const Position& p) {
    return H::combine(std::move(h), p.at_);
  }

 private:
  uint64_t at_ = 0;
};

using GuestPhysAddr = Position<struct GuestPhysAddrTag>;  // an address on the guest's physical bus
using RegionOffset = Position<struct RegionOffsetTag>;    // from the start of a memory region or a device's registers
using FileOffset = Position<struct FileOffsetTag>;        // from the start of a host file
using WindowOffset = Position<struct WindowOffsetTag>;    // from the start of a DAX window

// p + n, or nullopt where that wraps.
template <typename Tag>
constexpr std::optional<Position<Tag>> CheckedAdd(Position<Tag> p, ByteCount n) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(p.raw(), n.raw(), &sum)) return std::nullopt;
  return Position<Tag>(sum);
}

constexpr std::optional<ByteCount> CheckedAdd(ByteCount a, ByteCount b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a.raw(), b.raw(), &sum)) return std::nullopt;
  return ByteCount(sum);
}

constexpr std::optional<ByteCount> CheckedMultiply(uint64_t count, ByteCount each) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(count, each.raw(), &product)) return std::nullopt;
  return ByteCount(product);
}

// An identifier: comparable, hashable, nothing else.
template <typename Tag, typename Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  constexpr Rep raw() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

using NodeId = Id<struct NodeIdTag, uint64_t>;          // FUSE nodeid; the root is 1 (FUSE_ROOT_ID)
using FileHandle = Id<struct FileHandleTag, uint64_t>;  // FUSE fh
using QueueIndex = Id<struct QueueIndexTag, uint16_t>;  // a virtqueue of a device
using MemorySlot = Id<struct MemorySlotTag, uint32_t>;  // a KVM memslot
using Gsi = Id<struct GsiTag, uint32_t>;                // a global system interrupt: an IOAPIC pin here

inline constexpr NodeId kRootNode{1};

}  // namespace daxvmm

template <typename Tag>
struct std::hash<daxvmm::Position<Tag>> {
  size_t operator()(const daxvmm::Position<Tag>& p) const noexcept { return std::hash<uint64_t>()(p.raw()); }
};
template <typename Tag, typename Rep>
struct std::hash<daxvmm::Id<Tag, Rep>> {
  size_t operator()(const daxvmm::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>()(id.raw()); }
};

#endif  // DAXVMM_BASE_UNITS_H_
