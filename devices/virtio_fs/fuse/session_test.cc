#include "devices/virtio_fs/fuse/session.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

// ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, DO_READDIRPLUS, READDIRPLUS_AUTO, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES,
// HANDLE_KILLPRIV_V2, INIT_EXT: written down as numbers, since a wrong name would agree with itself.
constexpr uint32_t kBase =
    1u << 0 | 1u << 3 | 1u << 5 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 18 | 1u << 22 | 1u << 28 | 1u << 30;
constexpr uint32_t kMapAlignment = 1u << 26;
constexpr uint32_t kAutoInval = 1u << 12;

fuse_init_in LinuxInit(uint32_t flags, uint32_t flags2) {
  fuse_init_in in = {};
  in.major = 7;
  in.minor = 38;
  in.max_readahead = 0x20000;
  in.flags = flags;
  in.flags2 = flags2;
  return in;
}

struct Row {
  std::string mount;
  uint32_t flags;
  uint32_t flags2;
  bool window;
  uint32_t granted;
  uint32_t granted2;
  ClientDaxMode mode;
};

TEST(Negotiate, AnswersEachMountModeOfLinux) {
  const std::vector<Row> rows = {
      {"dax=inode or none, no window", 0x7bfffffb, 0x0b, false, kBase | kAutoInval, 0, ClientDaxMode::kNever},
      {"dax=inode or none", 0x7ffffffb, 0x0b, true, kBase | kMapAlignment, 0x2, ClientDaxMode::kPerFile},
      {"dax=always", 0x7ffffffb, 0x09, true, kBase | kMapAlignment, 0, ClientDaxMode::kAlways},
      {"dax=never", 0x7bfffffb, 0x09, true, kBase | kAutoInval, 0, ClientDaxMode::kNever},
      {"dax=never, no window", 0x7bfffffb, 0x09, false, kBase | kAutoInval, 0, ClientDaxMode::kNever},
      // Not as Linux does it: the client claims a window that this device does not have.
      {"window only claimed", 0x7ffffffb, 0x0b, false, kBase | kAutoInval, 0, ClientDaxMode::kNever},
      // The client did not take the window, though there is one: nothing it asks of the flag may come true.
      {"window not taken", 0x7bfffffb, 0x0b, true, kBase | kAutoInval, 0x2, ClientDaxMode::kNever},
      // Without INIT_EXT the second word does not exist.
      {"no INIT_EXT", 0x3ffffffb, 0x0b, true, (kBase & ~(1u << 30)) | kMapAlignment, 0, ClientDaxMode::kAlways},
      {"nothing offered", 0, 0, true, 0, 0, ClientDaxMode::kNever},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.mount);
    const Agreement agreement = Negotiate(LinuxInit(row.flags, row.flags2), {.dax_window = row.window}, 0);
    EXPECT_TRUE(agreement.error.ok());
    EXPECT_TRUE(agreement.starts_session);
    EXPECT_EQ(agreement.out.flags, row.granted);
    EXPECT_EQ(agreement.out.flags2, row.granted2);
    EXPECT_EQ(agreement.granted, uint64_t{row.granted2} << 32 | row.granted);
    EXPECT_EQ(agreement.mode, row.mode);
    EXPECT_EQ(agreement.out.map_alignment, (row.granted & kMapAlignment) != 0 ? 12 : 0);
    EXPECT_EQ(agreement.out.max_pages, (row.granted & (1u << 22)) != 0 ? 256 : 0);
    EXPECT_EQ(agreement.out.max_write, 1u << 20);
    EXPECT_EQ(agreement.out.max_readahead, 0x20000u);
    EXPECT_EQ(agreement.out.time_gran, 1u);
    EXPECT_GT(agreement.out.max_background, 12);
    EXPECT_LE(agreement.out.congestion_threshold, agreement.out.max_background);
    for (uint32_t unused : agreement.out.unused) EXPECT_EQ(unused, 0u);
  }
}

TEST(Negotiate, NeverGrantsMoreThanWasOffered) {
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t all_but_one = ~(uint64_t{1} << bit);
    const fuse_init_in in = LinuxInit(static_cast<uint32_t>(all_but_one), static_cast<uint32_t>(all_but_one >> 32));
    EXPECT_EQ(Negotiate(in, {.dax_window = true}, 0).granted & ~JoinInitFlags(in.flags, in.flags2), 0u) << "bit " << bit;
  }
}

TEST(Negotiate, WithholdsWhatWouldHideChangesFromTheServer) {
  const Agreement agreement = Negotiate(LinuxInit(~0u, ~0u), {.dax_window = true}, 0);
  EXPECT_EQ(agreement.granted & (uint64_t{FUSE_WRITEBACK_CACHE} | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
                                 FUSE_EXPORT_SUPPORT | FUSE_AUTO_INVAL_DATA | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
                                 FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SECURITY_CTX | FUSE_SETXATTR_EXT),
            0u);
}

TEST(Negotiate, SpeaksTheOlderOfTwoMinors) {
  fuse_init_in in = LinuxInit(0, 0);
  in.minor = 27;
  EXPECT_EQ(Negotiate(in, {}, 0).out.minor, 27u);
  in.minor = 45;
  EXPECT_EQ(Negotiate(in, {}, 0).out.minor, 38u);
  in.minor = 26;
  EXPECT_EQ(Negotiate(in, {}, 0).error.value(), EPROTO);
}

TEST(Negotiate, LetsANewerMajorTryAgainAndRefusesAnOlderOne) {
  fuse_init_in in = LinuxInit(0x7ffffffb, 0x0b);
  in.major = 8;
  in.minor = 0;
  const Agreement newer = Negotiate(in, {.dax_window = true}, 0);
  EXPECT_TRUE(newer.error.ok());
  EXPECT_FALSE(newer.starts_session);
  EXPECT_EQ(newer.out.major, 7u);
  EXPECT_EQ(newer.granted, 0u);
  in.major = 6;
  EXPECT_EQ(Negotiate(in, {}, 0).error.value(), EPROTO);
}

TEST(Negotiate, MaxPagesFollowsMaxWrite) {
  EXPECT_EQ(Negotiate(LinuxInit(~0u, 0), {.max_write = KiB(128)}, 0).out.max_pages, 32);
}

}  // namespace
}  // namespace daxvmm::fuse
