// What the guest is told that it may cache, in each mode.
#include <sys/stat.h>
#include <utime.h>

#include <algorithm>
#include <string>
#include <vector>

#include "devices/virtio_fs/fs/share_test_util.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

class Names : public fuse::DirSink {
 public:
  explicit Names(size_t most) : most_(most) {}
  bool Fits(size_t) const override { return names.size() < most_; }
  void Add(absl::string_view name, uint64_t, uint32_t, uint64_t next_offset, const fuse_entry_out* entry) override {
    names.emplace_back(name);
    offset = next_offset;
    if (entry != nullptr && entry->nodeid != 0) nodes.emplace_back(entry->nodeid);
  }
  std::vector<std::string> names;
  std::vector<NodeId> nodes;
  uint64_t offset = 0;

 private:
  const size_t most_;
};

class PassthroughCacheTest : public ShareTest {
 protected:
  // A file whose last change is long past: what an open learns of it may be relied on.
  void SettledFile(const std::string& name) {
    HostFile(name);
    const utimbuf old = {1000, 1000};
    ASSERT_EQ(utime(Host(name).c_str(), &old), 0);
    // The ctime is now's: until it is settled, no open keeps anything.
    struct stat st = HostStat(name);
    timespec now;
    do {
      clock_gettime(CLOCK_REALTIME, &now);
    } while (now.tv_sec - st.st_ctim.tv_sec < 1 ||
             (now.tv_sec - st.st_ctim.tv_sec == 1 && now.tv_nsec < st.st_ctim.tv_nsec));
  }
  uint32_t OpenFlags(NodeId node, uint32_t flags = O_RDONLY) {
    fuse_open_in in = {};
    in.flags = flags;
    const auto open = fs_->Open(kRootCaller, node, in);
    EXPECT_TRUE(open.ok());
    fuse_release_in release = {};
    release.fh = open.ok() ? open->fh : 0;
    EXPECT_EQ(fs_->Release(kRootCaller, node, release), Errno());
    return open.ok() ? open->open_flags : 0;
  }
};

TEST_F(PassthroughCacheTest, OpenFlagsOfEachMode) {
  SettledFile("f");
  struct Row {
    CacheMode mode;
    uint32_t first, second;  // of two opens, with no change in between
  };
  for (const Row& row :
       {Row{CacheMode::kAuto, 0, FOPEN_KEEP_CACHE}, Row{CacheMode::kAlways, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE},
        Row{CacheMode::kNever, FOPEN_DIRECT_IO, FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE},
        Row{CacheMode::kMetadata, FOPEN_DIRECT_IO, FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE}}) {
    SCOPED_TRACE(static_cast<int>(row.mode));
    Serve({.cache = row.mode});
    const NodeId node = Look("f");
    EXPECT_EQ(OpenFlags(node), row.first);
    EXPECT_EQ(OpenFlags(node), row.second);
  }
}

TEST_F(PassthroughCacheTest, TimeoutsOfEachMode) {
  HostFile("f");
  struct Row {
    ShareOptions options;
    uint64_t entry, attr;
  };
  const uint64_t day = 24 * 60 * 60;
  for (const Row& row : {Row{{.cache = CacheMode::kAuto}, 1, 1}, Row{{.cache = CacheMode::kAlways}, day, day},
                         Row{{.cache = CacheMode::kNever}, 0, 0}, Row{{.cache = CacheMode::kMetadata}, day, day},
                         Row{{.cache = CacheMode::kNever, .attr_timeout = absl::Seconds(7)}, 0, 7},
                         Row{{.entry_timeout = absl::Seconds(9)}, 9, 1}}) {
    Serve(row.options);
    const auto entry = fs_->Lookup(kRootCaller, kRootNode, "f");
    ASSERT_TRUE(entry.ok());
    EXPECT_EQ(entry->entry_valid, row.entry);
    EXPECT_EQ(entry->attr_valid, row.attr);
    const auto attr = fs_->GetAttr(kRootCaller, NodeId(entry->nodeid), std::nullopt);
    ASSERT_TRUE(attr.ok());
    EXPECT_EQ(attr->attr_valid, row.attr);
  }
}

TEST_F(PassthroughCacheTest, FlagsOfInitOfEachMode) {
  constexpr uint64_t kAll = uint64_t{FUSE_AUTO_INVAL_DATA} | FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT |
                            fuse::kDirectIoAllowMmap | FUSE_WRITEBACK_CACHE;
  struct Row {
    ShareOptions options;
    uint64_t flags;
  };
  for (const Row& row : {Row{{.cache = CacheMode::kAuto}, FUSE_AUTO_INVAL_DATA},
                         Row{{.cache = CacheMode::kAlways}, uint64_t{FUSE_CACHE_SYMLINKS} | FUSE_NO_OPENDIR_SUPPORT},
                         Row{{.cache = CacheMode::kNever}, FUSE_AUTO_INVAL_DATA | fuse::kDirectIoAllowMmap},
                         Row{{.cache = CacheMode::kMetadata}, fuse::kDirectIoAllowMmap},
                         Row{{.writeback = true}, uint64_t{FUSE_AUTO_INVAL_DATA} | FUSE_WRITEBACK_CACHE}}) {
    Serve(row.options);
    EXPECT_EQ(fs_->optional_init_flags() & kAll, row.flags);
  }
}

TEST_F(PassthroughCacheTest, DirectoriesNeedNoOpenWhereEverythingIsCached) {
  for (int i = 0; i < 100; ++i) HostFile("f" + std::to_string(i));
  Serve({.cache = CacheMode::kAlways});
  EXPECT_EQ(fs_->OpenDir(kRootCaller, kRootNode, {}).error(), Errno(ENOSYS));
  for (const bool plus : {false, true}) {
    std::vector<std::string> all;
    fuse_read_in in = {};
    in.size = 4096;
    for (;;) {
      Names names(7);
      ASSERT_EQ(fs_->ReadDir(kRootCaller, kRootNode, in, plus, &names), Errno());
      if (names.names.empty()) break;
      all.insert(all.end(), names.names.begin(), names.names.end());
      for (const NodeId node : names.nodes) fs_->Forget(node, 1);
      in.offset = names.offset;
    }
    EXPECT_EQ(all.size(), 102u);
    std::ranges::sort(all);
    EXPECT_EQ(std::ranges::adjacent_find(all), all.end()) << "an entry came twice";
  }
  EXPECT_EQ(fs_->FsyncDir(kRootCaller, kRootNode, {}), Errno());
  const NodeId file = Look("f1");
  Names none(7);
  EXPECT_EQ(fs_->ReadDir(kRootCaller, file, {}, false, &none), Errno(ENOTDIR));
  EXPECT_EQ(fs_->ReadDir(kRootCaller, NodeId(4711), {}, false, &none), Errno(ENOENT));
  EXPECT_EQ(fs_->handle_count(), 0u);
}

TEST_F(PassthroughCacheTest, AClientThatWasNotGrantedItOpensDirectories) {
  Serve({.cache = CacheMode::kAlways});
  fs_->Init(0);
  const auto open = fs_->OpenDir(kRootCaller, kRootNode, {});
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(open->open_flags, uint32_t{FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR});
  Names names(7);
  EXPECT_EQ(fs_->ReadDir(kRootCaller, kRootNode, {}, false, &names), Errno(EBADF)) << "without a handle";
  EXPECT_EQ(fs_->ReleaseDir(kRootCaller, kRootNode, FileHandle(open->fh)), Errno());
}

// A client that collects writes fills up pages by reading, and writes them back at offsets of its own.
TEST_F(PassthroughCacheTest, WritebackReadsThroughHandlesForWriting) {
  HostFile("f");
  ASSERT_EQ(truncate(Host("f").c_str(), 8192), 0);
  for (const bool writeback : {false, true}) {
    Serve({.writeback = writeback});
    const NodeId node = Look("f");
    fuse_open_in in = {};
    in.flags = O_WRONLY | O_APPEND;
    const auto open = fs_->Open(kRootCaller, node, in);
    ASSERT_TRUE(open.ok());
    char page[16];
    memory::IoVecs vecs;
    vecs.iov = {{page, sizeof(page)}};
    memory::IovWriter out(vecs);
    fuse_read_in read = {};
    read.fh = open->fh;
    read.size = sizeof(page);
    EXPECT_EQ(fs_->Read(kRootCaller, node, read, &out).error(), writeback ? Errno() : Errno(EBADF));

    memory::IovReader data(vecs);
    fuse_write_in write = {};
    write.fh = open->fh;
    write.offset = 4096;
    write.size = sizeof(page);
    write.flags = O_WRONLY | O_APPEND;
    ASSERT_TRUE(fs_->Write(kRootCaller, node, write, &data).ok());
    EXPECT_EQ(HostStat("f").st_size, writeback ? 8192 : 8192 + 16);
    ASSERT_EQ(truncate(Host("f").c_str(), 8192), 0);
  }
  Serve({.writeback = true});
  const auto made = fs_->Create(kRootCaller, kRootNode, "new", CreateIn(0644, 0, O_WRONLY | O_CREAT));
  ASSERT_TRUE(made.ok());
  char page[16];
  memory::IoVecs vecs;
  vecs.iov = {{page, sizeof(page)}};
  memory::IovWriter out(vecs);
  fuse_read_in read = {};
  read.fh = made->open.fh;
  read.size = sizeof(page);
  EXPECT_TRUE(fs_->Read(kRootCaller, NodeId(made->entry.nodeid), read, &out).ok());
}

}  // namespace
}  // namespace daxvmm::fs
