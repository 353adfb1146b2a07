#include "devices/virtio_fs/fuse/test_request.h"

#include <algorithm>

#include "devices/virtio_fs/fuse/ops.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

memory::IoVecs Cut(std::string* bytes, size_t cut) {
  memory::IoVecs vecs;
  for (size_t at = 0; at < bytes->size(); at += cut) {
    vecs.iov.push_back({bytes->data() + at, std::min(cut, bytes->size() - at)});
  }
  return vecs;
}

}  // namespace

std::string MakeRequest(uint32_t opcode, uint64_t node, const std::string& body, size_t extensions) {
  fuse_in_header header = {};
  header.len = static_cast<uint32_t>(sizeof(header) + body.size());
  header.opcode = opcode;
  header.unique = kUnique;
  header.nodeid = node;
  header.uid = 1000;
  header.gid = 100;
  header.pid = 4711;
  header.total_extlen = static_cast<uint16_t>(extensions / 8);
  return AsBytes(header) + body;
}

std::string LabelExtension() {
  return AsBytes(fuse_secctx_header{40, 1}) + AsBytes(fuse_secctx{3, 0}) + AsName("security.selinux") + "x:y" +
         std::string(4, '\0');
}

std::string GroupExtension() {
  return AsBytes(fuse_ext_header{16, kExtGroups}) + AsBytes(std::pair<uint32_t, uint32_t>(1, 1001));
}

std::string ValidBody(uint32_t opcode) {
  switch (opcode) {
    case FUSE_INIT: {
      fuse_init_in in = {};
      in.major = 7;
      in.minor = 38;
      return AsBytes(in);
    }
    case FUSE_WRITE: {
      fuse_write_in in = {};
      in.size = 5;
      return AsBytes(in) + "hello";
    }
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: {
      fuse_read_in in = {};
      in.size = 4096;
      return AsBytes(in);
    }
    case FUSE_SETXATTR:
      return AsBytes(std::pair<uint32_t, uint32_t>(3, 0)) + AsName("user.x") + "abc";
    case FUSE_IOCTL: {
      fuse_ioctl_in in = {};
      in.fh = 3;
      in.cmd = 9;
      in.in_size = 5;
      in.out_size = 8;
      return AsBytes(in) + "input";
    }
    case FUSE_BATCH_FORGET:
      return AsBytes(fuse_batch_forget_in{2, 0}) + AsBytes(fuse_forget_one{5, 1}) + AsBytes(fuse_forget_one{6, 2});
    case FUSE_REMOVEMAPPING:
      return AsBytes(fuse_removemapping_in{2}) + AsBytes(fuse_removemapping_one{0, 4096}) +
             AsBytes(fuse_removemapping_one{1 << 21, 1 << 21});
    default:
      break;
  }
  const Op* op = FindOp(opcode);
  std::string body(op != nullptr ? op->argument_size : 0, '\0');
  for (NameKind kind : op->names) {
    if (kind != NameKind::kNone) body += AsName("name");
  }
  return body;
}

TestReply SendRaw(Dispatcher* dispatcher, const std::string& request, size_t room, size_t cut, RequestCounts* counts) {
  // Copies without slack, so that an address sanitizer sees whatever reads or writes past them.
  std::string in = request;
  in.shrink_to_fit();
  constexpr char kUntouched = '\x5a';
  std::string out(room, kUntouched);
  const memory::IoVecs readable = Cut(&in, cut);
  const memory::IoVecs writable = Cut(&out, cut);
  TestReply reply;
  const auto now = std::chrono::steady_clock::now();
  if (counts != nullptr) counts->Begun(now);
  reply.used = dispatcher->Handle(readable, writable, std::chrono::steady_clock::time_point::max(), counts);
  if (counts != nullptr) counts->Answered(now + std::chrono::microseconds(3), 0);
  if (reply.used == 0) return reply;
  EXPECT_LE(reply.used, room);
  EXPECT_GE(reply.used, sizeof(reply.header));
  std::memcpy(&reply.header, out.data(), sizeof(reply.header));
  EXPECT_EQ(reply.header.len, reply.used);
  EXPECT_LE(reply.header.error, 0);
  EXPECT_GT(reply.header.error, -512);
  EXPECT_TRUE(reply.header.error == 0 || reply.header.len == sizeof(reply.header)) << "an error with a payload";
  uint64_t unique = 0;
  std::memcpy(&unique, request.data() + offsetof(fuse_in_header, unique), sizeof(unique));
  EXPECT_EQ(reply.header.unique, unique);
  reply.payload = out.substr(sizeof(reply.header), reply.used - sizeof(reply.header));
  return reply;
}

TestReply SendInit(Dispatcher* dispatcher, uint32_t flags, uint32_t flags2, uint32_t major, uint32_t minor) {
  fuse_init_in in = {};
  in.major = major;
  in.minor = minor;
  in.max_readahead = 0x20000;
  in.flags = flags;
  in.flags2 = flags2;
  return Send(dispatcher, FUSE_INIT, 0, AsBytes(in), 80);
}

}  // namespace daxvmm::fuse
