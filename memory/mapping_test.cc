#include "memory/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "gtest/gtest.h"

namespace daxvmm::memory {
namespace {

// Whether the page belongs to any mapping: mincore says ENOMEM where none does.
bool Mapped(const std::byte* page) {
  unsigned char resident = 0;
  return mincore(const_cast<std::byte*>(page), kPageSize.raw(), &resident) == 0;
}

TEST(MappingTest, AnonymousMemoryIsZeroAndWritable) {
  const Mapping mapping = Mapping::Anonymous(KiB(64)).value();
  EXPECT_EQ(mapping.size(), KiB(64));
  EXPECT_EQ(mapping.data()[0], std::byte{0});
  EXPECT_EQ(mapping.data()[65535], std::byte{0});
  mapping.data()[65535] = std::byte{1};
  EXPECT_EQ(mapping.data()[65535], std::byte{1});
}

TEST(MappingTest, IsAlignedAndGivesTheRestBack) {
  for (const ByteCount alignment : {kPageSize, KiB(64), MiB(2), GiB(1)}) {
    const Mapping mapping = Mapping::Reserve(KiB(12), alignment).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapping.data()) % alignment.raw(), 0u);
    EXPECT_TRUE(Mapped(mapping.data()));
    EXPECT_TRUE(Mapped(mapping.data() + KiB(8).raw()));
  }
}

TEST(MappingTest, RefusesWhatCannotBe) {
  EXPECT_FALSE(Mapping::Anonymous(ByteCount(0)).ok());
  EXPECT_FALSE(Mapping::Reserve(ByteCount(std::numeric_limits<uint64_t>::max())).ok());
  EXPECT_FALSE(Mapping::Reserve(ByteCount(std::numeric_limits<uint64_t>::max() - 4096), MiB(2)).ok());
  EXPECT_EQ(Mapping::Reserve(ByteCount(uint64_t{1} << 62)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(MappingTest, UnmapsOnceWhenItGoes) {
  const std::byte* data = nullptr;
  {
    Mapping mapping = Mapping::Anonymous(KiB(4)).value();
    data = mapping.data();
    Mapping moved(std::move(mapping));
    EXPECT_EQ(moved.data(), data);
    EXPECT_EQ(mapping.data(), nullptr);  // NOLINT(bugprone-use-after-move): what is left of it is the question
    EXPECT_EQ(mapping.size(), ByteCount(0));
    mapping = std::move(moved);
    EXPECT_EQ(mapping.data(), data);
    EXPECT_TRUE(Mapped(data));
  }
  EXPECT_FALSE(Mapped(data));
}

TEST(MappingTest, AssignmentUnmapsWhatWasHeld) {
  Mapping mapping = Mapping::Anonymous(KiB(4)).value();
  Mapping other = Mapping::Anonymous(KiB(4)).value();
  const std::byte* old = mapping.data();
  const std::byte* taken = other.data();
  mapping = std::move(other);
  EXPECT_FALSE(Mapped(old));
  EXPECT_EQ(mapping.data(), taken);
  EXPECT_TRUE(Mapped(taken));
}

}  // namespace
}  // namespace daxvmm::memory
