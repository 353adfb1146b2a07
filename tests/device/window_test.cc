// The DAX window as the guest uses it, seen from the host's side of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using fakes::BytesOf;

constexpr uint64_t kChunk = kDaxRangeSize.raw();
constexpr uint64_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
constexpr uint64_t kReadWrite = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE;

class WindowTest : public DeviceFixture {
 protected:
  GuestPhysAddr InWindow(uint64_t offset) const { return fakes::kWindowBase + ByteCount(offset); }
};

TEST_F(WindowTest, ShowsTheFilesBytesUntilRemoved) {
  Mount();
  MakeFile("file", std::string(kChunk, 'a') + std::string(4096, 'b'));
  const uint64_t node = Lookup("file").nodeid;
  EXPECT_FALSE(WindowBytes(0, 1).has_value()) << "nothing is mapped yet";
  // As Linux sends it: the whole range, though the file ends before.
  ASSERT_EQ(SetupMapping(node, kChunk, 3 * kChunk, kRead).error, 0);
  EXPECT_EQ(WindowBytes(3 * kChunk, 3), "bbb");
  EXPECT_FALSE(WindowBytes(3 * kChunk - 1, 1).has_value());
  EXPECT_EQ(device_->window()->stats().mapped_chunks, 1u);

  ASSERT_EQ(RemoveMapping(node, {{.moffset = 3 * kChunk, .len = kChunk}}).error, 0);
  EXPECT_FALSE(WindowBytes(3 * kChunk, 1).has_value()) << "the bytes are still there";
  EXPECT_EQ(device_->window()->stats().mapped_chunks, 0u);
  EXPECT_EQ(RemoveMapping(node, {{.moffset = 3 * kChunk, .len = kChunk}}).error, 0) << "removing is idempotent";
}

TEST_F(WindowTest, StoresReachTheFileAndWritesTheWindow) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, kChunk, kReadWrite).error, 0);
  std::memcpy(window_->host() + kChunk, "store", 5);
  EXPECT_EQ(HostContent("file").substr(0, 6), "storex");
  const uint64_t fh = Open(node, O_RDWR);
  EXPECT_EQ(Write(node, fh, 1, "WRITE").error, 0);
  EXPECT_EQ(WindowBytes(kChunk, 7), "sWRITEx");
}

// A store through the mapping would leave privileges that a write clears.
TEST_F(WindowTest, AWritableMappingClearsPrivilegesFirst) {
  Mount(kAlwaysMount);
  MakeFile("file", KiB(64));
  ASSERT_EQ(chmod(HostPath("file").c_str(), S_ISUID | S_ISGID | 0755), 0);
  const uint32_t capability[] = {0x02000001, 1u << 13, 0, 0, 0};
  const bool capable =
      setxattr(HostPath("file").c_str(), "security.capability", capability, sizeof(capability), 0) == 0;
  const auto mode = [this] {
    struct stat st = {};
    EXPECT_EQ(stat(HostPath("file").c_str(), &st), 0);
    return st.st_mode & 07777;
  };
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, kRead).error, 0);
  EXPECT_EQ(mode(), mode_t{S_ISUID | S_ISGID | 0755}) << "reading clears nothing";
  caller_ = 0;
  ASSERT_EQ(SetupMapping(node, 0, 0, kReadWrite).error, 0);
  EXPECT_EQ(mode(), mode_t{S_ISUID | S_ISGID | 0755}) << "root's writes leave these bits";
  caller_ = 1234;
  ASSERT_EQ(SetupMapping(node, 0, 0, kReadWrite).error, 0);
  EXPECT_EQ(mode(), mode_t{0755});
  if (capable) {
    EXPECT_LT(getxattr(HostPath("file").c_str(), "security.capability", nullptr, 0), 0);
  }
}

TEST_F(WindowTest, RefusesWhatLiesOutside) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  const uint64_t size = kWindowSize.raw();
  EXPECT_EQ(SetupMapping(node, 0, size, kRead).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, size - kChunk, kRead, 2 * kChunk).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, ~uint64_t{0} & ~(kChunk - 1), kRead).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead, 0).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, 0, kRead, ~uint64_t{0} & ~uint64_t{4095}).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 123, 0, kRead).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, ~uint64_t{4095}, 0, kRead).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, 0, 0).error, EINVAL);
  EXPECT_EQ(SetupMapping(node, 0, 0, 4).error, EINVAL);
  EXPECT_EQ(SetupMapping(FUSE_ROOT_ID, 0, 0, kRead).error, EINVAL) << "a directory";
  EXPECT_EQ(SetupMapping(4711, 0, 0, kRead).error, ENOENT);
  EXPECT_EQ(RemoveMapping(node, {{.moffset = size, .len = kChunk}}).error, EINVAL);
  EXPECT_EQ(RemoveMapping(node, {{.moffset = 0, .len = ~uint64_t{0}}}).error, EINVAL);
  EXPECT_EQ(device_->window()->stats().mapped_chunks, 0u);
  ASSERT_EQ(SetupMapping(node, 0, size - kChunk, kRead).error, 0);
  // One bad entry spoils the request before the good one is applied.
  EXPECT_EQ(RemoveMapping(node, {{.moffset = size - kChunk, .len = kChunk}, {.moffset = 1, .len = 1}}).error, EINVAL);
  EXPECT_EQ(WindowBytes(size - kChunk, 1), "x");
}

TEST_F(WindowTest, DestroyClearsIt) {
  Mount();
  MakeFile("file", KiB(64));
  ASSERT_EQ(SetupMapping(Lookup("file").nodeid, 0, 0, kRead).error, 0);
  EXPECT_TRUE(WindowBytes(0, 1).has_value());
  EXPECT_EQ(Ask(FUSE_DESTROY, 0, {}, 0).error, 0);
  EXPECT_FALSE(WindowBytes(0, 1).has_value());
  EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kNoSession);
  EXPECT_TRUE(device_->ListFiles().empty());
}

TEST_F(WindowTest, ANewInitClearsIt) {
  Mount();
  MakeFile("file", KiB(64));
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, kRead).error, 0);
  ASSERT_EQ(Init(kPerFileMount).error, 0);
  EXPECT_FALSE(WindowBytes(0, 1).has_value());
  EXPECT_EQ(Ask(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{})).error, ENOENT);
}

TEST_F(WindowTest, ResetClearsIt) {
  Mount();
  MakeFile("file", KiB(64));
  ASSERT_EQ(SetupMapping(Lookup("file").nodeid, 0, 0, kRead).error, 0);
  ASSERT_TRUE(driver_->Reset().ok());
  EXPECT_FALSE(WindowBytes(0, 1).has_value());
  EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kNoSession);
  ASSERT_TRUE(driver_->Probe().ok());
  ASSERT_EQ(Init(kPerFileMount).error, 0);
  EXPECT_EQ(SetupMapping(Lookup("file").nodeid, 0, 0, kRead).error, 0);
  EXPECT_EQ(WindowBytes(0, 1), "x");
}

TEST_F(WindowTest, HoldsTheBuffersOfReadsAndWrites) {
  Mount();
  MakeFile("mapped", std::string(KiB(64).raw(), 'm'));
  MakeFile("plain", std::string(KiB(64).raw(), 'p'));
  const uint64_t mapped = Lookup("mapped").nodeid;
  const uint64_t plain = Lookup("plain").nodeid;
  ASSERT_EQ(SetupMapping(mapped, 0, 0, kReadWrite).error, 0);
  const uint64_t fh = Open(plain, O_RDWR);

  // O_DIRECT read(2) of one file into a mapping of another.
  fuse_read_in read = {};
  read.fh = fh;
  read.size = 8192;
  const FuseReply filled =
      AskWithBuffers(FUSE_READ, plain, BytesOf(read), {{InWindow(4096), 8192, /*device_writes=*/true}});
  EXPECT_EQ(filled.error, 0);
  EXPECT_EQ(filled.payload.size(), 8192u);
  EXPECT_EQ(HostContent("mapped").substr(4095, 8194), "m" + std::string(8192, 'p') + "m");

  // write(2) from a mapping.
  fuse_write_in write = {};
  write.fh = fh;
  write.offset = 100;
  write.size = 4096;
  const FuseReply written = AskWithBuffers(FUSE_WRITE, plain, BytesOf(write), {{InWindow(16384), 4096, false}});
  EXPECT_EQ(written.error, 0);
  EXPECT_EQ(written.As<fuse_write_out>().size, 4096u);
  EXPECT_EQ(HostContent("plain").substr(99, 4098), "p" + std::string(4096, 'm') + "p");
}

TEST_F(WindowTest, AHoleAsABufferIsAnErrorAndNoMore) {
  Mount();
  MakeFile("plain", std::string(KiB(64).raw(), 'p'));
  const uint64_t plain = Lookup("plain").nodeid;
  const uint64_t fh = Open(plain, O_RDWR);
  fuse_read_in read = {};
  read.fh = fh;
  read.size = 4096;
  EXPECT_EQ(AskWithBuffers(FUSE_READ, plain, BytesOf(read), {{InWindow(0), 4096, true}}).error, EFAULT);
  fuse_write_in write = {};
  write.fh = fh;
  write.size = 4096;
  EXPECT_EQ(AskWithBuffers(FUSE_WRITE, plain, BytesOf(write), {{InWindow(0), 4096, false}}).error, EFAULT);
  // Names and arguments are copied, not read by the kernel: that way, too, a hole is only an error.
  EXPECT_EQ(AskWithBuffers(FUSE_LOOKUP, FUSE_ROOT_ID, {}, {{InWindow(0), 6, false}}).error, EFAULT);
  EXPECT_EQ(HostContent("plain"), std::string(KiB(64).raw(), 'p'));
  EXPECT_FALSE(driver_->needs_reset());
  EXPECT_EQ(Read(plain, fh, 0, 3).Text(), "ppp");
}

// The guest looked the file up before the host truncated it, and maps it after.
TEST_F(WindowTest, WhatTheGuestBelievesInIsZerosFromTheStart) {
  Mount();
  MakeFile("file", std::string(KiB(64).raw(), 'x'));
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(truncate(HostPath("file").c_str(), 4096), 0);
  ASSERT_EQ(SetupMapping(node, 0, 0, kReadWrite).error, 0);
  EXPECT_EQ(WindowBytes(4095, 2), std::string("x\0", 2));
  EXPECT_EQ(WindowBytes(KiB(64).raw() - 1, 1), std::string(1, '\0'));
  EXPECT_FALSE(WindowBytes(KiB(64).raw(), 1).has_value()) << "nobody was told of a file that long";
  const std::vector<dax::TableEntry> mappings = device_->window()->Mappings();
  ASSERT_EQ(mappings.size(), 1u);
  EXPECT_EQ(mappings[0].policy_generation, policy_->Get()->generation);
  EXPECT_EQ(mappings[0].protection, memory::Protection::kReadWrite);
}

TEST_F(WindowTest, PagesAreTheFilesAgainBeforeTheGuestHearsOfGrowth) {
  Mount();
  MakeFile("file", std::string(KiB(64).raw(), 'x'));
  const uint64_t node = Lookup("file").nodeid;
  const uint64_t fh = Open(node, O_RDWR);
  ASSERT_EQ(SetupMapping(node, 0, 0, kReadWrite).error, 0);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(truncate(HostPath("file").c_str(), 0), 0);
    (void)device_->window()->LookAtFiles();
    ASSERT_EQ(WindowBytes(8192, 1), std::string(1, '\0')) << "round " << round;
    // By the guest's own write past the end that it knows of, and by the host's, which a reply tells of.
    if (round % 2 == 0) {
      ASSERT_EQ(GetAttr(node).size, 0u);
      ASSERT_EQ(Write(node, fh, 8192, "grown").error, 0);
    } else {
      MakeFile("file", std::string(8192, '.') + "grown");
      ASSERT_EQ(GetAttr(node).size, 8197u);
    }
    ASSERT_EQ(WindowBytes(8192, 5), "grown") << "round " << round;
  }
}

// The device itself never writes through a repair page, and reads from one what the guest would.
TEST_F(WindowTest, RepairPagesAsBuffers) {
  Mount();
  MakeFile("mapped", std::string(KiB(64).raw(), 'm'));
  MakeFile("plain", std::string(KiB(64).raw(), 'p'));
  const uint64_t mapped = Lookup("mapped").nodeid;
  const uint64_t plain = Lookup("plain").nodeid;
  ASSERT_EQ(SetupMapping(mapped, 0, 0, kReadWrite).error, 0);
  ASSERT_EQ(truncate(HostPath("mapped").c_str(), 4096), 0);
  (void)device_->window()->LookAtFiles();
  const uint64_t fh = Open(plain, O_RDWR);
  fuse_read_in read = {};
  read.fh = fh;
  read.size = 4096;
  EXPECT_EQ(AskWithBuffers(FUSE_READ, plain, BytesOf(read), {{InWindow(8192), 4096, true}}).error, EFAULT);
  fuse_write_in write = {};
  write.fh = fh;
  write.size = 4096;
  EXPECT_EQ(AskWithBuffers(FUSE_WRITE, plain, BytesOf(write), {{InWindow(8192), 4096, false}}).error, 0);
  EXPECT_EQ(HostContent("plain").substr(0, 4097), std::string(4096, '\0') + "p");
  EXPECT_EQ(HostContent("mapped"), std::string(4096, 'm'));
}

TEST_F(WindowTest, AReplyHeaderInAHoleIsDroppedAndTheQueueGoesOn) {
  Mount();
  fuse_in_header header = {};
  header.len = sizeof(header);
  header.opcode = FUSE_STATFS;
  header.nodeid = FUSE_ROOT_ID;
  const GuestPhysAddr out = ram_->Allocate(ByteCount(sizeof(header)));
  ram_->Write(out, BytesOf(header));
  ASSERT_TRUE(driver_->queue(1).AddBuffers(
      std::vector<fakes::Buffer>{{out, sizeof(header), false}, {InWindow(0), 4096, true}}));
  driver_->PublishAndNotify(1);
  const std::vector<fakes::Completion> completions = driver_->Wait(1, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].written, 0u);
  EXPECT_EQ(Ask(FUSE_STATFS, FUSE_ROOT_ID, {}).error, 0);
}

}  // namespace
}  // namespace daxvmm::virtio_fs
