#include "devices/virtio_fs/dax/mapping_request.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

constexpr ByteCount kWindow = MiB(8);
constexpr uint64_t kPage = 4096;
constexpr uint64_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
constexpr uint64_t kWrite = FUSE_SETUPMAPPING_FLAG_WRITE;
constexpr uint64_t kAllOnes = std::numeric_limits<uint64_t>::max();

fuse_setupmapping_in Wire(uint64_t foffset, uint64_t len, uint64_t flags, uint64_t moffset) {
  return {.fh = kAllOnes, .foffset = foffset, .len = len, .flags = flags, .moffset = moffset};
}

int ErrorOf(const fuse_setupmapping_in& in, bool read_only = false) {
  return ParseSetup(in, kWindow, read_only).error().value();
}

// The flags' values are PROT_READ and PROT_WRITE swapped: a cast would make every mapping of the guest wrong.
TEST(ProtectionTest, Golden) {
  static_assert(FUSE_SETUPMAPPING_FLAG_WRITE == PROT_READ && FUSE_SETUPMAPPING_FLAG_READ == PROT_WRITE);
  EXPECT_EQ(ProtectionFromSetupFlags(0x2), memory::Protection::kReadOnly);
  EXPECT_EQ(ProtectionFromSetupFlags(0x1), memory::Protection::kReadWrite);
  EXPECT_EQ(ProtectionFromSetupFlags(0x3), memory::Protection::kReadWrite);
  EXPECT_EQ(ProtectionFromSetupFlags(0x0), std::nullopt);
  EXPECT_EQ(ProtectionFromSetupFlags(0x4), std::nullopt);
  EXPECT_EQ(ProtectionFromSetupFlags(0x6), std::nullopt);
  EXPECT_EQ(ProtectionFromSetupFlags(uint64_t{1} << 63 | 0x2), std::nullopt);
}

TEST(ParseSetupTest, WhatLinuxSends) {
  const fuse::Result<SetupRequest> request =
      ParseSetup(Wire(4 << 20, 2 << 20, kRead | kWrite, 6 << 20), kWindow, false);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(*request, (SetupRequest{.range = {WindowOffset(6 << 20), MiB(2)},
                                    .from = FileOffset(4 << 20),
                                    .protection = memory::Protection::kReadWrite}));
}

TEST(ParseSetupTest, TheFileHandleMeansNothing) {
  fuse_setupmapping_in in = Wire(0, kPage, kRead, 0);
  in.fh = 17;
  EXPECT_EQ(ErrorOf(in), 0);
}

TEST(ParseSetupTest, WindowRange) {
  const uint64_t window = kWindow.raw();
  struct Case {
    uint64_t at, length;
    bool good;
  };
  for (const Case& c : std::vector<Case>{{0, window, true},
                                         {0, kPage, true},
                                         {window - kPage, kPage, true},
                                         {window - kPage, 2 * kPage, false},
                                         {window, kPage, false},
                                         {window, 0, false},
                                         {window + kPage, kPage, false},
                                         {0, window + kPage, false},
                                         {0, 0, false},
                                         {1, kPage, false},
                                         {0, 1, false},
                                         {kPage - 1, kPage, false},
                                         {0, kPage + 1, false},
                                         {kAllOnes, kPage, false},
                                         {0, kAllOnes, false},
                                         {kAllOnes, kAllOnes, false},
                                         {kPage, kAllOnes - kPage + 1, false},
                                         {-kPage, kPage, false},
                                         {-kPage, 2 * kPage, false},
                                         {kPage, -kPage, false},
                                         {2 * kPage, -kPage, false}}) {
    EXPECT_EQ(ErrorOf(Wire(0, c.length, kRead, c.at)), c.good ? 0 : EINVAL) << c.at << " + " << c.length;
    const fuse::Result<std::optional<WindowRange>> removal = ParseRemove({.moffset = c.at, .len = c.length}, kWindow);
    EXPECT_EQ(removal.ok(), c.good || c.length == 0) << c.at << " + " << c.length;
    if (c.length == 0) {
      EXPECT_FALSE(removal.ok() && removal->has_value());
    }
  }
}

TEST(ParseSetupTest, FileRange) {
  constexpr uint64_t kEnd = uint64_t{1} << 63;  // off_t ends one byte before it
  for (const uint64_t good : {uint64_t{0}, kPage, uint64_t{1} << 40, kEnd - 2 * kPage}) {
    EXPECT_EQ(ErrorOf(Wire(good, kPage, kRead, 0)), 0) << good;
  }
  for (const uint64_t bad : {uint64_t{1}, kPage - 1, kEnd - kPage, kEnd, kEnd + kPage, kAllOnes, -kPage}) {
    EXPECT_EQ(ErrorOf(Wire(bad, kPage, kRead, 0)), EINVAL) << bad;
  }
}

TEST(ParseSetupTest, Flags) {
  for (uint64_t flags = 0; flags < 16; ++flags) {
    EXPECT_EQ(ErrorOf(Wire(0, kPage, flags, 0)), flags >= 1 && flags <= 3 ? 0 : EINVAL) << flags;
  }
}

TEST(ParseSetupTest, ReadOnlyShare) {
  EXPECT_EQ(ErrorOf(Wire(0, kPage, kRead, 0), true), 0);
  EXPECT_EQ(ErrorOf(Wire(0, kPage, kWrite, 0), true), EROFS);
  EXPECT_EQ(ErrorOf(Wire(0, kPage, kRead | kWrite, 0), true), EROFS);
}

TEST(ParseSetupPropertyTest, WhateverPassesIsInsideTheWindow) {
  std::mt19937_64 random(7);
  // Close to the edges of the window and of the type, where arithmetic goes wrong.
  const auto pick = [&] {
    const uint64_t edges[] = {0, kWindow.raw(), uint64_t{1} << 63, kAllOnes};
    const uint64_t step = random() % 4 == 0 ? 1 : kPage;
    const uint64_t offset = (random() % 7 - 3) * step;
    return edges[random() % 4] + offset;
  };
  int passed = 0;
  for (int i = 0; i < 200000; ++i) {
    const fuse_setupmapping_in in = Wire(pick(), pick(), random() % 5, pick());
    const fuse::Result<SetupRequest> request = ParseSetup(in, kWindow, false);
    if (!request.ok()) continue;
    ++passed;
    using Wide = unsigned __int128;
    ASSERT_GT(in.len, 0u);
    ASSERT_LE(Wide{in.moffset} + in.len, Wide{kWindow.raw()});
    ASSERT_LT(Wide{in.foffset} + in.len, Wide{1} << 63);
    ASSERT_EQ((in.moffset | in.len | in.foffset) % kPage, 0u);
  }
  EXPECT_GT(passed, 100);
}

}  // namespace
}  // namespace daxvmm::dax
