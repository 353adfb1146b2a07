#include "base/units.h"

#include <cstdint>
#include <limits>
#include <type_traits>
#include <unordered_set>

#include "gtest/gtest.h"

namespace daxvmm {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

template <typename A, typename B>
concept Adds = requires(A a, B b) { a + b; };
template <typename A, typename B>
concept Subtracts = requires(A a, B b) { a - b; };
template <typename A, typename B>
concept Increments = requires(A a, B b) { a += b; };
template <typename A, typename B>
concept Equates = requires(A a, B b) { a == b; };
template <typename A, typename B>
concept Orders = requires(A a, B b) { a < b; };
template <typename A, typename B>
concept Multiplies = requires(A a, B b) { a* b; };
template <typename A, typename B>
concept AddsChecked = requires(A a, B b) { CheckedAdd(a, b); };

// What makes sense compiles, so that the refusals below are not for some other reason.
static_assert(Adds<ByteCount, ByteCount> && Subtracts<ByteCount, ByteCount> && Increments<ByteCount, ByteCount>);
static_assert(Adds<GuestPhysAddr, ByteCount> && Subtracts<GuestPhysAddr, ByteCount>);
static_assert(Increments<GuestPhysAddr, ByteCount> && Subtracts<GuestPhysAddr, GuestPhysAddr>);
static_assert(Equates<FileOffset, FileOffset> && Orders<FileOffset, FileOffset>);
static_assert(AddsChecked<WindowOffset, ByteCount> && AddsChecked<ByteCount, ByteCount>);
static_assert(Equates<NodeId, NodeId> && Orders<NodeId, NodeId>);

// Two positions have no sum, and positions on different scales have nothing in common.
static_assert(!Adds<GuestPhysAddr, GuestPhysAddr> && !Increments<GuestPhysAddr, GuestPhysAddr>);
static_assert(!AddsChecked<GuestPhysAddr, GuestPhysAddr>);
static_assert(!Subtracts<FileOffset, WindowOffset> && !Subtracts<GuestPhysAddr, RegionOffset>);
static_assert(!Equates<FileOffset, WindowOffset> && !Orders<FileOffset, WindowOffset>);
static_assert(!Equates<GuestPhysAddr, RegionOffset> && !Orders<GuestPhysAddr, RegionOffset>);
static_assert(!std::is_constructible_v<FileOffset, WindowOffset> && !std::is_assignable_v<FileOffset&, WindowOffset>);
// A position is no amount.
static_assert(!Adds<ByteCount, GuestPhysAddr> && !Subtracts<ByteCount, GuestPhysAddr>);
static_assert(!Equates<ByteCount, FileOffset> && !std::is_constructible_v<ByteCount, FileOffset>);
static_assert(!Multiplies<ByteCount, ByteCount>);
// Plain numbers do not slip in or out.
static_assert(!Adds<ByteCount, uint64_t> && !Adds<GuestPhysAddr, uint64_t> && !Equates<ByteCount, uint64_t>);
static_assert(!std::is_convertible_v<uint64_t, ByteCount> && !std::is_convertible_v<uint64_t, GuestPhysAddr>);
static_assert(!std::is_convertible_v<ByteCount, uint64_t> && !std::is_convertible_v<GuestPhysAddr, uint64_t>);
static_assert(!std::is_convertible_v<FileOffset, uint64_t>);
// Identifiers do not count, and are not one another.
static_assert(!Adds<NodeId, NodeId> && !Adds<NodeId, uint64_t> && !Increments<NodeId, uint64_t>);
static_assert(!Equates<NodeId, FileHandle> && !Orders<NodeId, FileHandle> && !Equates<NodeId, uint64_t>);
static_assert(!std::is_convertible_v<uint64_t, NodeId> && !std::is_constructible_v<NodeId, FileHandle>);
static_assert(!Equates<Gsi, MemorySlot>);

TEST(ByteCountTest, Arithmetic) {
  EXPECT_EQ((ByteCount(5) + ByteCount(3)).raw(), 8u);
  EXPECT_EQ((ByteCount(5) - ByteCount(3)).raw(), 2u);
  ByteCount n(5);
  n += ByteCount(3);
  EXPECT_EQ(n, ByteCount(8));
  n -= ByteCount(6);
  EXPECT_EQ(n, ByteCount(2));
  EXPECT_LT(ByteCount(1), ByteCount(2));
  EXPECT_EQ(ByteCount(), ByteCount(0));
}

TEST(ByteCountTest, Units) {
  EXPECT_EQ(KiB(3).raw(), 3u * 1024);
  EXPECT_EQ(MiB(3).raw(), 3u * 1024 * 1024);
  EXPECT_EQ(GiB(3).raw(), uint64_t{3} * 1024 * 1024 * 1024);
  EXPECT_EQ(kPageSize.raw(), 4096u);
  EXPECT_EQ(kDaxRangeSize.raw(), 2u * 1024 * 1024);
  EXPECT_TRUE(MiB(4).IsMultipleOf(MiB(2)));
  EXPECT_TRUE(ByteCount(0).IsMultipleOf(MiB(2)));
  EXPECT_FALSE(MiB(3).IsMultipleOf(MiB(2)));
}

TEST(PositionTest, Arithmetic) {
  EXPECT_EQ((FileOffset(10) + ByteCount(3)).raw(), 13u);
  EXPECT_EQ((FileOffset(10) - ByteCount(3)).raw(), 7u);
  EXPECT_EQ(FileOffset(10) - FileOffset(3), ByteCount(7));
  FileOffset at(10);
  at += ByteCount(3);
  EXPECT_EQ(at, FileOffset(13));
  EXPECT_LT(FileOffset(12), at);
}

TEST(PositionTest, Alignment) {
  EXPECT_TRUE(GuestPhysAddr(0).IsAlignedTo(kPageSize));
  EXPECT_TRUE(GuestPhysAddr(8192).IsAlignedTo(kPageSize));
  EXPECT_FALSE(GuestPhysAddr(8191).IsAlignedTo(kPageSize));
  EXPECT_EQ(GuestPhysAddr(0).AlignUp(kPageSize), GuestPhysAddr(0));
  EXPECT_EQ(GuestPhysAddr(1).AlignUp(kPageSize), GuestPhysAddr(4096));
  EXPECT_EQ(GuestPhysAddr(4096).AlignUp(kPageSize), GuestPhysAddr(4096));
  EXPECT_EQ(GuestPhysAddr(4097).AlignUp(kPageSize), GuestPhysAddr(8192));
}

TEST(CheckedTest, AddsUpToTheEdgeAndNoFurther) {
  EXPECT_EQ(CheckedAdd(FileOffset(kMax - 5), ByteCount(5)), FileOffset(kMax));
  EXPECT_EQ(CheckedAdd(FileOffset(kMax - 5), ByteCount(6)), std::nullopt);
  EXPECT_EQ(CheckedAdd(FileOffset(kMax), ByteCount(kMax)), std::nullopt);
  EXPECT_EQ(CheckedAdd(FileOffset(0), ByteCount(kMax)), FileOffset(kMax));
  EXPECT_EQ(CheckedAdd(ByteCount(kMax), ByteCount(0)), ByteCount(kMax));
  EXPECT_EQ(CheckedAdd(ByteCount(kMax), ByteCount(1)), std::nullopt);
}

TEST(CheckedTest, MultipliesUpToTheEdgeAndNoFurther) {
  EXPECT_EQ(CheckedMultiply(3, ByteCount(7)), ByteCount(21));
  EXPECT_EQ(CheckedMultiply(0, ByteCount(kMax)), ByteCount(0));
  EXPECT_EQ(CheckedMultiply(kMax, ByteCount(1)), ByteCount(kMax));
  EXPECT_EQ(CheckedMultiply(kMax, ByteCount(2)), std::nullopt);
  EXPECT_EQ(CheckedMultiply(uint64_t{1} << 32, ByteCount(uint64_t{1} << 32)), std::nullopt);
  EXPECT_EQ(CheckedMultiply(uint64_t{1} << 32, ByteCount((uint64_t{1} << 32) - 1)),
            ByteCount(kMax - (uint64_t{1} << 32) + 1));
}

TEST(IdTest, ComparesAndHashes) {
  EXPECT_EQ(kRootNode, NodeId(1));
  EXPECT_NE(NodeId(1), NodeId(2));
  EXPECT_LT(NodeId(1), NodeId(2));
  EXPECT_EQ(NodeId().raw(), 0u);
  std::unordered_set<NodeId> nodes = {NodeId(1), NodeId(2), NodeId(1)};
  EXPECT_EQ(nodes.size(), 2u);
  std::unordered_set<FileOffset> offsets = {FileOffset(1), FileOffset(1)};
  EXPECT_EQ(offsets.size(), 1u);
}

}  // namespace
}  // namespace daxvmm
