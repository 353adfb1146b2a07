#include "devices/virtio_fs/fuse/session.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

// ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, HAS_IOCTL_DIR, DO_READDIRPLUS, READDIRPLUS_AUTO, ASYNC_DIO, PARALLEL_DIROPS,
// MAX_PAGES, HANDLE_KILLPRIV_V2, INIT_EXT: written down as numbers, since a wrong name would agree with itself.
constexpr uint32_t kBase =
    1u << 0 | 1u << 3 | 1u << 5 | 1u << 11 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 18 | 1u << 22 | 1u << 28 | 1u << 30;
constexpr uint32_t kMapAlignment = 1u << 26;
constexpr uint32_t kAutoInval = 1u << 12;
// Every bit set but bit 31, which is reserved.
constexpr uint64_t kAnything = ~(uint64_t{1} << 31);

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
    const Agreement agreement = Negotiate(LinuxInit(row.flags, row.flags2), {.dax_window = row.window}, kAutoInval);
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
    EXPECT_EQ(Negotiate(in, {.dax_window = true}, ~uint64_t{0}).granted & ~JoinInitFlags(in.flags, in.flags2), 0u)
        << "bit " << bit;
  }
}

enum class When {
  kNever,
  kAlways,
  kWindow,         // the device has a window
  kAsked,          // the file system asks for it
  kAskedNoWindow,  // it asks, and the device has no window
  kAskedUnused,    // it asks, and the mount uses no window
};

// Each bit from 0 to 63; what is not named is never granted.
When WhenGranted(int bit) {
  switch (bit) {
    case 0:   // ASYNC_READ
    case 3:   // ATOMIC_O_TRUNC
    case 5:   // BIG_WRITES
    case 11:  // HAS_IOCTL_DIR
    case 13:  // DO_READDIRPLUS
    case 14:  // READDIRPLUS_AUTO
    case 15:  // ASYNC_DIO
    case 18:  // PARALLEL_DIROPS
    case 22:  // MAX_PAGES
    case 28:  // HANDLE_KILLPRIV_V2
    case 30:  // INIT_EXT
      return When::kAlways;
    case 26:  // MAP_ALIGNMENT
    case 33:  // HAS_INODE_DAX
      return When::kWindow;
    case 6:   // DONT_MASK
    case 20:  // POSIX_ACL
    case 23:  // CACHE_SYMLINKS
    case 24:  // NO_OPENDIR_SUPPORT
    case 27:  // SUBMOUNTS
    case 29:  // SETXATTR_EXT
    case 32:  // SECURITY_CTX
    case 34:  // CREATE_SUPP_GROUP
    case 36:  // DIRECT_IO_ALLOW_MMAP
      return When::kAsked;
    case 16:  // WRITEBACK_CACHE
      return When::kAskedNoWindow;
    case 12:  // AUTO_INVAL_DATA
      return When::kAskedUnused;
    default:
      return When::kNever;
  }
}

TEST(Negotiate, GrantsEachFlagExactlyWhenItShould) {
  for (const bool window : {false, true}) {
    for (const bool taken : {false, true}) {
      for (const uint64_t asked : {uint64_t{0}, ~uint64_t{0}}) {
        const uint64_t offered = taken ? kAnything : kAnything & ~uint64_t{kMapAlignment};
        const fuse_init_in in = LinuxInit(static_cast<uint32_t>(offered), static_cast<uint32_t>(offered >> 32));
        const uint64_t granted = Negotiate(in, {.dax_window = window}, asked).granted;
        for (int bit = 0; bit < 64; ++bit) {
          const uint64_t flag = uint64_t{1} << bit;
          const When when = WhenGranted(bit);
          const bool expected = (offered & flag) != 0 &&
                                (when == When::kAlways || (when == When::kWindow && window) ||
                                 (asked != 0 && (when == When::kAsked || (when == When::kAskedNoWindow && !window) ||
                                                 (when == When::kAskedUnused && !(window && taken)))));
          EXPECT_EQ((granted & flag) != 0, expected)
              << "bit " << bit << ", window " << window << ", taken " << taken << ", asked " << (asked != 0);
        }
      }
    }
  }
}

TEST(Negotiate, GrantsNothingOfTheSecondWordWithoutInitExt) {
  const fuse_init_in in = LinuxInit(static_cast<uint32_t>(kAnything) & ~(1u << 30), ~0u);
  EXPECT_EQ(Negotiate(in, {.dax_window = true}, ~uint64_t{0}).granted >> 32, 0u);
}

TEST(Negotiate, LeavesAclsOutWithoutWhatTheyNeed) {
  constexpr uint32_t kPosixAcl = 1u << 20;
  for (const uint32_t missing : {1u << 6, 1u << 29}) {
    const uint32_t rest = static_cast<uint32_t>(kAnything) & ~missing;
    EXPECT_EQ(Negotiate(LinuxInit(rest, 0), {}, ~uint64_t{0}).granted & kPosixAcl, 0u) << "not offered: " << missing;
    EXPECT_EQ(Negotiate(LinuxInit(static_cast<uint32_t>(kAnything), 0), {}, rest).granted & kPosixAcl, 0u)
        << "not asked for: " << missing;
  }
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
