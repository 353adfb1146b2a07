#include "memory/mapping_window.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "memory/fault_tolerant_copy.h"
#include "memory/test_memory.h"

// Not in the C library's headers of every distribution (Linux 5.1).
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace daxvmm::memory {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kPage = 4096;

TEST(MappingWindowCreateTest, IsAlignedAndWholeRangesOnly) {
  for (uint64_t mib : {2, 4, 64, 4096}) {
    const MappingWindow window = MappingWindow::Create(MiB(mib)).value();
    EXPECT_EQ(window.size(), MiB(mib));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(window.host()) % MiB(2).raw(), 0u);
  }
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, kPage, MiB(2).raw() - kPage, MiB(2).raw() + kPage, kMax}) {
    EXPECT_EQ(MappingWindow::Create(ByteCount(size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

class MappingWindowTest : public testing::Test {
 protected:
  static constexpr uint64_t kSize = 4 << 20;

  absl::Status Map(uint64_t at, uint64_t length, const UniqueFd& fd, uint64_t from = 0,
                   Protection protection = Protection::kReadWrite) {
    return window_.Map(WindowOffset(at), ByteCount(length), fd.get(), FileOffset(from), protection);
  }
  absl::Status Unmap(uint64_t at, uint64_t length) { return window_.Unmap(WindowOffset(at), ByteCount(length)); }

  // The byte at `at` as the guest would see it: '-' where there is none, '0' for a zero.
  char Look(uint64_t at) {
    std::array<std::byte, 1> byte{};
    if (!FaultTolerantRead(window_.host() + at, byte)) return '-';
    return byte[0] == std::byte{0} ? '0' : static_cast<char>(byte[0]);
  }
  // The first byte of each of the first `pages` pages.
  std::string Pages(size_t pages) {
    std::string seen;
    for (size_t i = 0; i < pages; ++i) seen += Look(i * kPage);
    return seen;
  }
  bool Store(uint64_t at, char value) {
    const std::array<std::byte, 1> byte{static_cast<std::byte>(value)};
    return FaultTolerantWrite(window_.host() + at, byte);
  }
  // A file whose pages begin with successive letters from `first` on.
  UniqueFd Letters(char first, size_t pages) {
    UniqueFd file = MemFile(ByteCount(pages * kPage));
    for (size_t i = 0; i < pages; ++i) {
      const char letter = static_cast<char>(first + i);
      EXPECT_EQ(pwrite(file.get(), &letter, 1, static_cast<off_t>(i * kPage)), 1);
    }
    return file;
  }
  // Whether any page of the window belongs to no mapping at all.
  bool HasHole() {
    std::vector<unsigned char> resident(kSize / kPage);
    return mincore(window_.host(), kSize, resident.data()) != 0;
  }
  void TearDown() override { EXPECT_FALSE(HasHole()); }

  MappingWindow window_ = MappingWindow::Create(ByteCount(kSize)).value();
};

TEST_F(MappingWindowTest, ContainsIsSafeForAnyInput) {
  struct Case {
    uint64_t at;
    uint64_t length;
    bool inside;
  };
  const Case cases[] = {
      {0, kPage, true},
      {0, kSize, true},
      {kSize - kPage, kPage, true},
      {kPage, kSize - kPage, true},
      {0, 0, false},
      {kSize, 0, false},
      {kSize, kPage, false},
      {kSize - kPage, 2 * kPage, false},
      {0, kSize + kPage, false},
      {kPage, kSize, false},
      {1, kPage, false},
      {0, 1, false},
      {0, kPage + 1, false},
      {0, kPage - 1, false},
      {kPage - 1, kPage, false},
      {0, kMax, false},
      {kMax, kMax, false},
      {kMax, 1, false},
      {0, kMax - kPage + 1, false},          // aligned, and huge
      {kMax - kPage + 1, kPage, false},      // the end wraps to exactly 0
      {kMax - kPage + 1, 2 * kPage, false},  // the end wraps into the window
      {kPage, kMax - kPage + 1, false},      // the end wraps to exactly 0
      {2 * kPage, kMax - kPage + 1, false},
      {uint64_t{1} << 63, uint64_t{1} << 63, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(window_.Contains(WindowOffset(c.at), ByteCount(c.length)), c.inside) << c.at << "+" << c.length;
    if (!c.inside) {
      const UniqueFd file = Letters('a', 1);
      EXPECT_EQ(Map(c.at, c.length, file).code(), absl::StatusCode::kInvalidArgument) << c.at << "+" << c.length;
      EXPECT_EQ(Unmap(c.at, c.length).code(), absl::StatusCode::kInvalidArgument) << c.at << "+" << c.length;
    }
  }
}

TEST_F(MappingWindowTest, StartsEmpty) {
  EXPECT_EQ(Pages(4), "----");
  EXPECT_EQ(Look(kSize - 1), '-');
}

TEST_F(MappingWindowTest, MapsFilePagesWhereTold) {
  const UniqueFd file = Letters('a', 4);
  ASSERT_TRUE(Map(kPage, 2 * kPage, file, kPage).ok());
  EXPECT_EQ(Pages(4), "-bc-");
  EXPECT_TRUE(Store(kPage + 1, 'X'));
  EXPECT_EQ(Contents(file, 2, kPage), "bX") << "a store reaches the file";
  ASSERT_EQ(pwrite(file.get(), "Y", 1, 2 * kPage), 1);
  EXPECT_EQ(Pages(4), "-bY-") << "a write to the file is seen";
}

TEST_F(MappingWindowTest, TheDescriptorMayBeClosed) {
  UniqueFd file = Letters('a', 1);
  ASSERT_TRUE(Map(0, kPage, file).ok());
  file.reset();
  EXPECT_EQ(Pages(2), "a-");
}

TEST_F(MappingWindowTest, MapReplacesWhatItOverlaps) {
  const UniqueFd lower = Letters('a', 8);
  const UniqueFd upper = Letters('A', 8);
  ASSERT_TRUE(Map(0, 4 * kPage, lower).ok());
  ASSERT_TRUE(Map(2 * kPage, 4 * kPage, upper).ok());
  EXPECT_EQ(Pages(8), "abABCD--");
  ASSERT_TRUE(Map(kPage, kPage, upper, 7 * kPage).ok()) << "in the middle of the first";
  EXPECT_EQ(Pages(8), "aHABCD--");
  ASSERT_TRUE(Map(0, 8 * kPage, lower).ok()) << "over all of it";
  EXPECT_EQ(Pages(8), "abcdefgh");
}

TEST_F(MappingWindowTest, UnmapTakesPartsAndIsIdempotent) {
  const UniqueFd file = Letters('a', 8);
  ASSERT_TRUE(Map(0, 8 * kPage, file).ok());
  ASSERT_TRUE(Unmap(2 * kPage, 2 * kPage).ok());
  EXPECT_EQ(Pages(8), "ab--efgh");
  ASSERT_TRUE(Unmap(2 * kPage, 2 * kPage).ok());
  ASSERT_TRUE(Unmap(kPage, 4 * kPage).ok());
  EXPECT_EQ(Pages(8), "a----fgh");
  EXPECT_FALSE(Store(kPage, 'x'));
  ASSERT_TRUE(Unmap(0, kSize).ok());
  EXPECT_EQ(Pages(8), "--------");
  ASSERT_TRUE(Map(0, kPage, file).ok()) << "and it can be mapped again";
  EXPECT_EQ(Pages(2), "a-");
}

TEST_F(MappingWindowTest, TheWholeRangeIsMappedSoThatAFileMayGrow) {
  const UniqueFd file = Letters('a', 1);
  ASSERT_TRUE(Map(0, 2 << 20, file).ok());
  EXPECT_EQ(Pages(3), "a--");
  ASSERT_EQ(ftruncate(file.get(), 2 * kPage), 0);
  EXPECT_EQ(Pages(3), "a0-") << "without another Map";
  EXPECT_TRUE(Store(kPage, 'z'));
  EXPECT_EQ(Contents(file, 1, kPage), "z");
}

TEST_F(MappingWindowTest, ReadOnlyPagesTakeNoStore) {
  const UniqueFd file = Letters('a', 1);
  ASSERT_TRUE(Map(0, kPage, file, 0, Protection::kReadOnly).ok());
  EXPECT_EQ(Look(0), 'a');
  EXPECT_FALSE(Store(0, 'x'));
  EXPECT_EQ(Contents(file, 1), "a");
  ASSERT_TRUE(Map(0, kPage, file, 0, Protection::kReadWrite).ok());
  EXPECT_TRUE(Store(0, 'x'));
}

TEST_F(MappingWindowTest, ZerosCanBeReadAndTakeNoStore) {
  const UniqueFd fd = Letters('a', 4);
  ASSERT_TRUE(Map(0, 4 * kPage, fd).ok());
  ASSERT_TRUE(window_.MapZeros(WindowOffset(kPage), ByteCount(2 * kPage)).ok());
  EXPECT_EQ(Pages(5), "a00d-");
  EXPECT_FALSE(Store(kPage, 'x'));
  EXPECT_TRUE(Store(3 * kPage, 'x'));
  ASSERT_TRUE(window_.MapZeros(WindowOffset(kPage), ByteCount(2 * kPage)).ok());
  ASSERT_TRUE(Map(2 * kPage, kPage, fd, kPage).ok());
  EXPECT_EQ(Pages(4), "a0bx");
  ASSERT_TRUE(Unmap(kPage, kPage).ok());
  EXPECT_EQ(Pages(3), "a-b");
  EXPECT_EQ(window_.MapZeros(WindowOffset(kSize), ByteCount(kPage)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(window_.MapZeros(WindowOffset(1), ByteCount(kPage)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(MappingWindowTest, RefusesAnUnalignedOrImpossibleFileRange) {
  const UniqueFd file = Letters('a', 1);
  for (uint64_t from :
       {uint64_t{1}, kPage - 1, kMax, kMax - kPage + 1, (uint64_t{1} << 63) - kPage, uint64_t{1} << 63}) {
    EXPECT_EQ(Map(0, kPage, file, from).code(), absl::StatusCode::kInvalidArgument) << from;
  }
  EXPECT_EQ(Pages(1), "-");
  EXPECT_TRUE(Map(0, kPage, file, (uint64_t{1} << 62)).ok()) << "far beyond the end of the file, yet possible";
}

TEST_F(MappingWindowTest, AFailureLeavesTheOldState) {
  const UniqueFd file = Letters('a', 2);
  ASSERT_TRUE(Map(0, kPage, file).ok());
  const UniqueFd read_only = ReopenReadOnly(file);
  ASSERT_TRUE(read_only.valid());
  EXPECT_EQ(Map(0, 2 * kPage, read_only).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Pages(2), "a-");
  EXPECT_FALSE(Map(0, 2 * kPage, UniqueFd()).ok());
  EXPECT_EQ(Pages(2), "a-");
}

// Kernels before 6.12 have taken the old mapping away by the time that such a file refuses.
TEST_F(MappingWindowTest, AFileThatRefusesLateLeavesTheOldStateToo) {
  const UniqueFd old = Letters('a', 2);
  const UniqueFd sealed = Letters('A', 2);
  ASSERT_EQ(fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  ASSERT_TRUE(Map(0, kPage, old).ok());
  EXPECT_EQ(Map(0, 2 * kPage, sealed).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(HasHole());
  EXPECT_EQ(Pages(2), "a-");
}

}  // namespace
}  // namespace daxvmm::memory
