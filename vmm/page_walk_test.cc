#include "vmm/page_walk.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm {
namespace {

constexpr uint64_t kUser = 1 << 2;
constexpr uint64_t kEntry = 3 | kUser;  // present, writable
constexpr uint64_t kLarge = kEntry | 1 << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;

class PageWalkTest : public testing::Test {
 protected:
  PageWalkTest() : ram_(0x10000) {
    absl::StatusOr<memory::GuestMemory> memory = memory::GuestMemory::Create(
        {{GuestPhysAddr(0), ByteCount(ram_.size()), reinterpret_cast<std::byte*>(ram_.data())}});
    if (memory.ok()) memory_.emplace(*std::move(memory));
  }
  void Set(uint64_t table, uint64_t index, uint64_t entry) {
    ASSERT_TRUE(memory_->WriteObject(GuestPhysAddr(table + index * 8), entry));
  }
  std::optional<uint64_t> Walk(uint64_t linear, bool five_levels = false, uint64_t cr3 = 0x1000) {
    const std::optional<GuestPhysAddr> at = WalkPageTables(*memory_, {cr3, five_levels}, linear);
    return at.has_value() ? std::optional<uint64_t>(at->raw()) : std::nullopt;
  }

  std::vector<uint8_t> ram_;
  std::optional<memory::GuestMemory> memory_;
};

// Indices 1, 2, 3, 4 of the four levels.
constexpr uint64_t kLinear = uint64_t{1} << 39 | uint64_t{2} << 30 | uint64_t{3} << 21 | uint64_t{4} << 12 | 0x567;

TEST_F(PageWalkTest, FindsAPageOfAProgramThroughFourLevels) {
  Set(0x1000, 1, 0x2000 | kEntry);
  Set(0x2000, 2, 0x3000 | kEntry);
  Set(0x3000, 3, 0x4000 | kEntry);
  Set(0x4000, 4, 0x7'1234'5000 | kEntry | kNoExecute);
  EXPECT_EQ(Walk(kLinear), 0x7'1234'5567u);
  // PCID, and what else stands in the low bits of CR3.
  EXPECT_EQ(Walk(kLinear, false, 0x1fff), 0x7'1234'5567u);
  // The neighbours are not there.
  EXPECT_EQ(Walk(kLinear + 0x1000), std::nullopt);
  EXPECT_EQ(Walk(kLinear - 0x200000), std::nullopt);
  // Bits that are the sign's in four levels are an index in five.
  EXPECT_EQ(Walk(kLinear, true), std::nullopt);
  Set(0x5000, 5, 0x1000 | kEntry);
  EXPECT_EQ(Walk(kLinear | uint64_t{5} << 48, true, 0x5000), 0x7'1234'5567u);
}

TEST_F(PageWalkTest, FindsLargePages) {
  Set(0x1000, 1, 0x2000 | kEntry);
  Set(0x2000, 2, 0x3000 | kEntry);
  // The PAT bit, 12, is no part of a large page's address.
  Set(0x3000, 3, 0x7'4020'1000 | kLarge);
  EXPECT_EQ(Walk(kLinear), 0x7'4020'4567u);
  Set(0x2000, 2, 0x8'4000'0000 | kLarge);
  EXPECT_EQ(Walk(kLinear), 0x8'4060'4567u);
  // 512 GiB pages do not exist: the bit is reserved there, and the walk goes on.
  Set(0x1000, 1, 0x2000 | kLarge);
  EXPECT_EQ(Walk(kLinear), 0x8'4060'4567u);
}

TEST_F(PageWalkTest, AnyTablesEndInAnAnswer) {
  EXPECT_EQ(Walk(kLinear), std::nullopt);
  EXPECT_EQ(Walk(kLinear, false, ~uint64_t{0}), std::nullopt);
  Set(0x1000, 1, 0x000f'ffff'ffff'f000 | kEntry);
  EXPECT_EQ(Walk(kLinear), std::nullopt);
  // A table that is its own next one.
  for (uint64_t index = 0; index < 512; ++index) Set(0x1000, index, 0x1000 | kEntry);
  EXPECT_EQ(Walk(kLinear), 0x1567u);
  EXPECT_EQ(Walk(kLinear, true), 0x1567u);
}

}  // namespace
}  // namespace daxvmm::vmm
