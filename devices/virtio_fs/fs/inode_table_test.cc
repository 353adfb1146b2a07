#include "devices/virtio_fs/fs/inode_table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "devices/virtio_fs/fs/handle_table.h"
#include "devices/virtio_fs/fs/safe_open.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

class InodeTableTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/inode_table.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    table_ = NewTable(1000);
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0); }

  std::unique_ptr<InodeTable> NewTable(uint64_t max_nodes, uint64_t max_descriptors = 5000) {
    UniqueFd root = *OpenShareRoot(dir_);
    const struct statx stx = *StatInode(root.get());
    return std::make_unique<InodeTable>(
        std::move(root), stx,
        InodeLimits{.max_nodes = max_nodes, .max_descriptors = max_descriptors, .max_idle_descriptors = 5000});
  }
  void Touch(const std::string& name) {
    const UniqueFd fd(open((dir_ + "/" + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    ASSERT_TRUE(fd.valid());
  }
  fuse::Result<InodeTable::Acquired> Acquire(InodeTable& table, const std::string& name) {
    auto fd = OpenChild(table.root_fd(), name);
    if (!fd.ok()) return fd.error();
    auto stx = StatInode((*fd).get());
    if (!stx.ok()) return stx.error();
    return table.Acquire(*std::move(fd), *stx, kRootNode, name);
  }
  std::vector<std::string> Paths() {
    std::vector<std::string> paths;
    for (const auto& named : table_->List()) paths.push_back(named.path);
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  std::string dir_;
  std::unique_ptr<InodeTable> table_;
};

TEST_F(InodeTableTest, CountsAreExact) {
  Touch("a");
  const auto first = Acquire(*table_, "a");
  const auto second = Acquire(*table_, "a");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(first->first);
  EXPECT_FALSE(second->first);
  const NodeId id = first->inode->id();
  EXPECT_EQ(second->inode->id(), id);
  EXPECT_FALSE(table_->Forget(id, 1).last);
  EXPECT_NE(table_->Find(id), nullptr);
  EXPECT_TRUE(table_->Forget(id, 1).last);
  EXPECT_EQ(table_->Find(id), nullptr);
  EXPECT_EQ(table_->over_forgets(), 0u);
  // The same file again: an id that was never used.
  const auto third = Acquire(*table_, "a");
  EXPECT_TRUE(third->first);
  EXPECT_NE(third->inode->id(), id);
}

TEST_F(InodeTableTest, OverForgetIsCountedAndTakesWhatThereIs) {
  Touch("a");
  const NodeId id = Acquire(*table_, "a")->inode->id();
  EXPECT_TRUE(table_->Forget(id, 1000).last);
  EXPECT_EQ(table_->over_forgets(), 1u);
  EXPECT_FALSE(table_->Forget(id, 1).last);
  EXPECT_FALSE(table_->Forget(NodeId(987654), 1).last);
  EXPECT_EQ(table_->over_forgets(), 3u);
}

TEST_F(InodeTableTest, TheRootStays) {
  EXPECT_FALSE(table_->Forget(kRootNode, UINT64_MAX).last);
  EXPECT_NE(table_->Find(kRootNode), nullptr);
  EXPECT_TRUE(table_->Clear().empty());
  EXPECT_NE(table_->Find(kRootNode), nullptr);
}

TEST_F(InodeTableTest, HardLinksAreOneNode) {
  Touch("a");
  ASSERT_EQ(link((dir_ + "/a").c_str(), (dir_ + "/b").c_str()), 0);
  EXPECT_EQ(Acquire(*table_, "a")->inode->id(), Acquire(*table_, "b")->inode->id());
}

TEST_F(InodeTableTest, AFileThatReplacesAnotherIsAnotherNode) {
  Touch("a");
  const NodeId old_id = Acquire(*table_, "a")->inode->id();
  ASSERT_EQ(unlink((dir_ + "/a").c_str()), 0);
  Touch("a");  // ext4 gives the inode number out again as soon as it is free; the held descriptor pins it
  EXPECT_NE(Acquire(*table_, "a")->inode->id(), old_id);
}

TEST_F(InodeTableTest, FullTableIsEnfile) {
  auto table = NewTable(3);
  for (const char* name : {"a", "b", "c"}) Touch(name);
  EXPECT_TRUE(Acquire(*table, "a").ok());
  const auto b = Acquire(*table, "b");
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(Acquire(*table, "c").error(), fuse::Errno(ENFILE));
  EXPECT_TRUE(Acquire(*table, "a").ok()) << "what is there already needs no room";
  table->Forget(b->inode->id(), 1);
  EXPECT_TRUE(Acquire(*table, "c").ok());
}

TEST_F(InodeTableTest, ARequestKeepsWhatAForgetTakes) {
  Touch("a");
  const auto held = Acquire(*table_, "a");
  EXPECT_TRUE(table_->Forget(held->inode->id(), 1).last);
  EXPECT_TRUE(StatInode(held->inode.fd()).ok());
}

TEST_F(InodeTableTest, PathsFollowTheGuestsRenames) {
  ASSERT_EQ(mkdir((dir_ + "/d").c_str(), 0755), 0);
  Touch("d/f");
  const auto d = Acquire(*table_, "d");
  auto fd = OpenChild(d->inode.fd(), "f");
  const struct statx stx = *StatInode((*fd).get());
  const auto f = table_->Acquire(*std::move(fd), stx, d->inode->id(), "f");
  EXPECT_EQ(Paths(), (std::vector<std::string>{".", "d", "d/f"}));
  table_->Moved(d->inode->key(), kRootNode, "e");
  table_->Moved(f->inode->key(), d->inode->id(), "g");
  EXPECT_EQ(Paths(), (std::vector<std::string>{".", "e", "e/g"}));
  // A circle, as copying at different moments may show one, ends.
  table_->Moved(d->inode->key(), d->inode->id(), "loop");
  EXPECT_EQ(table_->List().size(), 3u);
  table_->Forget(d->inode->id(), 1);
  EXPECT_EQ(Paths(), (std::vector<std::string>{".", "?/g"}));
}

TEST_F(InodeTableTest, ListIsWholeWhateverItsLength) {
  auto table = NewTable(5000);
  for (int i = 0; i < 1300; ++i) Touch(std::to_string(i));
  for (int i = 0; i < 1300; ++i) ASSERT_TRUE(Acquire(*table, std::to_string(i)).ok()) << i;
  EXPECT_EQ(table->List().size(), 1301u);
}

TEST_F(InodeTableTest, LookupAndForgetRace) {
  Touch("a");
  std::atomic<uint64_t> firsts{0}, lasts{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const auto got = Acquire(*table_, "a");
        ASSERT_TRUE(got.ok());
        if (got->first) firsts.fetch_add(1);
        if (table_->Forget(got->inode->id(), 1).last) lasts.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(firsts.load(), lasts.load());
  EXPECT_EQ(table_->size(), 1u);
  EXPECT_EQ(table_->over_forgets(), 0u);
}

TEST_F(InodeTableTest, KeepCacheOnlyForAnUnchangedFile) {
  Touch("a");
  const auto a = Acquire(*table_, "a");
  const timespec old[2] = {{1000, 0}, {1000, 0}};
  struct statx stx = *StatInode(a->inode.fd());
  stx.stx_ctime.tv_sec -= 10;  // long settled
  EXPECT_FALSE(a->inode->UnchangedSinceLastOpen(stx)) << "first open";
  EXPECT_TRUE(a->inode->UnchangedSinceLastOpen(stx));
  stx.stx_mtime.tv_nsec ^= 1;
  EXPECT_FALSE(a->inode->UnchangedSinceLastOpen(stx));
  stx.stx_size += 1;
  EXPECT_FALSE(a->inode->UnchangedSinceLastOpen(stx));
  EXPECT_TRUE(a->inode->UnchangedSinceLastOpen(stx));
  // Changed just now: a further change might not show in the time stamps.
  ASSERT_EQ(utimensat(AT_FDCWD, (dir_ + "/a").c_str(), old, 0), 0);
  stx = *StatInode(a->inode.fd());
  stx.stx_ctime.tv_sec += 1;
  EXPECT_FALSE(a->inode->UnchangedSinceLastOpen(stx));
  EXPECT_FALSE(a->inode->UnchangedSinceLastOpen(stx));
}

TEST_F(InodeTableTest, HandlesBelongToTheirNode) {
  Touch("a");
  const auto a = Acquire(*table_, "a");
  HandleTable handles(1);
  const auto fh = handles.Add(*table_->Open(a->inode), *Reopen(a->inode.fd(), S_IFREG, O_RDONLY));
  ASSERT_TRUE(fh.ok());
  EXPECT_EQ(a->inode->open_handles.load(), 1u);
  EXPECT_EQ(handles.Add(*table_->Open(a->inode), UniqueFd()).error(), fuse::Errno(ENFILE));
  EXPECT_EQ(handles.Find(*fh, kRootNode), nullptr);
  EXPECT_FALSE(handles.Remove(*fh, kRootNode));
  EXPECT_NE(handles.Find(*fh, a->inode->id()), nullptr);
  EXPECT_TRUE(handles.Remove(*fh, a->inode->id()));
  EXPECT_EQ(a->inode->open_handles.load(), 0u);
  EXPECT_EQ(handles.Find(*fh, a->inode->id()), nullptr);
}

}  // namespace
}  // namespace daxvmm::fs
