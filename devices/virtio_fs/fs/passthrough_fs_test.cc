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

#include "gmock/gmock.h"
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
    std::optional<std::string> path;
    bool operator==(const Reply&) const = default;
  };
  struct Forget {
    NodeId node;
    uint64_t count;
    bool last;
    bool operator==(const Forget&) const = default;
  };
  uint32_t AttrFlags(const fuse::RequestContext& /*ctx*/, fuse::ObservedInode inode, const fuse::InodeFacts& facts,
                     AttrReply reply) override {
    replies.push_back({inode.node, facts.size.raw(), reply, facts.path()});
    if (ask_hint) hint = facts.dax_hint();
    uids.push_back(facts.uid);
    if (meanwhile) std::exchange(meanwhile, nullptr)(inode.node);
    return S_ISREG(facts.mode) ? FUSE_ATTR_DAX : 0;
  }
  void Undelivered(fuse::ObservedInode inode) override { undelivered.push_back(inode.node); }
  void Forgotten(fuse::ObservedInode inode, uint64_t count, bool last) override {
    forgotten.push_back({inode.node, count, last});
  }
  void Grew(fuse::ObservedInode inode, ByteCount size) override { grown.emplace_back(inode.node, size.raw()); }
  void Read(fuse::ObservedInode inode, FileOffset offset, ByteCount /*size*/) override {
    reads.emplace_back(inode.node, offset.raw());
  }
  void Write(fuse::ObservedInode inode, FileOffset /*offset*/, ByteCount size) override {
    writes.emplace_back(inode.node, size.raw());
  }
  void Closed(fuse::ObservedInode inode) override { closed.push_back(inode.node); }
  void Renamed(fuse::ObservedInode inode, bool directory) override { renamed.emplace_back(inode.node, directory); }

  bool ask_hint = false, hint = false;
  std::function<void(NodeId)> meanwhile;  // what another request does during the next AttrFlags; once
  std::vector<Reply> replies;
  std::vector<uint32_t> uids;
  std::vector<std::pair<NodeId, uint64_t>> grown, reads, writes;
  std::vector<std::pair<NodeId, bool>> renamed;
  std::vector<NodeId> undelivered, closed;
  std::vector<Forget> forgotten;
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

TEST_F(PassthroughFsTest, TheObserverHearsOfEveryReplyAndEveryReferenceGivenBack) {
  HostFile("a", 40000);
  const NodeId a(Look("a").nodeid);
  Look("a");
  ASSERT_TRUE(fs_->GetAttr(kRoot, a, std::nullopt).ok());
  fuse_setattr_in set = {};
  set.valid = FATTR_MODE;
  set.mode = 0600;
  ASSERT_TRUE(fs_->SetAttr(kRoot, a, set).ok());
  const RecordingObserver::Reply entry{a, 40000, AttrReply::kEntry, "a"};
  EXPECT_THAT(observer_.replies,
              testing::ElementsAre(entry, entry, RecordingObserver::Reply{a, 40000, AttrReply::kGetAttr, "a"},
                                   RecordingObserver::Reply{a, 40000, AttrReply::kSetAttr, "a"}));
  EXPECT_EQ(observer_.uids.back(), getuid());
  Look("a");
  fs_->TakeBack(a);
  fs_->Forget(a, 1);
  fs_->Forget(a, 1);
  EXPECT_EQ(observer_.undelivered, std::vector<NodeId>{a});
  EXPECT_THAT(observer_.forgotten,
              testing::ElementsAre(RecordingObserver::Forget{a, 1, false}, RecordingObserver::Forget{a, 1, true}));
  EXPECT_NE(NodeId(Look("a").nodeid), a);
  fs_->TakeBack(observer_.replies.back().node);
  EXPECT_TRUE(observer_.forgotten.back().last) << "nothing is left of a reply that did not arrive";
}

TEST_F(PassthroughFsTest, PathsFollowTheGuestsRenames) {
  ASSERT_EQ(mkdir((dir_ + "/d").c_str(), 0755), 0);
  ASSERT_EQ(mkdir((dir_ + "/d/e").c_str(), 0755), 0);
  HostFile("d/e/f", 1);
  const NodeId d(Look("d").nodeid);
  const NodeId e(fs_->Lookup(kRoot, d, "e")->nodeid);
  const NodeId f(fs_->Lookup(kRoot, e, "f")->nodeid);
  const auto path_of = [&](NodeId node) { return fs_->PathOf(*fs_->FindLive(node)); };
  EXPECT_EQ(path_of(f), "d/e/f");
  EXPECT_EQ(path_of(kRootNode), ".");
  ASSERT_TRUE(fs_->Rename(kRoot, kRootNode, "d", kRootNode, "dd", 0).ok());
  EXPECT_EQ(path_of(f), "dd/e/f") << "an ancestor's new name counts";
  ASSERT_TRUE(fs_->Rename(kRoot, e, "f", d, "g", 0).ok());
  EXPECT_EQ(path_of(f), "dd/g");
  EXPECT_THAT(observer_.renamed, testing::ElementsAre(std::pair(d, true), std::pair(f, false)));
  // A second name is another way to the same node, which keeps the path that it was first looked up by.
  ASSERT_TRUE(fs_->Link(kRoot, f, kRootNode, "other").ok());
  EXPECT_EQ(NodeId(Look("other").nodeid), f);
  EXPECT_EQ(path_of(f), "dd/g");
  // Unlinked, it keeps it to its end; without its directory it has none.
  ASSERT_TRUE(fs_->Unlink(kRoot, d, "g").ok());
  EXPECT_EQ(path_of(f), "dd/g");
  fs_->Forget(d, 1);
  EXPECT_EQ(path_of(f), std::nullopt);
}

TEST_F(PassthroughFsTest, AFileThatIsNotLiveIsFoundByItsPath) {
  ASSERT_EQ(mkdir((dir_ + "/d").c_str(), 0755), 0);
  HostFile("d/f", 4096);
  ASSERT_EQ(symlink("d", (dir_ + "/link").c_str()), 0);
  const auto file = fs_->LookAtPath("d/f");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->node.size, ByteCount(4096));
  EXPECT_TRUE(S_ISREG(file->node.mode));
  EXPECT_EQ(file->node.uid, getuid());
  EXPECT_FALSE(file->dax_hint);
  EXPECT_FALSE(file->security_capability);
  EXPECT_EQ(fs_->node_count(), 1u) << "no reference is taken";
  EXPECT_TRUE(S_ISDIR(fs_->LookAtPath(".")->node.mode));
  EXPECT_EQ(fs_->LookAtPath("d/none").error(), Errno(ENOENT));
  EXPECT_EQ(fs_->LookAtPath("link/f").error(), Errno(ENOTDIR));
  for (const char* bad : {"", "/etc", "../x", "d/../../x", "d//f"}) {
    EXPECT_EQ(fs_->LookAtPath(bad).error(), Errno(EINVAL)) << bad;
  }
  const NodeId d(Look("d").nodeid);
  const NodeId f(fs_->Lookup(kRoot, d, "f")->nodeid);
  ASSERT_TRUE(fs_->FindLiveNode("d/f").has_value());
  EXPECT_EQ(fs_->FindLiveNode("d/f")->node, f);
  EXPECT_EQ(fs_->FindLiveNode(f)->path, "d/f");
  EXPECT_FALSE(fs_->FindLiveNode("d/g").has_value());
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

TEST_F(PassthroughFsTest, WhatMayHaveGrownIsReportedWithTheSizeThatTheGuestKnows) {
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
  using Grown = std::pair<NodeId, uint64_t>;
  EXPECT_THAT(observer_.grown, testing::ElementsAre(Grown(a, 10), Grown(a, 10), Grown(a, 13), Grown(a, 13)));
  fuse_fallocate_in fallocate = {};
  fallocate.fh = fh;
  fallocate.length = 100;
  ASSERT_TRUE(fs_->Fallocate(kRoot, a, fallocate).ok());
  EXPECT_EQ(observer_.grown.back(), Grown(a, 100));
  fuse_copy_file_range_in copy = {};
  copy.fh_in = copy.fh_out = fh;
  copy.nodeid_out = a.raw();
  copy.off_out = 200;
  copy.len = 50;
  ASSERT_EQ(*fs_->CopyFileRange(kRoot, a, copy), 50u);
  EXPECT_EQ(observer_.grown.back(), Grown(a, 250));
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

TEST_F(PassthroughFsTest, AnAppendIsSeenToEndWhereTheGuestTakesItToEndThoughTheHostHasTruncatedTheFile) {
  HostFile("a", 100);
  const NodeId a(Look("a").nodeid);
  const uint64_t fh = OpenFile(a, O_RDWR | O_APPEND);
  ASSERT_EQ(truncate((dir_ + "/a").c_str(), 0), 0);
  std::string bytes(4, 'x');
  memory::IoVecs source;
  source.iov = {{bytes.data(), bytes.size()}};
  memory::IovReader reader(source);
  fuse_write_in in = {};
  in.fh = fh;
  in.offset = 100;
  in.size = 4;
  in.flags = O_RDWR | O_APPEND;
  ASSERT_EQ(*fs_->Write(kRoot, a, in, &reader), 4u);
  EXPECT_EQ(observer_.grown.back(), std::make_pair(a, uint64_t{104}));
  EXPECT_EQ(fs_->GetAttr(kRoot, a, std::nullopt)->attr.size, 4u);
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
TEST_F(PassthroughFsTest, ANodeForgottenWhileItIsLookedUpIsGone) {
  HostFile("a", 1);
  observer_.meanwhile = [this](NodeId node) { fs_->Forget(node, 1); };
  const NodeId a(Look("a").nodeid);
  EXPECT_THAT(observer_.forgotten, testing::ElementsAre(RecordingObserver::Forget{a, 1, true}));
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
  EXPECT_THAT(observer_.forgotten, testing::ElementsAre(RecordingObserver::Forget{a, 0, true}));
  EXPECT_EQ(fs_->Flush(kRoot, a, FileHandle(fh)), Errno(EBADF));
  EXPECT_TRUE(fs_->GetAttr(kRoot, kRootNode, std::nullopt).ok());
  EXPECT_NE(NodeId(Look("a").nodeid), a);
}

TEST_F(PassthroughFsTest, TheHintIsFalseUnlessSet) {
  HostFile("a", 1);
  observer_.ask_hint = true;
  observer_.hint = true;
  Look("a");
  EXPECT_FALSE(observer_.hint);
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
  EXPECT_TRUE(S_ISDIR(nodes[0].mode));
  EXPECT_EQ(nodes[1].path, "a");
  EXPECT_TRUE(S_ISREG(nodes[1].mode));
  EXPECT_EQ(nodes[1].size.raw(), 100u);
  EXPECT_EQ(nodes[1].open_handles, 1u);
  EXPECT_EQ(nodes[1].reads, 1u);
  EXPECT_EQ(nodes[1].writes, 0u);
  EXPECT_EQ(observer_.reads, (std::vector<std::pair<NodeId, uint64_t>>{{a, 0}}));
}

}  // namespace
}  // namespace daxvmm::fs
