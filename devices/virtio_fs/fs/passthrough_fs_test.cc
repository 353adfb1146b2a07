// What the conformance cases cannot see: the observer's view, read-only shares, mappings, sessions, hostile requests.
#include "devices/virtio_fs/fs/passthrough_fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fs {
namespace {

using fuse::AttrReply;
using fuse::Errno;

constexpr fuse::RequestContext kRoot{.unique = 2};

// Tells regular files FUSE_ATTR_DAX, and keeps what it was told.
class RecordingObserver : public fuse::InodeObserver {
 public:
  struct Reply {
    NodeId node;
    uint64_t size;
    AttrReply reply;
    bool instantiates;
  };
  uint32_t AttrFlags(const fuse::InodeFacts& facts, AttrReply reply, bool instantiates) override {
    replies.push_back({facts.node, facts.size.raw(), reply, instantiates});
    if (ask_persistent) persistent = facts.persistent_dax_flag();
    if (meanwhile) std::exchange(meanwhile, nullptr)(facts.node);
    return S_ISREG(facts.mode) ? FUSE_ATTR_DAX : 0;
  }
  void Grew(NodeId node, ByteCount size) override { grown.emplace_back(node, size.raw()); }
  void Forgotten(NodeId node) override { forgotten.push_back(node); }

  bool ask_persistent = false, persistent = false;
  std::function<void(NodeId)> meanwhile;  // what another request does during the next AttrFlags; once
  std::vector<Reply> replies;
  std::vector<std::pair<NodeId, uint64_t>> grown;
  std::vector<NodeId> forgotten;
};

class CollectingSink : public fuse::DirSink {
 public:
  bool Fits(size_t) const override { return entries.size() < room; }
  void Add(absl::string_view name, uint64_t, uint32_t, uint64_t, const fuse_entry_out* entry) override {
    entries.emplace(std::string(name), entry != nullptr ? *entry : fuse_entry_out{});
  }
  size_t room = 100;
  std::map<std::string, fuse_entry_out> entries;
};

class PassthroughFsTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/passthrough.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    Serve({});
  }
  void TearDown() override { EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0); }
  void Serve(ShareOptions options) {
    options.path = dir_;
    auto fs = PassthroughFs::Create(options, &observer_);
    ASSERT_TRUE(fs.ok()) << fs.status();
    fs_ = *std::move(fs);
  }
  void HostFile(const std::string& name, size_t size) {
    const UniqueFd fd(open((dir_ + "/" + name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    ASSERT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  }
  fuse_entry_out Look(const std::string& name) {
    const auto entry = fs_->Lookup(kRoot, kRootNode, name);
    EXPECT_TRUE(entry.ok()) << name;
    return entry.ok() ? *entry : fuse_entry_out{};
  }
  uint64_t OpenFile(NodeId node, uint32_t flags) {
    fuse_open_in in = {};
    in.flags = flags;
    const auto open = fs_->Open(kRoot, node, in);
    EXPECT_TRUE(open.ok()) << open.error().value();
    return open.ok() ? open->fh : 0;
  }

  std::string dir_;
  RecordingObserver observer_;
  std::unique_ptr<PassthroughFs> fs_;
};

TEST_F(PassthroughFsTest, MissingDirectoryIsAnErrorThatNamesIt) {
  const auto fs = PassthroughFs::Create(ShareOptions{.path = dir_ + "/none"}, nullptr);
  EXPECT_EQ(fs.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(std::string(fs.status().message()).find("/none"), std::string::npos);
}

// A client that gets different flags in two replies drops the inode: every kind of reply must carry the same.
TEST_F(PassthroughFsTest, EveryReplyCarriesTheObserversFlags) {
  fuse_create_in create = {};
  create.flags = O_RDWR;
  create.mode = S_IFREG | 0644;
  const auto created = fs_->Create(kRoot, kRootNode, "a", create);
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->entry.attr.flags, uint32_t{FUSE_ATTR_DAX});
  const NodeId a(created->entry.nodeid);
  EXPECT_EQ(Look("a").attr.flags, uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(fs_->GetAttr(kRoot, a, std::nullopt)->attr.flags, uint32_t{FUSE_ATTR_DAX});
  fuse_setattr_in set = {};
  set.valid = FATTR_MODE;
  set.mode = 0600;
  EXPECT_EQ(fs_->SetAttr(kRoot, a, set)->attr.flags, uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(fs_->Link(kRoot, a, kRootNode, "b")->attr.flags, uint32_t{FUSE_ATTR_DAX});
  fuse_mknod_in mknod = {};
  mknod.mode = S_IFREG | 0644;
  EXPECT_EQ(fs_->MkNod(kRoot, kRootNode, "n", mknod)->attr.flags, uint32_t{FUSE_ATTR_DAX});
  EXPECT_EQ(fs_->MkDir(kRoot, kRootNode, "d", {.mode = 0755, .umask = 0})->attr.flags, 0u);
  EXPECT_EQ(fs_->SymLink(kRoot, kRootNode, "l", "a")->attr.flags, 0u);

  const auto open = fs_->OpenDir(kRoot, kRootNode, {});
  fuse_read_in in = {};
  in.fh = open->fh;
  in.size = 4096;
  CollectingSink sink;
  ASSERT_TRUE(fs_->ReadDir(kRoot, kRootNode, in, /*plus=*/true, &sink).ok());
  for (const char* name : {"a", "b", "n"}) EXPECT_EQ(sink.entries.at(name).attr.flags, uint32_t{FUSE_ATTR_DAX}) << name;
  for (const char* name : {"d", "l"}) EXPECT_EQ(sink.entries.at(name).attr.flags, 0u) << name;
}

TEST_F(PassthroughFsTest, OnlyTheFirstReferenceInstantiates) {
  HostFile("a", 40000);
  const NodeId a(Look("a").nodeid);
  Look("a");
  ASSERT_TRUE(fs_->GetAttr(kRoot, a, std::nullopt).ok());
  ASSERT_EQ(observer_.replies.size(), 3u);
  EXPECT_TRUE(observer_.replies[0].instantiates);
  EXPECT_EQ(observer_.replies[0].reply, AttrReply::kEntry);
  EXPECT_EQ(observer_.replies[0].size, 40000u);
  EXPECT_FALSE(observer_.replies[1].instantiates);
  EXPECT_FALSE(observer_.replies[2].instantiates);
  EXPECT_EQ(observer_.replies[2].reply, AttrReply::kAttr);
  fs_->Forget(a, 1);
  EXPECT_TRUE(observer_.forgotten.empty());
  fs_->Forget(a, 1);
  EXPECT_EQ(observer_.forgotten, std::vector<NodeId>{a});
  Look("a");
  EXPECT_TRUE(observer_.replies.back().instantiates);
  EXPECT_NE(observer_.replies.back().node, a);
}

TEST_F(PassthroughFsTest, ReaddirplusTakesReferencesOnlyForWhatItReturns) {
  for (int i = 0; i < 20; ++i) HostFile("f" + std::to_string(i), 1);
  const auto open = fs_->OpenDir(kRoot, kRootNode, {});
  fuse_read_in in = {};
  in.fh = open->fh;
  in.size = 4096;
  CollectingSink sink;
  sink.room = 7;
  ASSERT_TRUE(fs_->ReadDir(kRoot, kRootNode, in, /*plus=*/true, &sink).ok());
  ASSERT_EQ(sink.entries.size(), 7u);
  size_t referenced = 0;
  for (const auto& [name, entry] : sink.entries) {
    const bool dots = name == "." || name == "..";
    EXPECT_EQ(entry.nodeid == 0, dots) << name;
    if (!dots) ++referenced;
  }
  EXPECT_EQ(fs_->node_count(), 1 + referenced);
  CollectingSink plain;
  in.offset = 0;
  ASSERT_TRUE(fs_->ReadDir(kRoot, kRootNode, in, /*plus=*/false, &plain).ok());
  EXPECT_EQ(fs_->node_count(), 1 + referenced);
}

TEST_F(PassthroughFsTest, GrowthIsReportedOnceAndOnlyGrowth) {
  HostFile("a", 10);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDWR);
  std::string bytes(8, 'x');
  memory::IoVecs source;
  source.iov = {{bytes.data(), bytes.size()}};
  for (const uint64_t offset : {0u, 2u, 5u, 5u}) {
    memory::IovReader reader(source);
    fuse_write_in in = {};
    in.fh = fh;
    in.offset = offset;
    in.size = 8;
    ASSERT_EQ(*fs_->Write(kRoot, a, in, &reader), 8u);
  }
  ASSERT_EQ(observer_.grown.size(), 1u);
  EXPECT_EQ(observer_.grown[0], std::make_pair(a, uint64_t{13}));
  fuse_fallocate_in fallocate = {};
  fallocate.fh = fh;
  fallocate.length = 100;
  ASSERT_TRUE(fs_->Fallocate(kRoot, a, fallocate).ok());
  ASSERT_EQ(observer_.grown.size(), 2u);
  EXPECT_EQ(observer_.grown[1].second, 100u);
  fuse_copy_file_range_in copy = {};
  copy.fh_in = copy.fh_out = fh;
  copy.nodeid_out = a.raw();
  copy.off_out = 200;
  copy.len = 50;
  ASSERT_EQ(*fs_->CopyFileRange(kRoot, a, copy), 50u);
  ASSERT_EQ(observer_.grown.size(), 3u);
  EXPECT_EQ(observer_.grown[2].second, 250u);
}

TEST_F(PassthroughFsTest, PageWriteBackThroughAnAppendHandleKeepsItsOffset) {
  HostFile("a", 10);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDWR | O_APPEND);
  std::string bytes(4, 'x');
  memory::IoVecs source;
  source.iov = {{bytes.data(), bytes.size()}};
  memory::IovReader reader(source);
  fuse_write_in in = {};
  in.fh = fh;
  in.offset = 2;
  in.size = 4;
  in.flags = O_RDWR | O_APPEND;
  in.write_flags = FUSE_WRITE_CACHE;
  ASSERT_EQ(*fs_->Write(kRoot, a, in, &reader), 4u);
  EXPECT_EQ(fs_->GetAttr(kRoot, a, std::nullopt)->attr.size, 10u);
}

TEST_F(PassthroughFsTest, UnusableGuestMemoryIsEfault) {
  HostFile("a", 100);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDWR);
  memory::IoVecs bad;
  bad.iov = {{nullptr, 50}};
  memory::IovWriter writer(bad);
  fuse_read_in read = {};
  read.fh = fh;
  read.size = 50;
  EXPECT_EQ(fs_->Read(kRoot, a, read, &writer).error(), Errno(EFAULT));
  memory::IovReader reader(bad);
  fuse_write_in write = {};
  write.fh = fh;
  write.size = 50;
  EXPECT_EQ(fs_->Write(kRoot, a, write, &reader).error(), Errno(EFAULT));
}

TEST_F(PassthroughFsTest, MappingsAreOpenedByTypeAndAccess) {
  HostFile("a", 100);
  ASSERT_EQ(mkfifo((dir_ + "/p").c_str(), 0644), 0);
  ASSERT_EQ(symlink("a", (dir_ + "/l").c_str()), 0);
  const NodeId a(Look("a").nodeid);
  const auto read_only = fs_->OpenForMapping(a, false);
  ASSERT_TRUE(read_only.ok());
  EXPECT_EQ(fcntl((*read_only).get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  const auto writable = fs_->OpenForMapping(a, true);
  ASSERT_TRUE(writable.ok());
  EXPECT_EQ(fcntl((*writable).get(), F_GETFL) & O_ACCMODE, O_RDWR);
  EXPECT_EQ(fs_->OpenForMapping(NodeId(Look("p").nodeid), false).error(), Errno(EINVAL));
  EXPECT_EQ(fs_->OpenForMapping(NodeId(Look("l").nodeid), false).error(), Errno(EINVAL));
  EXPECT_EQ(fs_->OpenForMapping(kRootNode, false).error(), Errno(EINVAL));
  EXPECT_EQ(fs_->OpenForMapping(NodeId(4711), false).error(), Errno(ENOENT));
}

TEST_F(PassthroughFsTest, ReadOnlyShare) {
  HostFile("a", 100);
  Serve({.read_only = true});
  const NodeId a(Look("a").nodeid);
  EXPECT_EQ(fs_->OpenForMapping(a, true).error(), Errno(EROFS));
  EXPECT_TRUE(fs_->OpenForMapping(a, false).ok());
  for (const uint32_t flags : {O_RDWR, O_WRONLY, O_RDONLY | O_TRUNC}) {
    fuse_open_in in = {};
    in.flags = flags;
    EXPECT_EQ(fs_->Open(kRoot, a, in).error(), Errno(EROFS));
  }
  OpenFile(a, O_RDONLY);
  EXPECT_EQ(fs_->Create(kRoot, kRootNode, "n", {}).error(), Errno(EROFS));
  EXPECT_EQ(fs_->MkNod(kRoot, kRootNode, "n", {}).error(), Errno(EROFS));
  EXPECT_EQ(fs_->MkDir(kRoot, kRootNode, "n", {}).error(), Errno(EROFS));
  EXPECT_EQ(fs_->SymLink(kRoot, kRootNode, "n", "x").error(), Errno(EROFS));
  EXPECT_EQ(fs_->Link(kRoot, a, kRootNode, "n").error(), Errno(EROFS));
  EXPECT_EQ(fs_->Unlink(kRoot, kRootNode, "a"), Errno(EROFS));
  EXPECT_EQ(fs_->RmDir(kRoot, kRootNode, "a"), Errno(EROFS));
  EXPECT_EQ(fs_->Rename(kRoot, kRootNode, "a", kRootNode, "b", 0), Errno(EROFS));
  EXPECT_EQ(fs_->SetXattr(kRoot, a, "user.x", "1", 0, 0), Errno(EROFS));
  EXPECT_EQ(fs_->RemoveXattr(kRoot, a, "user.x"), Errno(EROFS));
  EXPECT_EQ(fs_->SetAttr(kRoot, a, {}).error(), Errno(EROFS));
}

TEST_F(PassthroughFsTest, UnknownNodesAndForeignHandles) {
  HostFile("a", 100);
  HostFile("b", 100);
  const NodeId a(Look("a").nodeid), b(Look("b").nodeid), none(987654);
  const uint64_t fh = OpenFile(a, O_RDONLY);
  EXPECT_EQ(fs_->GetAttr(kRoot, none, std::nullopt).error(), Errno(ENOENT));
  EXPECT_EQ(fs_->Lookup(kRoot, none, "x").error(), Errno(ENOENT));
  EXPECT_EQ(fs_->Flush(kRoot, b, FileHandle(fh)), Errno(EBADF));
  EXPECT_EQ(fs_->Flush(kRoot, a, FileHandle(fh + 1)), Errno(EBADF));
  EXPECT_EQ(fs_->ReleaseDir(kRoot, a, FileHandle(fh)), Errno(EBADF)) << "a file's handle is no directory's";
  EXPECT_TRUE(fs_->Flush(kRoot, a, FileHandle(fh)).ok());
}

TEST_F(PassthroughFsTest, AFifoOfAHostileGuestIsNotOpened) {
  ASSERT_EQ(mkfifo((dir_ + "/p").c_str(), 0644), 0);
  const auto open = fs_->Open(kRoot, NodeId(Look("p").nodeid), {});  // would block for ever
  EXPECT_EQ(open.error(), Errno(ENXIO));
  fuse_create_in in = {};
  in.flags = O_RDONLY;
  EXPECT_EQ(fs_->Create(kRoot, kRootNode, "p", in).error(), Errno(ENXIO));
}

TEST_F(PassthroughFsTest, BoundsAnswerEnfile) {
  for (const char* name : {"a", "b", "c"}) HostFile(name, 1);
  Serve({.max_nodes = 3, .max_descriptors = 16});
  const NodeId a(Look("a").nodeid);
  Look("b");
  EXPECT_EQ(fs_->Lookup(kRoot, kRootNode, "c").error(), Errno(ENFILE));
  for (int i = 0; i < 4; ++i) OpenFile(a, O_RDONLY);  // a third of 16 less the reserve
  EXPECT_EQ(fs_->Open(kRoot, a, {}).error(), Errno(ENFILE));
}

TEST_F(PassthroughFsTest, CreateOpensAnExistingFileOnlyAsItsModeAllows) {
  HostFile("a", 1);
  struct stat st;
  ASSERT_EQ(stat((dir_ + "/a").c_str(), &st), 0);
  const fuse::RequestContext stranger{.unique = 2, .uid = st.st_uid + 1, .gid = st.st_gid + 1};
  const fuse::RequestContext owner{.unique = 2, .uid = st.st_uid, .gid = st.st_gid};
  const auto create = [this](const fuse::RequestContext& who, uint32_t flags) {
    fuse_create_in in = {};
    in.flags = flags;
    in.mode = S_IFREG | 0644;
    return fs_->Create(who, kRootNode, "a", in).error();
  };
  EXPECT_EQ(create(stranger, O_RDONLY), Errno());
  EXPECT_EQ(create(stranger, O_RDWR), Errno(ESTALE));
  EXPECT_EQ(create(stranger, O_WRONLY), Errno(ESTALE));
  EXPECT_EQ(create(stranger, O_RDONLY | O_TRUNC), Errno(ESTALE));
  EXPECT_EQ(create(owner, O_RDWR), Errno());
  EXPECT_EQ(create(kRoot, O_RDWR), Errno());
  ASSERT_EQ(stat((dir_ + "/a").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 1);
}

// On two queues at once: FORGET with a guessed id overtakes the LOOKUP that makes it.
TEST_F(PassthroughFsTest, ANodeForgottenWhileItIsLookedUpLeavesNothingWithTheObserver) {
  HostFile("a", 1);
  observer_.meanwhile = [this](NodeId node) {
    fs_->Forget(node, 1);
    observer_.forgotten.clear();  // told too early: the observer hears of the node only after that
  };
  const NodeId a(Look("a").nodeid);
  EXPECT_EQ(observer_.forgotten, std::vector<NodeId>{a});
  EXPECT_EQ(fs_->node_count(), 1u);
}

// Linux lets any user set these on any file, and an ACL sets the mode: see passthrough_xattr.cc.
TEST_F(PassthroughFsTest, AccessControlListsAreNotTheGuestsToSet) {
  HostFile("a", 1);
  const NodeId a(Look("a").nodeid);
  // u::rwx, g::rwx, o::rwx (include/uapi/linux/posix_acl_xattr.h)
  const std::string everybody("\2\0\0\0\1\0\7\0\377\377\377\377\4\0\7\0\377\377\377\377\40\0\7\0\377\377\377\377", 28);
  const fuse::RequestContext somebody{.unique = 2, .uid = 1000, .gid = 1000};
  EXPECT_EQ(fs_->SetXattr(somebody, a, "system.posix_acl_access", everybody, 0, 0), Errno(EOPNOTSUPP));
  EXPECT_EQ(fs_->RemoveXattr(somebody, a, "system.posix_acl_access"), Errno(EOPNOTSUPP));
  EXPECT_EQ(fs_->GetXattr(somebody, a, "system.posix_acl_access").error(), Errno(EOPNOTSUPP));
  struct stat st;
  ASSERT_EQ(stat((dir_ + "/a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0644u);

  // u::rw, u:1000:rw, g::r, m::rw, o::r: one that the mode bits cannot hold, so that it is listed.
  const std::string entries(
      "\2\0\0\0\1\0\6\0\377\377\377\377\2\0\6\0\350\3\0\0\4\0\4\0\377\377\377\377\20\0\6\0\377\377\377\377\40\0\4\0\377"
      "\377\377\377",
      44);
  ASSERT_EQ(fs_->SetXattr(kRoot, a, "user.x", "1", 0, 0), Errno());
  if (setxattr((dir_ + "/a").c_str(), "system.posix_acl_access", entries.data(), entries.size(), 0) != 0) {
    GTEST_SKIP() << "no ACLs on this file system: the list is not tried";
  }
  EXPECT_EQ(*fs_->ListXattr(kRoot, a), std::string("user.x\0", 7));
}

TEST_F(PassthroughFsTest, DestroyDropsAllButTheRoot) {
  HostFile("a", 1);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDONLY);
  fs_->Destroy();
  EXPECT_EQ(fs_->node_count(), 1u);
  EXPECT_EQ(fs_->handle_count(), 0u);
  EXPECT_EQ(observer_.forgotten, std::vector<NodeId>{a});
  EXPECT_EQ(fs_->Flush(kRoot, a, FileHandle(fh)), Errno(EBADF));
  EXPECT_TRUE(fs_->GetAttr(kRoot, kRootNode, std::nullopt).ok());
  EXPECT_NE(NodeId(Look("a").nodeid), a);
}

TEST_F(PassthroughFsTest, PersistentFlagIsFalseUnlessSet) {
  HostFile("a", 1);
  observer_.ask_persistent = true;
  observer_.persistent = true;
  Look("a");
  EXPECT_FALSE(observer_.persistent);
}

TEST_F(PassthroughFsTest, LiveNodesCountTheirRequests) {
  HostFile("a", 100);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDONLY);
  char buffer[10];
  memory::IoVecs target;
  target.iov = {{buffer, sizeof(buffer)}};
  memory::IovWriter writer(target);
  fuse_read_in in = {};
  in.fh = fh;
  in.size = sizeof(buffer);
  ASSERT_EQ(*fs_->Read(kRoot, a, in, &writer), 10u);
  const std::vector<LiveNode> nodes = fs_->ListLiveNodes();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].path, ".");
  EXPECT_FALSE(nodes[0].regular);
  EXPECT_EQ(nodes[1].path, "a");
  EXPECT_TRUE(nodes[1].regular);
  EXPECT_EQ(nodes[1].size.raw(), 100u);
  EXPECT_EQ(nodes[1].open_handles, 1u);
  EXPECT_EQ(nodes[1].reads, 1u);
  EXPECT_EQ(nodes[1].writes, 0u);
}

}  // namespace
}  // namespace daxvmm::fs
