// Mounting a share, and its files through the rings, as Linux goes about it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using fakes::BytesOf;
using fakes::BytesOfName;
using fakes::Concatenate;

class FileTest : public DeviceFixture {};

TEST_F(FileTest, ShowsItselfAsLinuxLooksForIt) {
  Start();
  const std::vector<uint8_t> tag = driver_->ReadConfigBytes(0, 36);
  EXPECT_EQ(std::string(tag.begin(), tag.end()), std::string("share") + std::string(31, '\0'));
  EXPECT_EQ(driver_->ReadConfig32(36), 1u);
  const auto window = driver_->SharedMemory(0);
  ASSERT_TRUE(window.has_value());
  EXPECT_EQ(window->base, fakes::kWindowBase);
  EXPECT_EQ(window->size, kWindowSize);
  EXPECT_FALSE(driver_->SharedMemory(1).has_value());
}

TEST_F(FileTest, HasNoSharedMemoryWithoutAWindow) {
  Start({.window = false});
  EXPECT_FALSE(driver_->SharedMemory(0).has_value());
  EXPECT_EQ(device_->window(), nullptr);
  EXPECT_EQ(Init(kNoWindowMount).error, 0);
  EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kNever);
}

TEST_F(FileTest, InitGrantsPerFileDax) {
  Start();
  EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kNoSession);
  const FuseReply reply = Init(kPerFileMount);
  ASSERT_EQ(reply.payload.size(), sizeof(fuse_init_out));
  const auto out = reply.As<fuse_init_out>();
  EXPECT_EQ(out.flags & (1u << 30 | 1u << 26), 1u << 30 | 1u << 26);
  EXPECT_EQ(out.flags2 & 0x2u, 0x2u);
  EXPECT_EQ(out.map_alignment, 12);
  EXPECT_EQ(out.max_write, 1u << 20);
  EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kPerFile);
}

TEST_F(FileTest, NothingIsServedBeforeInit) {
  Start();
  EXPECT_EQ(Ask(FUSE_GETATTR, FUSE_ROOT_ID, BytesOf(fuse_getattr_in{})).error, EIO);
  EXPECT_EQ(Init(kPerFileMount).error, 0);
  EXPECT_EQ(Ask(FUSE_GETATTR, FUSE_ROOT_ID, BytesOf(fuse_getattr_in{})).error, 0);
}

TEST_F(FileTest, LooksUpReadsAndForgets) {
  Mount();
  MakeFile("hello.txt", "hello, guest");
  const fuse_entry_out entry = Lookup("hello.txt");
  EXPECT_EQ(entry.attr.size, 12u);
  EXPECT_EQ(entry.attr.mode & S_IFMT, static_cast<uint32_t>(S_IFREG));
  EXPECT_EQ(GetAttr(entry.nodeid).size, 12u);
  const uint64_t fh = Open(entry.nodeid, O_RDONLY);
  EXPECT_EQ(Read(entry.nodeid, fh, 0, 4096).Text(), "hello, guest");
  EXPECT_EQ(Read(entry.nodeid, fh, 7, 3).Text(), "gue");
  EXPECT_EQ(Read(entry.nodeid, fh, 12, 4096).Text(), "");
  fuse_release_in release = {};
  release.fh = fh;
  EXPECT_EQ(Ask(FUSE_RELEASE, entry.nodeid, BytesOf(release), 0).error, 0);
  Forget(entry.nodeid, 1);
  EXPECT_EQ(Ask(FUSE_GETATTR, entry.nodeid, BytesOf(fuse_getattr_in{})).error, ENOENT);
  EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName("missing")).error, ENOENT);
}

TEST_F(FileTest, CreatesWritesRenamesAndRemoves) {
  Mount();
  fuse_create_in create = {};
  create.flags = O_RDWR | O_CREAT | O_EXCL;
  create.mode = S_IFREG | 0640;
  const FuseReply created = Ask(FUSE_CREATE, FUSE_ROOT_ID, Concatenate(BytesOf(create), BytesOfName("new")));
  ASSERT_EQ(created.error, 0);
  const auto entry = created.As<fuse_entry_out>();
  const auto open = created.As<fuse_open_out>(sizeof(fuse_entry_out));
  // More than one page, so that the data spans buffers.
  const std::string data(300000, 'd');
  EXPECT_EQ(Write(entry.nodeid, open.fh, 0, data).As<fuse_write_out>().size, data.size());
  EXPECT_EQ(HostContent("new"), data);
  EXPECT_EQ(GetAttr(entry.nodeid).size, data.size());

  fuse_setattr_in shrink = {};
  shrink.valid = FATTR_SIZE;
  shrink.size = 5;
  EXPECT_EQ(Ask(FUSE_SETATTR, entry.nodeid, BytesOf(shrink)).As<fuse_attr_out>().attr.size, 5u);
  EXPECT_EQ(Ask(FUSE_RENAME2, FUSE_ROOT_ID,
                Concatenate(Concatenate(BytesOf(fuse_rename2_in{FUSE_ROOT_ID, 0, 0}), BytesOfName("new")),
                            BytesOfName("old")),
                0)
                .error,
            0);
  EXPECT_EQ(HostContent("old"), "ddddd");
  EXPECT_EQ(Ask(FUSE_UNLINK, FUSE_ROOT_ID, BytesOfName("old"), 0).error, 0);
  EXPECT_NE(access(HostPath("old").c_str(), F_OK), 0);
  // Unlinked, and still open.
  EXPECT_EQ(Read(entry.nodeid, open.fh, 0, 100).Text(), "ddddd");
}

TEST_F(FileTest, MakesDirectoriesAndLinks) {
  Mount();
  const FuseReply made = Ask(FUSE_MKDIR, FUSE_ROOT_ID, Concatenate(BytesOf(fuse_mkdir_in{0755, 0}), BytesOfName("d")));
  ASSERT_EQ(made.error, 0);
  const uint64_t directory = made.As<fuse_entry_out>().nodeid;
  MakeFile("d/file", "inside");
  const fuse_entry_out file = Lookup("file", directory);
  const FuseReply linked = Ask(FUSE_LINK, directory, Concatenate(BytesOf(fuse_link_in{file.nodeid}), BytesOfName("l")));
  EXPECT_EQ(linked.As<fuse_entry_out>().nodeid, file.nodeid);
  EXPECT_EQ(linked.As<fuse_entry_out>().attr.nlink, 2u);
  const FuseReply symlink = Ask(FUSE_SYMLINK, directory, Concatenate(BytesOfName("s"), BytesOfName("../anything")));
  EXPECT_EQ(Ask(FUSE_READLINK, symlink.As<fuse_entry_out>().nodeid, {}).Text(), "../anything");
  EXPECT_EQ(Ask(FUSE_RMDIR, FUSE_ROOT_ID, BytesOfName("d"), 0).error, ENOTEMPTY);
}

TEST_F(FileTest, ListsADirectoryOfManyPages) {
  Mount();
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) {
    names.push_back("file-with-a-name-" + std::to_string(1000 + i));
    MakeFile(names.back(), "x");
  }
  std::vector<std::string> listed;
  for (const PlusEntry& entry : ReadDirPlus(FUSE_ROOT_ID)) {
    if (entry.name == "." || entry.name == "..") {
      EXPECT_EQ(entry.entry.nodeid, 0u) << "'.' and '..' take no reference";
      continue;
    }
    listed.push_back(entry.name);
    EXPECT_EQ(entry.entry.attr.size, 1u);
    // Each entry counts as one look-up.
    Forget(entry.entry.nodeid, 1);
  }
  std::ranges::sort(listed);
  EXPECT_EQ(listed, names);
  EXPECT_TRUE(device_->ListFiles().empty());
}

TEST_F(FileTest, AReadOnlyShareCannotBeChanged) {
  Mount(kPerFileMount, {.read_only = true});
  MakeFile("file", "x");
  const fuse_entry_out file = Lookup("file");
  EXPECT_EQ(Ask(FUSE_OPEN, file.nodeid, BytesOf(fuse_open_in{O_RDWR, 0})).error, EROFS);
  EXPECT_EQ(Ask(FUSE_UNLINK, FUSE_ROOT_ID, BytesOfName("file"), 0).error, EROFS);
  EXPECT_EQ(SetupMapping(file.nodeid, 0, 0, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE).error, EROFS);
  EXPECT_EQ(SetupMapping(file.nodeid, 0, 0, FUSE_SETUPMAPPING_FLAG_READ).error, 0);
}

TEST_F(FileTest, ServesManyRequestsThatWaitInTheRing) {
  Mount();
  MakeFile("file", "content");
  const uint64_t node = Lookup("file").nodeid;
  fuse_in_header header = {};
  header.len = sizeof(header) + sizeof(fuse_getattr_in);
  header.opcode = FUSE_GETATTR;
  header.nodeid = node;
  constexpr size_t kRequests = 100;
  for (size_t i = 0; i < kRequests; ++i) {
    header.unique = 1000 + 2 * i;
    ASSERT_TRUE(driver_->queue(1).Add(
        {.out = BytesOf(header, fuse_getattr_in{}), .in_sizes = {16, sizeof(fuse_attr_out)}, .indirect = true}));
  }
  driver_->PublishAndNotify(1);
  const std::vector<fakes::Completion> completions = driver_->Wait(1, kRequests);
  ASSERT_EQ(completions.size(), kRequests);
  for (const fakes::Completion& completion : completions) EXPECT_EQ(completion.written, 16 + sizeof(fuse_attr_out));
  EXPECT_EQ(device_->request_count(FUSE_GETATTR), kRequests);
}

TEST_F(FileTest, ListsLiveFilesForTheOperator) {
  Mount();
  MakeFile("large", KiB(64));
  ASSERT_EQ(mkdir(HostPath("d").c_str(), 0755), 0);
  MakeFile("d/small", "x");
  const uint64_t large = Lookup("large").nodeid;
  Lookup("small", Lookup("d").nodeid);
  const uint64_t fh = Open(large, O_RDONLY);
  Read(large, fh, 0, 100);
  ASSERT_EQ(SetupMapping(large, 0, 0, FUSE_SETUPMAPPING_FLAG_READ).error, 0);

  const std::vector<LiveFile> files = device_->ListFiles();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "d/small");
  EXPECT_FALSE(files[0].report.policy.dax);
  EXPECT_EQ(files[0].report.told_dax, false);
  EXPECT_FALSE(files[0].open);
  EXPECT_EQ(files[0].use.chunks, 0u);
  EXPECT_EQ(files[1].path, "large");
  EXPECT_EQ(files[1].size, KiB(64));
  EXPECT_TRUE(files[1].report.policy.dax);
  EXPECT_EQ(files[1].report.told_dax, true);
  EXPECT_EQ(files[1].report.told_generation, 1u);
  EXPECT_TRUE(files[1].open);
  EXPECT_EQ(files[1].use.chunks, 1u);
  EXPECT_EQ(files[1].report.setup_mappings, 1u);
  EXPECT_EQ(files[1].reads, 1u);
  EXPECT_EQ(files[1].writes, 0u);
}

TEST(VirtioFsDeviceTest, RefusesWhatItCannotBe) {
  const dax::PolicyStore policy(dax::DefaultPolicy());
  VirtioFsOptions good;
  good.tag = "t";
  good.share.path = testing::TempDir();
  ASSERT_TRUE(VirtioFsDevice::Create(good, &policy).ok());

  VirtioFsOptions bad = good;
  bad.tag = "";
  EXPECT_EQ(VirtioFsDevice::Create(bad, &policy).status().code(), absl::StatusCode::kInvalidArgument);
  bad = good;
  bad.num_request_queues = 0;
  EXPECT_EQ(VirtioFsDevice::Create(bad, &policy).status().code(), absl::StatusCode::kInvalidArgument);
  bad = good;
  bad.queue_size = 1000;
  EXPECT_EQ(VirtioFsDevice::Create(bad, &policy).status().code(), absl::StatusCode::kInvalidArgument);
  bad = good;
  bad.share.path = testing::TempDir() + "/does-not-exist";
  EXPECT_EQ(VirtioFsDevice::Create(bad, &policy).status().code(), absl::StatusCode::kNotFound);
  auto window = memory::MappingWindow::Create(MiB(2));
  ASSERT_TRUE(window.ok());
  bad = good;
  bad.window = WindowPlace{&*window, GuestPhysAddr(0x1'0010'0000)};
  EXPECT_EQ(VirtioFsDevice::Create(bad, &policy).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace daxvmm::virtio_fs
