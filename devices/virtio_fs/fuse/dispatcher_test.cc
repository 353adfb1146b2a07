#include "devices/virtio_fs/fuse/dispatcher.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/fuse/fake_file_system.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "devices/virtio_fs/fuse/test_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RecordingListener : public SessionListener {
 public:
  explicit RecordingListener(std::vector<std::string>* calls) : calls_(calls) {}
  void SessionStarted(ClientDaxMode mode) override {
    calls_->push_back(absl::StrCat("session starts ", static_cast<int>(mode)));
  }
  void SessionEnded() override { calls_->push_back("session ends"); }

 private:
  std::vector<std::string>* const calls_;
};

class DispatcherTest : public testing::Test {
 protected:
  DispatcherTest() {
    SendInit(&dispatcher_);
    fs_.calls.clear();
  }

  TestReply Ask(uint32_t opcode, const std::string& body, size_t room = 1 << 17, size_t cut = 1 << 20) {
    return Send(&dispatcher_, opcode, 42, body, room, cut, counts_);
  }

  FakeFileSystem fs_;
  RecordingListener listener_{&fs_.calls};
  Dispatcher dispatcher_{{.dax_window = true}, &fs_, &fs_, &listener_};
  RequestCounts* const counts_ = dispatcher_.AddCounts();
};

std::string ReadBody(uint32_t size, uint64_t offset = 0) {
  fuse_read_in in = {};
  in.fh = 3;
  in.offset = offset;
  in.size = size;
  return AsBytes(in);
}

TEST_F(DispatcherTest, DecodesEveryOperation) {
  struct Row {
    uint32_t opcode;
    std::string body;
    std::string call;
    size_t reply;
  };
  const std::string a = AsName("a");
  const std::string b = AsName("b");
  fuse_setattr_in setattr = {};
  setattr.valid = FATTR_SIZE;
  setattr.size = 77;
  fuse_release_in release = {};
  release.fh = 3;
  fuse_flush_in flush = {};
  flush.fh = 3;
  fuse_copy_file_range_in copy = {};
  copy.nodeid_out = 9;
  copy.len = 1 << 20;
  const std::vector<Row> rows = {
      {FUSE_LOOKUP, a, "lookup 42 a", 128},
      {FUSE_GETATTR, AsBytes(fuse_getattr_in{0, 0, 3}), "getattr 42 no fh", 104},
      {FUSE_GETATTR, AsBytes(fuse_getattr_in{FUSE_GETATTR_FH, 0, 3}), "getattr 42 fh 3", 104},
      {FUSE_SETATTR, AsBytes(setattr), absl::StrCat("setattr 42 ", FATTR_SIZE, " 77"), 104},
      {FUSE_READLINK, "", "readlink 42", 6},
      {FUSE_SYMLINK, a + AsName("../to/b"), "symlink 42 a ../to/b", 128},
      {FUSE_MKNOD, AsBytes(fuse_mknod_in{1, 2, 3, 0}) + a, "mknod 42 a 1 2 3", 128},
      {FUSE_MKDIR, AsBytes(fuse_mkdir_in{1, 2}) + a, "mkdir 42 a 1 2", 128},
      {FUSE_UNLINK, a, "unlink 42 a", 0},
      {FUSE_RMDIR, a, "rmdir 42 a", 0},
      {FUSE_RENAME, AsBytes(fuse_rename_in{7}) + a + b, "rename 42 a 7 b 0", 0},
      {FUSE_RENAME2, AsBytes(fuse_rename2_in{7, 2, 0}) + a + b, "rename 42 a 7 b 2", 0},
      {FUSE_LINK, AsBytes(fuse_link_in{7}) + a, "link 7 42 a", 128},
      {FUSE_OPEN, AsBytes(fuse_open_in{5, 0}), "open 42 5", 16},
      {FUSE_READ, ReadBody(8, 16), "read 42 3 16 8", 8},
      {FUSE_STATFS, "", "statfs 42", 80},
      {FUSE_RELEASE, AsBytes(release), "release 42 3", 0},
      {FUSE_FSYNC, AsBytes(fuse_fsync_in{3, 1, 0}), "fsync 42 3 1", 0},
      {FUSE_SETXATTR, ValidBody(FUSE_SETXATTR), "setxattr 42 user.x abc 0", 0},
      {FUSE_GETXATTR, AsBytes(fuse_getxattr_in{64, 0}) + AsName("user.a/b"), "getxattr 42 user.a/b", 5},
      {FUSE_LISTXATTR, AsBytes(fuse_getxattr_in{64, 0}), "listxattr 42", 5},
      {FUSE_REMOVEXATTR, AsName("user.x"), "removexattr 42 user.x", 0},
      {FUSE_FLUSH, AsBytes(flush), "flush 42 3", 0},
      {FUSE_OPENDIR, AsBytes(fuse_open_in{5, 0}), "opendir 42 5", 16},
      {FUSE_RELEASEDIR, AsBytes(release), "releasedir 42 3", 0},
      {FUSE_FSYNCDIR, AsBytes(fuse_fsync_in{3, 1, 0}), "fsyncdir 42 3 1", 0},
      {FUSE_ACCESS, AsBytes(fuse_access_in{5, 0}), "access 42 5", 0},
      {FUSE_CREATE, AsBytes(fuse_create_in{1, 2, 3, 4}) + a, "create 42 a 1 2 3 4", 144},
      {FUSE_IOCTL, ValidBody(FUSE_IOCTL), "ioctl 42 9 0 5 8 input", 16 + 6},
      {FUSE_FALLOCATE, AsBytes(fuse_fallocate_in{3, 4, 5, 1, 0}), "fallocate 42 3 4 5 1", 0},
      {FUSE_LSEEK, AsBytes(fuse_lseek_in{3, 4, 3, 0}), "lseek 42 3 4 3", 8},
      {FUSE_COPY_FILE_RANGE, AsBytes(copy), "copy_file_range 42 9 1048576", 8},
      {FUSE_SYNCFS, AsBytes(fuse_syncfs_in{0}), "syncfs 42", 0},
      {FUSE_TMPFILE, AsBytes(fuse_create_in{1, 2, 3, 4}) + AsName("/"), "tmpfile 42 1 2 3 4", 144},
      {FUSE_SETUPMAPPING, ValidBody(FUSE_SETUPMAPPING), "setupmapping 42", 0},
      {FUSE_REMOVEMAPPING, ValidBody(FUSE_REMOVEMAPPING), "removemapping 42 2", 0},
  };
  for (const Row& row : rows) {
    // Where the driver cut its buffers means nothing.
    for (size_t cut : {size_t{1}, size_t{7}, size_t{1} << 20}) {
      SCOPED_TRACE(absl::StrCat(row.call, " in pieces of ", cut));
      fs_.calls.clear();
      const TestReply reply = Ask(row.opcode, row.body, 4096, cut);
      EXPECT_EQ(reply.error(), 0);
      EXPECT_EQ(reply.payload.size(), row.reply);
      EXPECT_THAT(fs_.calls, ElementsAre(row.call));
    }
  }
  EXPECT_EQ(dispatcher_.request_count(FUSE_LOOKUP), 3u);
  EXPECT_EQ(dispatcher_.request_count(FUSE_GETATTR), 6u);
}

TEST_F(DispatcherTest, CountsRequestsErrorsAndBytes) {
  Ask(FUSE_READ, ReadBody(8));
  fs_.io_result = 5;
  Ask(FUSE_WRITE, ValidBody(FUSE_WRITE));
  Ask(9999, "");
  Ask(FUSE_LOOKUP, "no zero at its end");
  Ask(FUSE_LOOKUP, AsName("a"), /*room=*/8);  // no reply fits
  Ask(FUSE_FORGET, AsBytes(fuse_forget_in{1}));
  fs_.error = Errno(EBADMSG);
  Ask(FUSE_READ, ReadBody(8));
  // Another thread's are added to them.
  fs_.error = kOk;
  Send(&dispatcher_, FUSE_STATFS, 1, "", 1 << 17, 1 << 20, dispatcher_.AddCounts());

  const RequestTotals totals = dispatcher_.request_totals();
  const auto errors = [&totals](uint32_t opcode, int error) {
    for (size_t i = 0; i < kCountedErrors; ++i) {
      if (CountedErrors()[i] == error) return totals.operations[opcode].errors[i];
    }
    return uint64_t{0};
  };
  EXPECT_EQ(totals.operations[FUSE_READ].requests(), 2u);
  EXPECT_EQ(totals.operations[FUSE_READ].errors[0], 1u);
  EXPECT_EQ(totals.operations[FUSE_READ].nanoseconds, 6'000u);
  EXPECT_EQ(totals.operations[FUSE_LOOKUP].requests(), 2u);
  EXPECT_EQ(errors(FUSE_LOOKUP, EINVAL), 1u);
  EXPECT_EQ(errors(FUSE_LOOKUP, EIO), 1u);
  EXPECT_EQ(totals.operations[FUSE_FORGET].requests(), 1u);
  EXPECT_EQ(totals.operations[0].requests(), 1u);
  EXPECT_EQ(errors(0, ENOSYS), 1u);
  EXPECT_EQ(totals.operations[FUSE_STATFS].requests(), 1u);
  EXPECT_EQ(totals.bytes_read, 8u);
  EXPECT_EQ(totals.bytes_written, 5u);
}

TEST_F(DispatcherTest, PassesOnWhoAsks) {
  Ask(FUSE_STATFS, "");
  EXPECT_EQ(fs_.last_context.uid, 1000u);
  EXPECT_EQ(fs_.last_context.gid, 100u);
  EXPECT_EQ(fs_.last_context.pid, 4711);
  EXPECT_EQ(fs_.last_context.unique, kUnique);
}

TEST_F(DispatcherTest, EncodesStructs) {
  EXPECT_EQ(Ask(FUSE_LOOKUP, AsName("a")).As<fuse_entry_out>().attr.flags, uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(Ask(FUSE_OPEN, ValidBody(FUSE_OPEN)).As<fuse_open_out>().fh, 7u);
  EXPECT_EQ(Ask(FUSE_STATFS, "").As<fuse_statfs_out>().st.namelen, 255u);
  EXPECT_EQ(Ask(FUSE_LSEEK, ValidBody(FUSE_LSEEK)).As<fuse_lseek_out>().offset, 0x1'0000'0001u);
  EXPECT_EQ(Ask(FUSE_READLINK, "").payload, "target");
  for (const uint32_t opcode : {FUSE_CREATE, FUSE_TMPFILE}) {
    const TestReply created = Ask(opcode, ValidBody(opcode));
    fuse_open_out open;
    std::memcpy(&open, created.payload.data() + sizeof(fuse_entry_out), sizeof(open));
    EXPECT_EQ(open.fh, 7u);
  }
}

TEST_F(DispatcherTest, EveryErrnoReachesTheWireAsTheClientAcceptsIt) {
  for (int value : {1, 2, 511}) {
    fs_.error = Errno(value);
    EXPECT_EQ(Ask(FUSE_LOOKUP, AsName("a")).error(), value);
  }
  for (int value : {512, 516, 1 << 30, -5}) {
    fs_.error = Errno(value);
    EXPECT_EQ(Ask(FUSE_LOOKUP, AsName("a")).error(), EIO);
  }
}

TEST_F(DispatcherTest, ForgetsAndInterruptsGetNoReply) {
  EXPECT_EQ(Ask(FUSE_FORGET, AsBytes(fuse_forget_in{3}), 0).used, 0u);
  EXPECT_EQ(Ask(FUSE_FORGET, AsBytes(fuse_forget_in{4}), 64).used, 0u);
  EXPECT_EQ(Ask(FUSE_BATCH_FORGET, ValidBody(FUSE_BATCH_FORGET)).used, 0u);
  EXPECT_EQ(Ask(FUSE_INTERRUPT, ValidBody(FUSE_INTERRUPT)).used, 0u);
  EXPECT_THAT(fs_.calls, ElementsAre("forget 42 3", "forget 42 4", "forget 5 1", "forget 6 2"));
}

TEST_F(DispatcherTest, BatchForgetWithAFalseCountForgetsNothing) {
  EXPECT_EQ(Ask(FUSE_BATCH_FORGET, AsBytes(fuse_batch_forget_in{0xffffffff, 0}) + AsBytes(fuse_forget_one{5, 1})).used,
            0u);
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherTest, WhatIsNotServedIsEnosys) {
  for (uint32_t opcode :
       {uint32_t{FUSE_POLL}, uint32_t{FUSE_BMAP}, uint32_t{FUSE_GETLK}, uint32_t{FUSE_SETLK}, uint32_t{FUSE_SETLKW},
        uint32_t{FUSE_NOTIFY_REPLY}, kOpStatx, 0u, 7u, 63u, 64u, 4096u, 0xffffffffu}) {
    EXPECT_EQ(Ask(opcode, std::string(64, '\0')).error(), ENOSYS) << opcode;
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherTest, ReadPutsDataBehindTheHeader) {
  EXPECT_EQ(Ask(FUSE_READ, ReadBody(100), 116, 3).payload, std::string(100, 'r'));
  fs_.io_result = 10;
  const TestReply partial = Ask(FUSE_READ, ReadBody(100), 116);
  EXPECT_EQ(partial.used, 26u);
  EXPECT_EQ(partial.payload, std::string(10, 'r'));
  fs_.io_result = 101;
  EXPECT_EQ(Ask(FUSE_READ, ReadBody(100), 4096).error(), EIO);
}

TEST_F(DispatcherTest, ReadThatDoesNotFitIsRefusedAndNotShortened) {
  EXPECT_EQ(Ask(FUSE_READ, ReadBody(100), 115).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_READ, ReadBody((1 << 20) + 1), 2 << 20).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_READ, ReadBody(0xffffffff)).error(), EINVAL);
  EXPECT_THAT(fs_.calls, IsEmpty());
  EXPECT_EQ(Ask(FUSE_READ, ReadBody(1 << 20), (1 << 20) + 16).payload.size(), size_t{1} << 20);
}

TEST_F(DispatcherTest, WriteTakesItsDataFromTheRequest) {
  fuse_write_in in = {};
  in.fh = 3;
  in.offset = 9;
  in.size = 5;
  const TestReply reply = Ask(FUSE_WRITE, AsBytes(in) + "hello and more", 24, 3);
  EXPECT_EQ(reply.As<fuse_write_out>().size, 5u);
  EXPECT_EQ(fs_.written, "hello");
  EXPECT_THAT(fs_.calls, ElementsAre("write 42 3 9 5"));
}

TEST_F(DispatcherTest, WriteOfMoreThanWasSentIsRefused) {
  fuse_write_in in = {};
  for (uint32_t size : {6u, 1u << 20, (1u << 20) + 1, 0xffffffffu}) {
    in.size = size;
    EXPECT_EQ(Ask(FUSE_WRITE, AsBytes(in) + "hello").error(), EINVAL) << size;
  }
  in.size = (1 << 20) + 1;
  EXPECT_EQ(Ask(FUSE_WRITE, AsBytes(in) + std::string(in.size, 'w')).error(), EINVAL);
  EXPECT_THAT(fs_.calls, IsEmpty());
  in.size = 1 << 20;
  EXPECT_EQ(Ask(FUSE_WRITE, AsBytes(in) + std::string(in.size, 'w')).As<fuse_write_out>().size, in.size);
}

TEST_F(DispatcherTest, XattrSizesGoByWhatTheClientAskedFor) {
  for (uint32_t opcode : {FUSE_GETXATTR, FUSE_LISTXATTR}) {
    const std::string name = opcode == FUSE_GETXATTR ? AsName("user.x") : "";
    EXPECT_EQ(Ask(opcode, AsBytes(fuse_getxattr_in{0, 0}) + name).As<fuse_getxattr_out>().size, 5u);
    EXPECT_EQ(Ask(opcode, AsBytes(fuse_getxattr_in{4, 0}) + name).error(), ERANGE);
    EXPECT_EQ(Ask(opcode, AsBytes(fuse_getxattr_in{5, 0}) + name).payload, "value");
    EXPECT_EQ(Ask(opcode, AsBytes(fuse_getxattr_in{0xffffffff, 0}) + name).payload, "value");
    // Room that the client named but did not bring.
    EXPECT_EQ(Ask(opcode, AsBytes(fuse_getxattr_in{5, 0}) + name, 20).error(), EIO);
  }
  fs_.xattr = std::string(65537, 'x');
  EXPECT_EQ(Ask(FUSE_GETXATTR, AsBytes(fuse_getxattr_in{1 << 20, 0}) + AsName("user.x")).error(), E2BIG);
}

TEST_F(DispatcherTest, SetXattrValueMayHoldAnythingAndBeEmpty) {
  const std::string value("\0/\n", 3);
  EXPECT_EQ(Ask(FUSE_SETXATTR, AsBytes(std::pair<uint32_t, uint32_t>(3, 1)) + AsName("user.x") + value).error(), 0);
  EXPECT_EQ(Ask(FUSE_SETXATTR, AsBytes(std::pair<uint32_t, uint32_t>(0, 2)) + AsName("user.x")).error(), 0);
  EXPECT_THAT(fs_.calls, ElementsAre("setxattr 42 user.x " + value + " 1", "setxattr 42 user.x  2"));
  EXPECT_EQ(Ask(FUSE_SETXATTR, AsBytes(std::pair<uint32_t, uint32_t>(4, 0)) + AsName("user.x") + value).error(),
            EINVAL);
  const std::string huge(65536, 'x');
  EXPECT_EQ(Ask(FUSE_SETXATTR, AsBytes(std::pair<uint32_t, uint32_t>(65536, 0)) + AsName("user.x") + huge).error(), 0);
  EXPECT_EQ(Ask(FUSE_SETXATTR, AsBytes(std::pair<uint32_t, uint32_t>(65537, 0)) + AsName("user.x") + huge).error(),
            E2BIG);
}

TEST_F(DispatcherTest, AccessTakesTheMaskOfAccessOnly) {
  EXPECT_EQ(Ask(FUSE_ACCESS, AsBytes(fuse_access_in{0, 0})).error(), 0);
  EXPECT_EQ(Ask(FUSE_ACCESS, AsBytes(fuse_access_in{7, 0})).error(), 0);
  EXPECT_EQ(Ask(FUSE_ACCESS, AsBytes(fuse_access_in{8, 0})).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_ACCESS, AsBytes(fuse_access_in{0x80000000, 0})).error(), EINVAL);
  EXPECT_THAT(fs_.calls, ElementsAre("access 42 0", "access 42 7"));
}

TEST_F(DispatcherTest, TmpFileTakesAnyNameAndIgnoresIt) {
  const std::string argument = AsBytes(fuse_create_in{1, 2, 3, 4});
  for (const std::string& name : {std::string("/"), std::string(), std::string(".."), std::string(255, 'n')}) {
    fs_.calls.clear();
    EXPECT_EQ(Ask(FUSE_TMPFILE, argument + AsName(name)).error(), 0) << name;
    EXPECT_THAT(fs_.calls, ElementsAre("tmpfile 42 1 2 3 4"));
  }
  fs_.calls.clear();
  EXPECT_EQ(Ask(FUSE_TMPFILE, argument).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_TMPFILE, argument + "/").error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_TMPFILE, argument + AsName(std::string(256, 'n'))).error(), ENAMETOOLONG);
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherTest, IoctlCarriesItsInputAndOutput) {
  fuse_ioctl_in in = {};
  in.flags = FUSE_IOCTL_DIR | FUSE_IOCTL_32BIT;
  in.cmd = 7;
  in.in_size = 3;
  in.out_size = 6;
  const TestReply reply = Ask(FUSE_IOCTL, AsBytes(in) + std::string("a\0b", 3) + "and more", 16 + 16 + 6, 3);
  EXPECT_EQ(reply.error(), 0);
  EXPECT_EQ(reply.payload, std::string(16, '\0') + "output");
  EXPECT_THAT(fs_.calls, ElementsAre("ioctl 42 7 24 3 6 " + std::string("a\0b", 3)));
  in.in_size = 0;
  in.out_size = 0;
  fs_.ioctl_output.clear();
  EXPECT_EQ(Ask(FUSE_IOCTL, AsBytes(in)).payload, std::string(16, '\0'));
  fs_.ioctl_output = "more than was asked for";
  EXPECT_EQ(Ask(FUSE_IOCTL, AsBytes(in)).error(), EIO);
  fs_.error = Errno(ENOTTY);
  EXPECT_EQ(Ask(FUSE_IOCTL, AsBytes(in)).error(), ENOTTY);
}

TEST_F(DispatcherTest, IoctlIsRestrictedAndBounded) {
  const auto ask = [this](uint32_t flags, uint32_t in_size, uint32_t out_size, size_t sent, size_t room) {
    fuse_ioctl_in in = {};
    in.flags = flags;
    in.in_size = in_size;
    in.out_size = out_size;
    return Ask(FUSE_IOCTL, AsBytes(in) + std::string(sent, 'i'), room).error();
  };
  EXPECT_EQ(ask(FUSE_IOCTL_UNRESTRICTED, 0, 0, 0, 64), ENOTTY);
  EXPECT_EQ(ask(0, 4, 0, 3, 64), EINVAL);
  EXPECT_EQ(ask(0, 0xffffffff, 0, 3, 64), EINVAL);
  EXPECT_EQ(ask(0, 4097, 0, 4097, 64), ENOTTY);
  EXPECT_EQ(ask(0, 0, 4097, 0, 8192), ENOTTY);
  EXPECT_EQ(ask(0, 0, 0xffffffff, 0, 8192), ENOTTY);
  EXPECT_EQ(ask(0, 0, 33, 0, 64), EIO);
  EXPECT_THAT(fs_.calls, IsEmpty());
  EXPECT_EQ(ask(0, 0, 32, 0, 64), 0);
  EXPECT_EQ(ask(0, 4096, 4096, 4096, 8192), 0);
}

TEST_F(DispatcherTest, ReadDirPacksRecords) {
  const std::string plain = Ask(FUSE_READDIR, ReadBody(4096)).payload;
  ASSERT_EQ(plain.size(), 3u * 32);
  fuse_dirent second;
  std::memcpy(&second, plain.data() + 32, sizeof(second));
  EXPECT_EQ(second.ino, 1001u);
  EXPECT_EQ(second.off, 2u);
  EXPECT_EQ(second.namelen, 2u);
  EXPECT_EQ(second.type, 8u);
  EXPECT_EQ(plain.substr(32 + FUSE_NAME_OFFSET, 8), std::string("bb\0\0\0\0\0\0", 8));

  const std::string plus = Ask(FUSE_READDIRPLUS, ReadBody(4096, 2)).payload;
  ASSERT_EQ(plus.size(), 160u);
  fuse_direntplus third;
  std::memcpy(&third, plus.data(), sizeof(third));
  EXPECT_EQ(third.entry_out.nodeid, 103u);
  EXPECT_EQ(third.dirent.off, 3u);
  EXPECT_EQ(plus.substr(152), std::string("ccc\0\0\0\0\0", 8));
}

TEST_F(DispatcherTest, ReadDirStopsWhereTheBufferEnds) {
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(4096), 16 + 95).payload.size(), 64u);
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(64)).payload.size(), 64u);
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(0xffffffff)).payload.size(), 96u);
  // Nothing would read as the end of the directory.
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(31)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(0)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_READDIR, ReadBody(4096, 3)).used, 16u);
}

TEST_F(DispatcherTest, ReadDirBuffersNoMoreThanItsBound) {
  fs_.dir_entries.assign(10000, std::string(255, 'n'));
  const TestReply reply = Ask(FUSE_READDIRPLUS, ReadBody(1 << 20), 1 << 20);
  EXPECT_LE(reply.payload.size(), size_t{128} << 10);
  EXPECT_GT(reply.payload.size(), size_t{100} << 10);
}

TEST_F(DispatcherTest, MappingsAreDecodedFromMisalignedBytes) {
  fuse_setupmapping_in in = {};
  in.fh = ~uint64_t{0};
  in.foffset = 1 << 21;
  in.len = 2 << 21;
  in.flags = FUSE_SETUPMAPPING_FLAG_READ;
  in.moffset = 3 << 21;
  EXPECT_EQ(Ask(FUSE_SETUPMAPPING, AsBytes(in)).used, 16u);
  EXPECT_EQ(AsBytes(fs_.last_setup), AsBytes(in));
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, ValidBody(FUSE_REMOVEMAPPING)).used, 16u);
  ASSERT_EQ(fs_.last_removals.size(), 2u);
  EXPECT_EQ(fs_.last_removals[0].len, 4096u);
  EXPECT_EQ(fs_.last_removals[1].moffset, uint64_t{1} << 21);
}

TEST_F(DispatcherTest, RemoveMappingLengthMustBeExact) {
  const std::string one = AsBytes(fuse_removemapping_one{0, 4096});
  const auto body = [&one](uint32_t count, int entries, const std::string& tail = "") {
    std::string text = AsBytes(fuse_removemapping_in{count});
    for (int i = 0; i < entries; ++i) text += one;
    return text + tail;
  };
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(0, 0)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(1, 0)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(1, 2)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(2, 1)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(1, 1, "x")).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(257, 257)).error(), EINVAL);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(0x10000001, 1)).error(), EINVAL);  // 16 * count wraps to 16
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(0xffffffff, 1)).error(), EINVAL);
  EXPECT_THAT(fs_.calls, IsEmpty());
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, body(256, 256)).error(), 0);
}

TEST_F(DispatcherTest, FaultHandlersNeverSeeAnErrnoThatMakesThemLoop) {
  for (uint32_t opcode : {FUSE_SETUPMAPPING, FUSE_REMOVEMAPPING}) {
    for (int value : {EAGAIN, ENOMEM}) {
      fs_.error = Errno(value);
      EXPECT_EQ(Ask(opcode, ValidBody(opcode)).error(), EIO);
    }
    fs_.error = Errno(EROFS);
    EXPECT_EQ(Ask(opcode, ValidBody(opcode)).error(), EROFS);
  }
}

TEST_F(DispatcherTest, WithoutAWindowMappingsAreEnosys) {
  Dispatcher dispatcher({}, &fs_, nullptr, nullptr);
  SendInit(&dispatcher);
  EXPECT_EQ(Send(&dispatcher, FUSE_SETUPMAPPING, 1, ValidBody(FUSE_SETUPMAPPING)).error(), ENOSYS);
  EXPECT_EQ(Send(&dispatcher, FUSE_REMOVEMAPPING, 1, ValidBody(FUSE_REMOVEMAPPING)).error(), ENOSYS);
}

TEST(DispatcherSession, NothingIsServedOutsideOfASession) {
  FakeFileSystem fs;
  RecordingListener listener(&fs.calls);
  Dispatcher dispatcher({.dax_window = true}, &fs, &fs, &listener);
  for (const Op& op : AllOps()) {
    if (op.opcode == FUSE_INIT) continue;
    const TestReply reply = Send(&dispatcher, op.opcode, 1, ValidBody(op.opcode));
    EXPECT_EQ(reply.error(), op.Has(kNoReply) ? 0 : EIO) << std::string(op.name);
  }
  EXPECT_EQ(Send(&dispatcher, 999, 1, "").error(), EIO);
  EXPECT_THAT(fs.calls, IsEmpty());
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kNoSession);

  const TestReply init = SendInit(&dispatcher);
  EXPECT_EQ(init.used, 80u);
  EXPECT_EQ(init.As<fuse_init_out>().flags2, 0x2u);
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kPerFile);
  EXPECT_EQ(Send(&dispatcher, FUSE_STATFS, 1, "").error(), 0);

  fs.calls.clear();
  const TestReply destroy = Send(&dispatcher, FUSE_DESTROY, 0, "", 16);
  EXPECT_EQ(destroy.used, 16u);
  EXPECT_EQ(destroy.error(), 0);
  EXPECT_THAT(fs.calls, ElementsAre("session ends", "destroy"));
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kNoSession);
  EXPECT_EQ(Send(&dispatcher, FUSE_STATFS, 1, "").error(), EIO);
  EXPECT_EQ(Send(&dispatcher, FUSE_DESTROY, 0, "").error(), EIO);
}

TEST(DispatcherSession, ANewInitEndsTheOldSessionFirst) {
  FakeFileSystem fs;
  RecordingListener listener(&fs.calls);
  Dispatcher dispatcher({.dax_window = true}, &fs, &fs, &listener);
  SendInit(&dispatcher);
  fs.calls.clear();
  SendInit(&dispatcher, 0x7ffffffb, 0x09);
  EXPECT_THAT(fs.calls, ElementsAre("session ends", "destroy", testing::StartsWith("init "),
                                    absl::StrCat("session starts ", static_cast<int>(ClientDaxMode::kAlways))));
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kAlways);
}

TEST(DispatcherSession, ARefusedInitLeavesTheSessionAlone) {
  FakeFileSystem fs;
  Dispatcher dispatcher({.dax_window = true}, &fs, &fs, nullptr);
  SendInit(&dispatcher);
  fs.calls.clear();
  EXPECT_EQ(SendInit(&dispatcher, 0, 0, 6, 0).error(), EPROTO);
  const TestReply newer = SendInit(&dispatcher, 0, 0, 8, 0);
  EXPECT_EQ(newer.As<fuse_init_out>().major, 7u);
  EXPECT_EQ(Send(&dispatcher, FUSE_INIT, 0, ValidBody(FUSE_INIT), 79).error(), EIO);
  EXPECT_THAT(fs.calls, IsEmpty());
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kPerFile);
}

TEST(DispatcherSession, TakesTheShortInitOfClientsBefore736) {
  FakeFileSystem fs;
  Dispatcher dispatcher({.dax_window = true}, &fs, &fs, nullptr);
  fuse_init_in in = {};
  in.major = 7;
  in.minor = 31;
  in.flags = FUSE_MAP_ALIGNMENT | FUSE_MAX_PAGES;
  const TestReply reply = Send(&dispatcher, FUSE_INIT, 0, AsBytes(in).substr(0, 16));
  EXPECT_EQ(reply.used, 80u);
  EXPECT_EQ(reply.As<fuse_init_out>().minor, 31u);
  EXPECT_EQ(dispatcher.client_dax_mode(), ClientDaxMode::kAlways);
}

constexpr uint64_t kExtensionFlags = uint64_t{FUSE_SETXATTR_EXT} | FUSE_SECURITY_CTX | kCreateSuppGroup;
// SECURITY_CTX, HAS_INODE_DAX, CREATE_SUPP_GROUP
constexpr uint32_t kNewerFlags2 = 0x7;

// A session in which everything is granted that changes what a request looks like.
class DispatcherExtensionTest : public DispatcherTest {
 protected:
  DispatcherExtensionTest() {
    fs_.optional_flags = kExtensionFlags;
    SendInit(&dispatcher_, kLinuxFlags, kNewerFlags2);
    fs_.calls.clear();
  }

  TestReply AskExtended(uint32_t opcode, const std::string& body, const std::string& extensions) {
    fs_.last_context = {};
    return SendRaw(&dispatcher_, MakeRequest(opcode, 42, body + extensions, extensions.size()));
  }
};

constexpr uint32_t kCreating[] = {FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK, FUSE_TMPFILE};

TEST_F(DispatcherExtensionTest, CreatingRequestsBringLabelsAndAGroup) {
  for (const uint32_t opcode : kCreating) {
    SCOPED_TRACE(opcode);
    EXPECT_EQ(AskExtended(opcode, ValidBody(opcode), LabelExtension() + GroupExtension()).error(), 0);
    ASSERT_EQ(fs_.last_context.labels.size(), 1u);
    EXPECT_EQ(fs_.last_context.labels[0].name, "security.selinux");
    EXPECT_EQ(fs_.last_context.labels[0].value, "x:y");
    EXPECT_EQ(fs_.last_context.supplementary_group, gid_t{1001});
    EXPECT_EQ(fs_.last_context.uid, 1000u);
    EXPECT_EQ(AskExtended(opcode, ValidBody(opcode), GroupExtension()).error(), 0);
    EXPECT_THAT(fs_.last_context.labels, IsEmpty());
    EXPECT_EQ(fs_.last_context.supplementary_group, gid_t{1001});
    EXPECT_EQ(AskExtended(opcode, ValidBody(opcode), "").error(), 0);
    EXPECT_FALSE(fs_.last_context.supplementary_group.has_value());
  }
}

TEST_F(DispatcherExtensionTest, LabelsMayComeUnannounced) {
  for (const uint32_t opcode : kCreating) {
    SCOPED_TRACE(opcode);
    EXPECT_EQ(Ask(opcode, ValidBody(opcode) + LabelExtension()).error(), 0);
    ASSERT_EQ(fs_.last_context.labels.size(), 1u);
    EXPECT_EQ(fs_.last_context.labels[0].value, "x:y");
    fs_.calls.clear();
    EXPECT_EQ(Ask(opcode, ValidBody(opcode) + LabelExtension() + "x").error(), EINVAL);
    EXPECT_THAT(fs_.calls, IsEmpty());
  }
}

TEST_F(DispatcherExtensionTest, NoStringReachesIntoTheExtensions) {
  for (const uint32_t opcode : kCreating) {
    SCOPED_TRACE(opcode);
    std::string body = ValidBody(opcode);
    body.pop_back();
    EXPECT_EQ(AskExtended(opcode, body, LabelExtension()).error(), EINVAL);
    EXPECT_EQ(AskExtended(opcode, body + AsName("") + "x", LabelExtension()).error(), EINVAL) << "a gap";
    // The announced length covers the names, or more than the request.
    const std::string whole = ValidBody(opcode) + LabelExtension();
    for (const size_t announced : {size_t{8}, size_t{48}, size_t{400}, size_t{0xffff * 8}}) {
      EXPECT_EQ(SendRaw(&dispatcher_, MakeRequest(opcode, 42, whole, announced)).error(), EINVAL) << announced;
    }
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherExtensionTest, EveryTruncationIsAnsweredAndCallsNothing) {
  for (const uint32_t opcode : kCreating) {
    const std::string names = ValidBody(opcode);
    for (const bool announced : {false, true}) {
      const std::string extensions = LabelExtension() + (announced ? GroupExtension() : "");
      const std::string whole = MakeRequest(opcode, 42, names + extensions, announced ? extensions.size() : 0);
      for (size_t length = sizeof(fuse_in_header); length < whole.size(); ++length) {
        // Without an announcement nothing tells a request that was cut there from one without labels.
        if (!announced && length == sizeof(fuse_in_header) + names.size()) continue;
        SCOPED_TRACE(absl::StrCat("opcode ", opcode, ", announced ", announced, ", cut to ", length));
        std::string cut = whole.substr(0, length);
        const uint32_t claim = static_cast<uint32_t>(length);
        std::memcpy(cut.data(), &claim, sizeof(claim));
        EXPECT_EQ(SendRaw(&dispatcher_, cut).error(), EINVAL);
      }
    }
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherExtensionTest, TheLargestLabelFits) {
  const std::string value(64 << 10, 'v');
  std::string label = AsBytes(fuse_secctx{static_cast<uint32_t>(value.size()), 0}) + AsName("security.s") + value;
  label.resize((label.size() + 7) / 8 * 8);
  label = AsBytes(fuse_secctx_header{static_cast<uint32_t>(8 + label.size()), 1}) + label;
  const std::string body = AsName(std::string(255, 'n')) + AsName(std::string(4095, 't'));
  EXPECT_EQ(AskExtended(FUSE_SYMLINK, body, label).error(), 0);
  ASSERT_EQ(fs_.last_context.labels.size(), 1u);
  EXPECT_EQ(fs_.last_context.labels[0].value, value);
  EXPECT_EQ(Ask(FUSE_SYMLINK, body + label + std::string(64 << 10, '\0')).error(), EINVAL);
}

TEST_F(DispatcherExtensionTest, OtherRequestsHaveNone) {
  EXPECT_EQ(AskExtended(FUSE_LOOKUP, AsName("a"), LabelExtension()).error(), 0);
  EXPECT_THAT(fs_.last_context.labels, IsEmpty());
  EXPECT_EQ(AskExtended(FUSE_LINK, AsBytes(fuse_link_in{7}) + AsName("a"), GroupExtension()).error(), 0);
  EXPECT_FALSE(fs_.last_context.supplementary_group.has_value());
}

TEST_F(DispatcherTest, ExtensionsThatWereNotGrantedAreRefusedWhereAnnounced) {
  for (const uint32_t opcode : kCreating) {
    const std::string request = MakeRequest(opcode, 42, ValidBody(opcode) + LabelExtension(), LabelExtension().size());
    EXPECT_EQ(SendRaw(&dispatcher_, request).error(), EINVAL);
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

std::string SetXattrBody(uint32_t setxattr_flags) {
  fuse_setxattr_in in = {};
  in.size = 3;
  in.flags = 1;
  in.setxattr_flags = setxattr_flags;
  return AsBytes(in) + AsName("user.x") + "abc";
}

TEST_F(DispatcherExtensionTest, SetXattrHasFlagsOfItsOwn) {
  EXPECT_EQ(Ask(FUSE_SETXATTR, SetXattrBody(0)).error(), 0);
  EXPECT_EQ(Ask(FUSE_SETXATTR, SetXattrBody(FUSE_SETXATTR_ACL_KILL_SGID)).error(), 0);
  EXPECT_THAT(fs_.calls, ElementsAre("setxattr 42 user.x abc 1", "setxattr 42 user.x abc 1 1"));
  fs_.calls.clear();
  EXPECT_EQ(Ask(FUSE_SETXATTR, SetXattrBody(2)).error(), EINVAL);
  // Of the short layout, the name is taken for the rest of the argument.
  EXPECT_EQ(Ask(FUSE_SETXATTR, ValidBody(FUSE_SETXATTR)).error(), EINVAL);
  const std::string whole = SetXattrBody(0);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(Ask(FUSE_SETXATTR, whole.substr(0, length)).error(), EINVAL) << length;
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(DispatcherExtensionTest, WhatWasGrantedEndsWithTheSession) {
  const auto expect_short = [this] {
    fs_.calls.clear();
    EXPECT_EQ(Ask(FUSE_SETXATTR, ValidBody(FUSE_SETXATTR)).error(), 0);
    EXPECT_EQ(Ask(FUSE_MKDIR, ValidBody(FUSE_MKDIR) + LabelExtension()).error(), 0);
    EXPECT_THAT(fs_.last_context.labels, IsEmpty());
    EXPECT_THAT(fs_.calls, ElementsAre("setxattr 42 user.x abc 0", "mkdir 42 name 0 0"));
  };
  constexpr uint32_t kShort = kLinuxFlags & ~uint32_t{FUSE_SETXATTR_EXT};
  // By a new INIT, by DESTROY, and by a reset of the device.
  SendInit(&dispatcher_, kShort, 0);
  expect_short();
  SendInit(&dispatcher_, kLinuxFlags, kNewerFlags2);
  EXPECT_EQ(Ask(FUSE_SETXATTR, SetXattrBody(0)).error(), 0);
  Ask(FUSE_DESTROY, "");
  SendInit(&dispatcher_, kShort, 0);
  expect_short();
  SendInit(&dispatcher_, kLinuxFlags, kNewerFlags2);
  dispatcher_.Reset();
  SendInit(&dispatcher_, kShort, 0);
  expect_short();
}

TEST(DispatcherSession, ResetEndsItOnce) {
  FakeFileSystem fs;
  Dispatcher dispatcher({.dax_window = true}, &fs, &fs, nullptr);
  SendInit(&dispatcher);
  fs.calls.clear();
  dispatcher.Reset();
  dispatcher.Reset();
  EXPECT_THAT(fs.calls, ElementsAre("destroy"));
}

}  // namespace
}  // namespace daxvmm::fuse
