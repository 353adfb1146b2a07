// What the tests of a window share: a window over real host memory, files, and a look at what a guest would see.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_TEST_SUPPORT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_TEST_SUPPORT_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "devices/virtio_fs/dax/window.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kChunk = uint64_t{2} << 20;
inline constexpr uint64_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
inline constexpr uint64_t kWrite = FUSE_SETUPMAPPING_FLAG_WRITE;

// A file in the test's directory, removed at the end.
class TestFile {
 public:
  explicit TestFile(const std::string& name);
  TestFile(const TestFile&) = delete;
  ~TestFile();

  // Every page is filled with its own letter, "a" for the first of file and so on, shifted by `shift`.
  void Fill(uint64_t pages, int shift = 0);
  void Truncate(uint64_t bytes);
  char At(uint64_t offset) const;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  UniqueFd fd_;
};

// Opens registered files, and answers errors on demand.
class FakeSource final : public fuse::MappingSource {
 public:
  fuse::Result<UniqueFd> OpenForMapping(NodeId node, bool writable) override;

  std::map<NodeId, std::string> paths;
  fuse::Errno error;
  std::function<void()> while_opening = [] {};
  int opens = 0;
};

class WindowTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = 4 * kChunk;

  void SetUp() override { Make(false); }
  void Make(bool read_only);

  // All in bytes; the errno, 0 for success.
  int SetupMapping(uint64_t node, uint64_t foffset, uint64_t len, uint64_t flags, uint64_t moffset,
                   uint64_t told_size = 0);
  int Remove(std::initializer_list<fuse_removemapping_one> entries);

  // What a load from the window would give; nullopt where it would fault. The kernel copies, so nothing is raised.
  std::optional<char> Load(uint64_t offset) const;
  // Whether a store to the window would work; it does not change the byte.
  bool CanStore(uint64_t offset) const;
  // Whether `reached` comes to hold of the statistics in good time.
  bool Await(absl::FunctionRef<bool(const WindowStats&)> reached) const {
    return window_->AwaitStats(reached, std::chrono::steady_clock::now() + std::chrono::seconds(20));
  }

  std::unique_ptr<memory::MappingWindow> memory_;
  FakeSource source_;
  std::unique_ptr<Window> window_;
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_WINDOW_TEST_SUPPORT_H_
