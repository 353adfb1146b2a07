// Shares with far more nodes than descriptors: who is who, what stays usable, and that the bounds hold. On the file
// system of the temporary directory and on tmpfs.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

constexpr fuse::RequestContext kRoot{.unique = 2};

// While it lives, the thread may open no file handles.
class WithoutHandles {
 public:
  WithoutHandles() {
    syscall(SYS_capget, &header_, saved_);
    __user_cap_data_struct less[2] = {saved_[0], saved_[1]};
    less[0].effective &= ~(1u << CAP_DAC_READ_SEARCH);
    EXPECT_EQ(syscall(SYS_capset, &header_, less), 0);
  }
  ~WithoutHandles() { syscall(SYS_capset, &header_, saved_); }

 private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct saved_[2] = {};
};

size_t OpenDescriptors() {
  DIR* const dir = opendir("/proc/self/fd");
  size_t count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count - 3;  // ".", ".." and its own
}

class PassthroughBoundsTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string base = *GetParam() != '\0' ? GetParam() : testing::TempDir();
    dir_ = base + "/bounds.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    Serve(32);
  }
  void TearDown() override {
    fs_.reset();
    EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0);
  }
  void Serve(uint64_t max_descriptors) {
    fs_.reset();
    before_ = OpenDescriptors();
    max_ = max_descriptors;
    auto fs = PassthroughFs::Create({.path = dir_, .max_descriptors = max_descriptors}, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
  }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  void HostFile(const std::string& name, const std::string& text) {
    const UniqueFd fd(open(Path(name).c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
    ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  NodeId Look(const std::string& name, NodeId parent = kRootNode) {
    const auto entry = fs_->Lookup(kRoot, parent, name);
    EXPECT_TRUE(entry.ok()) << name << ": " << entry.error().value();
    return NodeId(entry.ok() ? entry->nodeid : 0);
  }
  // Uses so many other files that an idle node is not held by descriptor any more.
  void Crowd() {
    for (int i = 0; i < 200; ++i) {
      const std::string name = absl::StrCat("crowd", i);
      if (access(Path(name).c_str(), F_OK) != 0) HostFile(name, "");
      fs_->Forget(Look(name), 1);
    }
    // Live ones, too: the forgotten leave room behind.
    for (int i = 0; i < 200; ++i) crowd_.push_back(Look(absl::StrCat("crowd", i)));
  }
  std::string ReadAll(NodeId node) {
    const auto open = fs_->Open(kRoot, node, {});
    if (!open.ok()) return absl::StrCat("open: ", open.error().value());
    const std::string text = ReadOpen(node, open->fh);
    fuse_release_in release = {};
    release.fh = open->fh;
    EXPECT_TRUE(fs_->Release(kRoot, node, release).ok());
    return text;
  }
  std::string ReadOpen(NodeId node, uint64_t fh) {
    std::string bytes(64, '\0');
    memory::IoVecs target;
    target.iov = {{bytes.data(), bytes.size()}};
    memory::IovWriter writer(target);
    fuse_read_in in = {};
    in.fh = fh;
    in.size = 64;
    const auto n = fs_->Read(kRoot, node, in, &writer);
    if (!n.ok()) return absl::StrCat("read: ", n.error().value());
    bytes.resize(*n);
    return bytes;
  }
  Errno GetAttrError(NodeId node) { return fs_->GetAttr(kRoot, node, std::nullopt).error(); }
  void ExpectBounded() { EXPECT_LE(OpenDescriptors(), before_ + max_); }

  std::string dir_;
  size_t before_ = 0;
  uint64_t max_ = 0;
  std::vector<NodeId> crowd_;
  std::unique_ptr<PassthroughFs> fs_;
};

INSTANTIATE_TEST_SUITE_P(OnDisk, PassthroughBoundsTest, testing::Values(""));
INSTANTIATE_TEST_SUITE_P(OnTmpfs, PassthroughBoundsTest, testing::Values("/dev/shm"));

TEST_P(PassthroughBoundsTest, ThousandsOfNodesWithAFewDescriptors) {
  constexpr int kFiles = 3000;
  std::vector<NodeId> nodes;
  for (int i = 0; i < kFiles; ++i) {
    HostFile(absl::StrCat("f", i), absl::StrCat("text ", i));
    nodes.push_back(Look(absl::StrCat("f", i)));
  }
  EXPECT_EQ(fs_->node_count(), kFiles + 1u);
  ExpectBounded();
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(ReadAll(nodes[i]), absl::StrCat("text ", i));
    EXPECT_EQ(Look(absl::StrCat("f", i)), nodes[i]) << "the same file is the same node";
  }
  ExpectBounded();
  EXPECT_EQ(fs_->ListLiveNodes().size(), kFiles + 1u);
  for (int i = 0; i < kFiles; ++i) {
    fs_->Forget(nodes[i], 1);
    EXPECT_TRUE(GetAttrError(nodes[i]).ok()) << "one reference is left";
    fs_->Forget(nodes[i], 1);
    EXPECT_EQ(GetAttrError(nodes[i]), Errno(ENOENT));
  }
  EXPECT_EQ(fs_->over_forgets(), 0u);
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->descriptor_count(), 2u) << "the root's and its mount's";
}

TEST_P(PassthroughBoundsTest, EveryKindOfNodeWorksByHandle) {
  HostFile("file", "12345");
  ASSERT_EQ(mkdir(Path("dir").c_str(), 0755), 0);
  HostFile("dir/inner", "inner");
  ASSERT_EQ(symlink("target", Path("link").c_str()), 0);
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const NodeId file = Look("file"), dir = Look("dir"), link = Look("link"), fifo = Look("fifo");
  Crowd();
  EXPECT_EQ(*fs_->ReadLink(kRoot, link), "target");
  EXPECT_EQ(fs_->GetAttr(kRoot, fifo, std::nullopt)->attr.mode & S_IFMT, uint32_t{S_IFIFO});
  EXPECT_EQ(fs_->Open(kRoot, fifo, {}).error(), Errno(ENXIO));
  const NodeId inner = Look("inner", dir);
  Crowd();
  EXPECT_EQ(ReadAll(inner), "inner");
  fuse_setattr_in set = {};
  set.valid = FATTR_SIZE | FATTR_MODE;
  set.size = 3;
  set.mode = 0600;
  Crowd();
  EXPECT_EQ(fs_->SetAttr(kRoot, file, set)->attr.size, 3u);
  Crowd();
  EXPECT_EQ(ReadAll(file), "123");
  Crowd();
  EXPECT_TRUE(fs_->Rename(kRoot, kRootNode, "file", dir, "moved", 0).ok());
  EXPECT_EQ(Look("moved", dir), file);
  Crowd();
  EXPECT_TRUE(fs_->Link(kRoot, file, kRootNode, "again").ok());
  Crowd();
  EXPECT_TRUE(fs_->Unlink(kRoot, dir, "moved").ok());
  Crowd();
  EXPECT_EQ(ReadAll(file), "123");
  EXPECT_TRUE(fs_->OpenForMapping(file, /*writable=*/true).ok());
  ExpectBounded();
}

TEST_P(PassthroughBoundsTest, HostRenamesDoNotMatter) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  HostFile("a", "a's");
  const NodeId a = Look("a"), d = Look("d");
  Crowd();
  ASSERT_EQ(rename(Path("a").c_str(), Path("d/b").c_str()), 0);
  ASSERT_EQ(rename(Path("d").c_str(), Path("e").c_str()), 0);
  EXPECT_EQ(ReadAll(a), "a's");
  Crowd();
  EXPECT_EQ(Look("b", d), a);
  EXPECT_EQ(Look("e"), d);
}

// ext4 gives a number out again at once; tmpfs counts on.
TEST_P(PassthroughBoundsTest, ANumberThatComesAgainIsAnotherNode) {
  size_t reused = 0;
  for (int i = 0; i < 100; ++i) {
    HostFile("a", "old");
    struct stat old_stat, new_stat;
    ASSERT_EQ(stat(Path("a").c_str(), &old_stat), 0);
    const NodeId old_node = Look("a");
    if (i % 10 == 0) Crowd();
    for (const NodeId node : crowd_) ASSERT_TRUE(GetAttrError(node).ok());
    ASSERT_EQ(unlink(Path("a").c_str()), 0);
    HostFile("a", "new");
    ASSERT_EQ(stat(Path("a").c_str(), &new_stat), 0);
    const NodeId new_node = Look("a");
    EXPECT_NE(new_node, old_node);
    EXPECT_EQ(ReadAll(new_node), "new");
    if (old_stat.st_ino == new_stat.st_ino) {
      ++reused;
      EXPECT_EQ(GetAttrError(old_node), Errno(ESTALE));
      EXPECT_EQ(fs_->Open(kRoot, old_node, {}).error(), Errno(ESTALE));
    }
    fs_->Forget(old_node, 1);
    EXPECT_EQ(Look("a"), new_node) << "forgetting the old takes nothing from the new";
    fs_->Forget(new_node, 2);
    ASSERT_EQ(unlink(Path("a").c_str()), 0);
  }
  if (*GetParam() == '\0') {
    EXPECT_GT(reused, 0u);
  }
  EXPECT_EQ(fs_->over_forgets(), 0u);
}

TEST_P(PassthroughBoundsTest, OpenFilesOutliveTheirNames) {
  HostFile("a", "a's");
  HostFile("b", "b's");
  HostFile("host", "host's");
  const NodeId a = Look("a"), b = Look("b"), host = Look("host");
  const uint64_t fa = fs_->Open(kRoot, a, {})->fh;
  const uint64_t fb = fs_->Open(kRoot, b, {})->fh;
  const uint64_t fh = fs_->Open(kRoot, host, {})->fh;
  Crowd();
  ASSERT_TRUE(fs_->Unlink(kRoot, kRootNode, "a").ok());
  HostFile("c", "c's");
  ASSERT_TRUE(fs_->Rename(kRoot, kRootNode, "c", kRootNode, "b", 0).ok());
  ASSERT_EQ(unlink(Path("host").c_str()), 0);
  Crowd();
  for (const auto& [node, handle, text] : {std::tuple(a, fa, "a's"), {b, fb, "b's"}, {host, fh, "host's"}}) {
    EXPECT_EQ(ReadOpen(node, handle), text);
    EXPECT_EQ(fs_->GetAttr(kRoot, node, std::nullopt)->attr.nlink, 0u);
    EXPECT_EQ(ReadAll(node), text) << "as through /proc/self/fd in the guest";
  }
  ExpectBounded();
}

// A shell's directory, a descriptor of O_PATH: the guest uses what it has not open.
// The host asks nobody before it unlinks: what is open is never let go of, though there are many others. Without
// handles nothing else leads to it.
TEST_P(PassthroughBoundsTest, WhatIsOpenOutlivesAnUnlinkOnTheHost) {
  HostFile("a", "a's");
  const NodeId a = Look("a");
  const auto open = fs_->Open(kRoot, a, {});
  ASSERT_TRUE(open.ok());
  Crowd();
  Crowd();
  ASSERT_EQ(unlink(Path("a").c_str()), 0);
  const WithoutHandles none;
  EXPECT_TRUE(GetAttrError(a).ok());
  fuse_setattr_in mode = {};
  mode.valid = FATTR_MODE;
  mode.mode = S_IFREG | 0600;
  EXPECT_TRUE(fs_->SetAttr(kRoot, a, mode).ok());
  EXPECT_EQ(ReadOpen(a, open->fh), "a's");
  fuse_release_in release = {};
  release.fh = open->fh;
  EXPECT_TRUE(fs_->Release(kRoot, a, release).ok());
}

TEST_P(PassthroughBoundsTest, WhatTheGuestUnlinksStaysUsableUntilForgotten) {
  HostFile("a", "a's");
  HostFile("b", "b's");
  HostFile("c", "c's");
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  const NodeId a = Look("a"), b = Look("b"), d = Look("d");
  Crowd();
  ASSERT_TRUE(fs_->Unlink(kRoot, kRootNode, "a").ok());
  ASSERT_TRUE(fs_->Rename(kRoot, kRootNode, "c", kRootNode, "b", 0).ok());
  ASSERT_TRUE(fs_->RmDir(kRoot, kRootNode, "d").ok());
  Crowd();
  Crowd();
  EXPECT_EQ(ReadAll(a), "a's");
  EXPECT_EQ(ReadAll(b), "b's");
  EXPECT_TRUE(GetAttrError(d).ok());
  EXPECT_EQ(fs_->Lookup(kRoot, d, "x").error(), Errno(ENOENT));
  ExpectBounded();
  for (const NodeId node : {a, b, d}) {
    fs_->Forget(node, 1);
    EXPECT_EQ(GetAttrError(node), Errno(ENOENT));
  }
}

TEST_P(PassthroughBoundsTest, AFileWithoutANameIsHeld) {
  fuse_create_in in = {};
  in.flags = O_RDWR;
  in.mode = S_IFREG | 0600;
  const auto made = fs_->TmpFile(kRoot, kRootNode, in);
  ASSERT_TRUE(made.ok()) << made.error().value();
  const NodeId node(made->entry.nodeid);
  fuse_release_in release = {};
  release.fh = made->open.fh;
  ASSERT_TRUE(fs_->Release(kRoot, node, release).ok());
  Crowd();
  Crowd();
  ASSERT_TRUE(GetAttrError(node).ok());
  EXPECT_TRUE(fs_->Link(kRoot, node, kRootNode, "named").ok());
}

TEST_P(PassthroughBoundsTest, WithoutHandlesAnHonestEnfile) {
  for (int i = 0; i < 100; ++i) HostFile(absl::StrCat("f", i), "x");
  auto other = PassthroughFs::Create({.path = dir_, .max_descriptors = 256}, nullptr);
  ASSERT_TRUE(other.ok());
  std::optional<WithoutHandles> refused(std::in_place);
  Serve(32);
  std::vector<NodeId> nodes;
  Errno error;
  for (int i = 0; i < 100 && error.ok(); ++i) {
    const auto entry = fs_->Lookup(kRoot, kRootNode, absl::StrCat("f", i));
    error = entry.error();
    if (entry.ok()) nodes.push_back(NodeId(entry->nodeid));
  }
  EXPECT_EQ(error, Errno(ENFILE));
  EXPECT_GT(nodes.size(), 8u);
  ExpectBounded();
  for (const NodeId node : nodes) EXPECT_EQ(ReadAll(node), "x") << "a third is left to open files";
  EXPECT_EQ(Look("f0"), nodes[0]);
  fs_->Forget(nodes[1], 1);
  EXPECT_TRUE(fs_->Lookup(kRoot, kRootNode, "f99").ok()) << "what is forgotten leaves room";
  // Other shares go on, and so does this one for a client that asks for less.
  for (int i = 0; i < 100; ++i) EXPECT_TRUE((*other)->Lookup(kRoot, kRootNode, absl::StrCat("f", i)).ok()) << i;
  fs_->Destroy();
  EXPECT_EQ(fs_->descriptor_count(), 1u);
  EXPECT_TRUE(fs_->Lookup(kRoot, kRootNode, "f0").ok());
}

TEST_P(PassthroughBoundsTest, ProcessWithoutDescriptorsAnswersEnfile) {
  HostFile("a", "a's");
  const NodeId a = Look("a");
  std::vector<UniqueFd> all;
  for (;;) {
    UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) break;
    all.push_back(std::move(fd));
    if (all.size() > 100000) GTEST_SKIP() << "no limit to reach here";
  }
  EXPECT_EQ(fs_->Lookup(kRoot, kRootNode, "a").error(), Errno(ENFILE));
  EXPECT_EQ(fs_->Open(kRoot, a, {}).error(), Errno(ENFILE));
  all.clear();
  EXPECT_EQ(ReadAll(a), "a's");
}

TEST_P(PassthroughBoundsTest, ASessionStartsClean) {
  Crowd();
  fs_->Destroy();
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->descriptor_count(), 2u);
  EXPECT_EQ(GetAttrError(crowd_[0]), Errno(ENOENT));
  Crowd();
  EXPECT_TRUE(GetAttrError(crowd_.back()).ok());
}

TEST_P(PassthroughBoundsTest, AHundredThousandLookups) {
  constexpr int kFiles = 2000;
  for (int i = 0; i < kFiles; ++i) HostFile(absl::StrCat("f", i), "");
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < kFiles; ++i) Look(absl::StrCat("f", i));
    ExpectBounded();
  }
  EXPECT_EQ(fs_->node_count(), kFiles + 1u);
}

TEST_P(PassthroughBoundsTest, ManyThreadsShareAFewDescriptors) {
  constexpr int kFiles = 100, kThreads = 4, kRounds = 300;
  for (int i = 0; i < kFiles; ++i) HostFile(absl::StrCat("f", i), absl::StrCat("text ", i));
  std::atomic<uint64_t> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        const int i = (round * 7 + t * 31) % kFiles;
        const auto entry = fs_->Lookup(kRoot, kRootNode, absl::StrCat("f", i));
        if (!entry.ok() || ReadAll(NodeId(entry->nodeid)) != absl::StrCat("text ", i)) failures.fetch_add(1);
        // Files that only this thread makes, opens and takes the name of.
        const std::string own = absl::StrCat("own", t);
        fuse_create_in in = {};
        in.flags = O_RDWR;
        in.mode = S_IFREG | 0600;
        const auto made = fs_->Create(kRoot, kRootNode, own, in);
        if (!made.ok()) {
          failures.fetch_add(1);
          continue;
        }
        const NodeId node(made->entry.nodeid);
        if (!fs_->Unlink(kRoot, kRootNode, own).ok() || !GetAttrError(node).ok()) failures.fetch_add(1);
        fuse_release_in release = {};
        release.fh = made->open.fh;
        if (!fs_->Release(kRoot, node, release).ok() || !GetAttrError(node).ok()) failures.fetch_add(1);
        fs_->Forget(node, 1);
        if (entry.ok()) fs_->Forget(NodeId(entry->nodeid), 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0u);
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->descriptor_count(), 2u);
  EXPECT_EQ(fs_->over_forgets(), 0u);
}

}  // namespace
}  // namespace daxvmm::fs
