// What a client could send that no client should.
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio_fs/fuse/dispatcher.h"
#include "devices/virtio_fs/fuse/fake_file_system.h"
#include "devices/virtio_fs/fuse/ops.h"
#include "devices/virtio_fs/fuse/test_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

using testing::IsEmpty;

class HostileTest : public testing::Test {
 protected:
  HostileTest() {
    SendInit(&dispatcher_);
    fs_.calls.clear();
  }

  FakeFileSystem fs_;
  Dispatcher dispatcher_{{.dax_window = true}, &fs_, &fs_, nullptr};
};

TEST_F(HostileTest, EveryTruncationOfEveryRequestIsAnswered) {
  for (const Op& op : AllOps()) {
    if (op.Has(kTransition)) continue;
    const std::string whole = MakeRequest(op.opcode, 42, ValidBody(op.opcode));
    ASSERT_TRUE(SendRaw(&dispatcher_, whole).used > 0 || op.Has(kNoReply)) << std::string(op.name);
    for (size_t length = 0; length < whole.size(); ++length) {
      SCOPED_TRACE(absl::StrCat(op.name, " cut to ", length));
      std::string cut = whole.substr(0, length);
      // Once with the header's truthful claim to more, once with a header that was cut along.
      for (const bool truthful : {false, true}) {
        const uint32_t claim = static_cast<uint32_t>(length);
        if (truthful && length >= sizeof(claim)) std::memcpy(cut.data(), &claim, sizeof(claim));
        fs_.calls.clear();
        const TestReply reply = SendRaw(&dispatcher_, cut);
        EXPECT_THAT(fs_.calls, IsEmpty());
        if (length < sizeof(fuse_in_header) || op.Has(kNoReply)) {
          EXPECT_EQ(reply.used, 0u);
        } else {
          EXPECT_EQ(reply.used, 16u);
          EXPECT_EQ(reply.error(), EINVAL);
        }
      }
    }
  }
}

TEST_F(HostileTest, HeaderLengthIsNotBelieved) {
  for (uint32_t claim : {0u, 39u, 0x10000u, 0x7fffffffu, 0xffffffffu}) {
    std::string request = MakeRequest(FUSE_LOOKUP, 1, AsName("a"));
    std::memcpy(request.data(), &claim, sizeof(claim));
    EXPECT_EQ(SendRaw(&dispatcher_, request).error(), EINVAL) << claim;
  }
  EXPECT_THAT(fs_.calls, IsEmpty());
}

TEST_F(HostileTest, ARequestOfMoreThanAnyClientSendsIsRefused) {
  EXPECT_EQ(Send(&dispatcher_, FUSE_LOOKUP, 1, AsName("a") + std::string(2 << 20, 'x')).error(), EINVAL);
}

TEST_F(HostileTest, AReplyThatDoesNotFitIsNotBegun) {
  for (const Op& op : AllOps()) {
    if (op.Has(kTransition) || op.Has(kNoReply)) continue;
    SCOPED_TRACE(std::string(op.name));
    const std::string request = MakeRequest(op.opcode, 42, ValidBody(op.opcode));
    fs_.calls.clear();
    for (size_t room = 0; room < sizeof(fuse_out_header); ++room) {
      EXPECT_EQ(SendRaw(&dispatcher_, request, room).used, 0u);
    }
    EXPECT_THAT(fs_.calls, IsEmpty()) << "was done though it could not be answered";
    // Nothing is looked up, made or opened for a client that would not learn of it.
    for (size_t room = sizeof(fuse_out_header); room < sizeof(fuse_out_header) + op.reply_size; ++room) {
      const TestReply reply = SendRaw(&dispatcher_, request, room);
      EXPECT_EQ(reply.used, 16u);
      EXPECT_EQ(reply.error(), EIO);
    }
    EXPECT_THAT(fs_.calls, IsEmpty()) << "was done though it could not be answered";
    EXPECT_EQ(SendRaw(&dispatcher_, request, sizeof(fuse_out_header) + 8192).error(), 0);
  }
}

TEST_F(HostileTest, ALinkTargetThatDoesNotFitIsNotCut) {
  EXPECT_EQ(Send(&dispatcher_, FUSE_READLINK, 1, "", 16 + 5).error(), EIO);
  EXPECT_EQ(Send(&dispatcher_, FUSE_READLINK, 1, "", 16 + 6).payload, "target");
}

TEST_F(HostileTest, NamesOfEntriesAreValidated) {
  struct Case {
    std::string bytes;
    int error;
  };
  const std::vector<Case> cases = {
      {AsName(""), EINVAL},
      {AsName("."), EINVAL},
      {AsName(".."), EINVAL},
      {AsName("/"), EINVAL},
      {AsName("a/b"), EINVAL},
      {AsName("../../etc/passwd"), EINVAL},
      {"no end", EINVAL},
      {"", EINVAL},
      {AsName("..."), 0},
      {AsName(".a"), 0},
      {AsName("\xff\xfe \n"), 0},
      {AsName(std::string(255, 'n')), 0},
      {AsName(std::string(256, 'n')), ENAMETOOLONG},
      {std::string(255, 'n'), EINVAL},
      {std::string(256, 'n'), ENAMETOOLONG},
      {AsName(std::string(100000, 'n')), ENAMETOOLONG},
  };
  for (const Op& op : AllOps()) {
    for (int which = 0; which < 2; ++which) {
      if (op.names[which] != NameKind::kEntry) continue;
      for (const Case& c : cases) {
        SCOPED_TRACE(absl::StrCat(op.name, ", name ", which, ": ", c.bytes.substr(0, 20)));
        std::string body(op.argument_size, '\0');
        if (which == 1) body += AsName("first");
        body += c.bytes;
        // A first name without an end swallows the second.
        const bool ended = !c.bytes.empty() && c.bytes.back() == '\0';
        if (which == 0 && op.names[1] != NameKind::kNone && ended) body += AsName("second");
        fs_.calls.clear();
        EXPECT_EQ(Send(&dispatcher_, op.opcode, 1, body).error(), c.error);
        EXPECT_EQ(fs_.calls.size(), c.error == 0 ? 1u : 0u);
      }
    }
  }
}

TEST_F(HostileTest, NamesOfAttributesAndTargetsHaveTheirOwnRules) {
  const auto get = [this](const std::string& name) {
    return Send(&dispatcher_, FUSE_GETXATTR, 1, AsBytes(fuse_getxattr_in{64, 0}) + name).error();
  };
  EXPECT_EQ(get(AsName("user./")), 0);
  EXPECT_EQ(get(AsName("")), EINVAL);
  EXPECT_EQ(get("user"), EINVAL);
  EXPECT_EQ(get(AsName(std::string(256, 'n'))), ENAMETOOLONG);
  const auto link = [this](const std::string& target) {
    return Send(&dispatcher_, FUSE_SYMLINK, 1, AsName("name") + target).error();
  };
  EXPECT_EQ(link(AsName("../..//")), 0);
  EXPECT_EQ(link(AsName("")), EINVAL);
  EXPECT_EQ(link("target"), EINVAL);
  EXPECT_EQ(link(AsName(std::string(4095, 't'))), 0);
  EXPECT_EQ(link(AsName(std::string(4096, 't'))), ENAMETOOLONG);
}

// Memory of which only the first `usable` bytes can be written, as a window page ends where its file was cut.
class CutOffReply {
 public:
  static constexpr size_t kPage = 4096;
  explicit CutOffReply(size_t usable) : usable_(usable) {
    pages_ = static_cast<char*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(mprotect(pages_ + kPage, kPage, PROT_NONE), 0);
  }
  ~CutOffReply() { munmap(pages_, 2 * kPage); }
  memory::IoVecs Room() const {
    memory::IoVecs vecs;
    vecs.iov.push_back({pages_ + kPage - usable_, kPage + usable_});
    vecs.all_ram = false;
    return vecs;
  }

 private:
  const size_t usable_;
  char* pages_;
};

TEST_F(HostileTest, WhatAReplyWouldHaveGivenIsTakenBackWhereItDoesNotArrive) {
  struct Case {
    uint32_t opcode;
    size_t reply;
    std::vector<std::string> taken_back;
  };
  const std::vector<Case> cases = {
      {FUSE_LOOKUP, 128, {"take-back 100"}},
      {FUSE_MKDIR, 128, {"take-back 100"}},
      {FUSE_MKNOD, 128, {"take-back 100"}},
      {FUSE_SYMLINK, 128, {"take-back 100"}},
      {FUSE_LINK, 128, {"take-back 100"}},
      {FUSE_OPEN, 16, {"release 42 7"}},
      {FUSE_OPENDIR, 16, {"releasedir 42 7"}},
      {FUSE_CREATE, 144, {"release 100 7", "take-back 100"}},
      {FUSE_TMPFILE, 144, {"release 100 7", "take-back 100"}},
      {FUSE_READDIR, 96, {}},
      {FUSE_READDIRPLUS, 480, {"take-back 100", "take-back 101", "take-back 102"}},
      {FUSE_GETATTR, 104, {}},
  };
  for (const Case& c : cases) {
    std::string request = MakeRequest(c.opcode, 42, ValidBody(c.opcode));
    memory::IoVecs in;
    in.iov.push_back({request.data(), request.size()});
    // The header itself is lost, the payload's beginning, the second of two parts, the last byte.
    for (const size_t usable : {size_t{0}, size_t{8}, size_t{15}, size_t{16}, size_t{16 + 8}, 16 + c.reply - 1}) {
      SCOPED_TRACE(absl::StrCat("opcode ", c.opcode, ", usable ", usable));
      const CutOffReply reply(usable);
      fs_.calls.clear();
      fs_.next_node = 100;
      EXPECT_EQ(dispatcher_.Handle(in, reply.Room()), usable < 16 ? 0u : 16u);
      ASSERT_FALSE(fs_.calls.empty());
      fs_.calls.erase(fs_.calls.begin());
      EXPECT_EQ(fs_.calls, c.taken_back);
    }
    // The header alone is lost, and the payload arrives.
    const CutOffReply no_header(0);
    std::string payload(c.reply, '\0');
    memory::IoVecs parts = no_header.Room();
    parts.iov[0].iov_len = 16;
    parts.iov.push_back({payload.data(), payload.size()});
    fs_.calls.clear();
    fs_.next_node = 100;
    EXPECT_EQ(dispatcher_.Handle(in, parts), 0u);
    ASSERT_FALSE(fs_.calls.empty());
    fs_.calls.erase(fs_.calls.begin());
    EXPECT_EQ(fs_.calls, c.taken_back) << "the header was lost";

    const CutOffReply whole(16 + c.reply);
    fs_.calls.clear();
    EXPECT_EQ(dispatcher_.Handle(in, whole.Room()), 16 + c.reply);
    EXPECT_EQ(fs_.calls.size(), 1u) << "what arrived is the client's";
  }
}

TEST_F(HostileTest, AListingThatFailsGivesItsReferencesBack) {
  fs_.list_error = Errno(EIO);
  EXPECT_EQ(Send(&dispatcher_, FUSE_READDIRPLUS, 42, ValidBody(FUSE_READDIRPLUS)).error(), EIO);
  EXPECT_THAT(fs_.calls, testing::ElementsAre("readdirplus 42 0 0", "take-back 100", "take-back 101", "take-back 102"));
}

// Valid requests of every kind with a few bytes changed, in sessions with and without all that can be granted.
TEST_F(HostileTest, AlmostValidRequestsGetAnAnswerAndHarmNothing) {
  std::mt19937_64 random(20260301);
  for (const uint64_t optional : {uint64_t{0}, ~uint64_t{0}}) {
    fs_.optional_flags = optional;
    SendInit(&dispatcher_, kLinuxFlags, 0x1f);
    for (int round = 0; round < 20000; ++round) {
      const Op& op = AllOps()[random() % AllOps().size()];
      if (op.Has(kTransition)) continue;
      std::string body = ValidBody(op.opcode);
      size_t announced = 0;
      if (op.Has(kMakesInode) && random() % 2 == 0) {
        const std::string extensions = LabelExtension() + (random() % 2 == 0 ? GroupExtension() : "");
        body += extensions;
        if (random() % 4 != 0) announced = random() % 8 == 0 ? random() % 512 : extensions.size();
      }
      std::string request = MakeRequest(op.opcode, random() % 4, body, announced);
      constexpr int kInteresting[] = {0, 1, 7, 8, 0x7f, 0x80, 0xff};
      for (uint64_t changes = random() % 4; changes > 0; --changes) {
        // Anything but the opcode, which may not become that of DESTROY.
        const size_t at = random() % request.size();
        if (at >= 4 && at < 8) continue;
        request[at] = static_cast<char>(random() % 2 == 0 ? kInteresting[random() % 7] : random());
      }
      if (random() % 4 == 0) {
        request.resize(std::max<size_t>(sizeof(fuse_in_header), random() % (request.size() + 16)));
        const uint32_t claim = static_cast<uint32_t>(request.size());
        std::memcpy(request.data(), &claim, sizeof(claim));
      }
      SendRaw(&dispatcher_, request, random() % 4 == 0 ? random() % 600 : 8192, 1 + random() % 64);
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << "round " << round << ", " << std::string(op.name);
        return;
      }
      fs_.calls.clear();
    }
  }
  EXPECT_EQ(Send(&dispatcher_, FUSE_STATFS, 1, "").error(), 0);
}

TEST_F(HostileTest, RandomBytesGetAnAnswerAndHarmNothing) {
  std::mt19937_64 random(20240601);
  for (int round = 0; round < 50000; ++round) {
    std::string body(random() % 200, '\0');
    const bool mostly_zero = random() % 2 == 0;
    for (char& c : body) c = mostly_zero && random() % 4 != 0 ? '\0' : static_cast<char>(random());
    uint32_t opcode = static_cast<uint32_t>(random() % 70);
    if (opcode == FUSE_INIT || opcode == FUSE_DESTROY) opcode = FUSE_WRITE;
    std::string request = MakeRequest(opcode, random() % 4, body);
    if (random() % 8 == 0) {
      const uint32_t claim = static_cast<uint32_t>(random() % 300);
      std::memcpy(request.data(), &claim, sizeof(claim));
    }
    SendRaw(&dispatcher_, request, random() % 600, 1 + random() % 64);
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "round " << round << ", opcode " << opcode;
      return;
    }
    fs_.calls.clear();
  }
  EXPECT_EQ(Send(&dispatcher_, FUSE_STATFS, 1, "").error(), 0);
}

}  // namespace
}  // namespace daxvmm::fuse
