#include "devices/virtio_fs/dax/window_test_support.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace daxvmm::dax {

TestFile::TestFile(const std::string& name)
    : path_(::testing::TempDir() + name), fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
  EXPECT_TRUE(fd_.valid()) << path_;
}

TestFile::~TestFile() { unlink(path_.c_str()); }

void TestFile::Fill(uint64_t pages, int shift) {
  for (uint64_t page = 0; page < pages; ++page) {
    const std::string bytes(kPage, static_cast<char>('a' + (page + static_cast<uint64_t>(shift)) % 26));
    ASSERT_EQ(pwrite(fd_.get(), bytes.data(), kPage, static_cast<off_t>(page * kPage)), static_cast<ssize_t>(kPage));
  }
}

void TestFile::Truncate(uint64_t bytes) { ASSERT_EQ(ftruncate(fd_.get(), static_cast<off_t>(bytes)), 0); }

char TestFile::At(uint64_t offset) const {
  char byte = 0;
  EXPECT_EQ(pread(fd_.get(), &byte, 1, static_cast<off_t>(offset)), 1);
  return byte;
}

fuse::Result<UniqueFd> FakeSource::OpenForMapping(NodeId node, bool writable) {
  ++opens;
  while_opening();
  if (!error.ok()) return error;
  const auto path = paths.find(node);
  if (path == paths.end()) return fuse::Errno(ENOENT);
  UniqueFd fd(open(path->second.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!fd.valid()) return fuse::Errno::Last();
  return fd;
}

void WindowTest::Make(bool read_only) {
  window_.reset();
  absl::StatusOr<memory::MappingWindow> memory = memory::MappingWindow::Create(ByteCount(kSize));
  ASSERT_TRUE(memory.ok()) << memory.status();
  memory_ = std::make_unique<memory::MappingWindow>(*std::move(memory));
  absl::StatusOr<std::unique_ptr<Window>> window = Window::Create(memory_.get(), read_only);
  ASSERT_TRUE(window.ok()) << window.status();
  window_ = *std::move(window);
}

int WindowTest::SetupMapping(uint64_t node, uint64_t foffset, uint64_t len, uint64_t flags, uint64_t moffset,
                             uint64_t told_size) {
  const fuse_setupmapping_in in{.fh = ~uint64_t{0}, .foffset = foffset, .len = len, .flags = flags, .moffset = moffset};
  return window_->Setup(NodeId(node), in, source_, {.told_size = ByteCount(told_size)}).value();
}

int WindowTest::Remove(std::initializer_list<fuse_removemapping_one> entries) {
  const std::vector<fuse_removemapping_one> list(entries);
  return window_->Remove(NodeId(1), list).value();
}

std::optional<char> WindowTest::Load(uint64_t offset) const {
  char byte = 0;
  const iovec local{&byte, 1};
  const iovec remote{memory_->host() + offset, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1) return std::nullopt;
  return byte;
}

bool WindowTest::CanStore(uint64_t offset) const {
  std::optional<char> byte = Load(offset);
  if (!byte) return false;
  const iovec local{&*byte, 1};
  const iovec remote{memory_->host() + offset, 1};
  return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 1;
}

}  // namespace daxvmm::dax
