#include "tests/device/device_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::virtio_fs {

using fakes::BytesOf;
using fakes::BytesOfName;
using fakes::Concatenate;

void DeviceFixture::Start(const FixtureOptions& options) {
  directory_ = absl::StrCat(testing::TempDir(), "/share.XXXXXX");
  ASSERT_NE(mkdtemp(directory_.data()), nullptr) << directory_;

  auto window = memory::MappingWindow::Create(kWindowSize);
  ASSERT_TRUE(window.ok()) << window.status();
  window_.emplace(*std::move(window));
  fakes::GuestRamOptions ram;
  if (options.window) {
    ram.window_host = window_->host();
    ram.window_size = window_->size();
    ram.window_writable = !options.read_only;
  }
  ram_.emplace(ram);
  policy_.emplace(options.policy);

  VirtioFsOptions device;
  device.tag = "share";
  device.share.path = directory_;
  device.share.read_only = options.read_only;
  device.share.attr_timeout = device.share.entry_timeout = options.timeout;
  device.dax_quota = options.dax_quota;
  if (options.window) device.window = WindowPlace{&*window_, fakes::kWindowBase};
  auto made = VirtioFsDevice::Create(device, &*policy_);
  ASSERT_TRUE(made.ok()) << made.status();
  device_ = *std::move(made);
  auto transport = virtio::MmioTransport::Create(device_.get(), &ram_->memory(), &line_);
  ASSERT_TRUE(transport.ok()) << transport.status();
  transport_ = *std::move(transport);
  driver_.emplace(transport_.get(), &*ram_, &line_.signal());
  const absl::Status probed = driver_->Probe();
  ASSERT_TRUE(probed.ok()) << probed;
}

void DeviceFixture::Mount(const MountFlags& flags, const FixtureOptions& options) {
  ASSERT_NO_FATAL_FAILURE(Start(options));
  ASSERT_EQ(Init(flags).error, 0);
}

FuseReply DeviceFixture::Init(const MountFlags& flags) {
  fuse_init_in in = {};
  in.major = 7;
  in.minor = 38;
  in.max_readahead = 0x20000;
  in.flags = flags.flags;
  in.flags2 = flags.flags2;
  return Ask(FUSE_INIT, 0, BytesOf(in), sizeof(fuse_init_out));
}

fuse_in_header DeviceFixture::Header(uint32_t opcode, uint64_t node, size_t body) {
  unique_ += 2;
  fuse_in_header header = {};
  header.len = static_cast<uint32_t>(sizeof(header) + body);
  header.opcode = opcode;
  header.unique = unique_;
  header.nodeid = node;
  header.uid = caller_;
  header.gid = getgid();
  header.pid = 1;
  return header;
}

FuseReply DeviceFixture::Check(const fakes::Completion& completion, uint64_t unique) {
  FuseReply reply{.error = -1, .payload = {}};
  fuse_out_header header = {};
  if (completion.in.size() < sizeof(header)) {
    ADD_FAILURE() << "a reply of " << completion.written << " bytes";
    return reply;
  }
  std::memcpy(&header, completion.in.data(), sizeof(header));
  EXPECT_EQ(header.len, completion.written);
  EXPECT_EQ(header.unique, unique);
  EXPECT_LE(header.error, 0);
  EXPECT_GT(header.error, -512);
  reply.error = -header.error;
  reply.payload.assign(completion.in.begin() + sizeof(header), completion.in.end());
  return reply;
}

FuseReply DeviceFixture::Ask(uint32_t opcode, uint64_t node, const std::vector<std::byte>& body, uint32_t room) {
  const fuse_in_header header = Header(opcode, node, body.size());
  fakes::Request request{.out = Concatenate(BytesOf(header), body), .indirect = true};
  request.out_cuts = {sizeof(header)};
  request.in_sizes = {sizeof(fuse_out_header)};
  if (room != 0) request.in_sizes.push_back(room);
  const std::optional<fakes::Completion> completion = driver_->Run(1, request);
  if (!completion) {
    ADD_FAILURE() << "no answer to opcode " << opcode;
    return {.error = -1, .payload = {}};
  }
  return Check(*completion, header.unique);
}

FuseReply DeviceFixture::AskWithBuffers(uint32_t opcode, uint64_t node, const std::vector<std::byte>& arguments,
                                        const std::vector<fakes::Buffer>& data) {
  size_t body = arguments.size();
  for (const fakes::Buffer& buffer : data) body += buffer.device_writes ? 0 : buffer.size;
  const fuse_in_header header = Header(opcode, node, body);
  const std::vector<std::byte> out = Concatenate(BytesOf(header), arguments);
  const GuestPhysAddr out_at = ram_->Allocate(ByteCount(out.size()));
  ram_->Write(out_at, out);
  constexpr uint32_t kReplyRoom = 64;
  const GuestPhysAddr in_at = ram_->Allocate(ByteCount(kReplyRoom));

  std::vector<fakes::Buffer> chain = {{out_at, static_cast<uint32_t>(out.size()), false}};
  for (const fakes::Buffer& buffer : data) {
    if (!buffer.device_writes) chain.push_back(buffer);
  }
  const bool reads = chain.size() == 1;
  chain.push_back({in_at, reads ? static_cast<uint32_t>(sizeof(fuse_out_header)) : kReplyRoom, true});
  for (const fakes::Buffer& buffer : data) {
    if (buffer.device_writes) chain.push_back(buffer);
  }
  FuseReply reply{.error = -1, .payload = {}};
  if (!driver_->queue(1).AddBuffers(chain)) {
    ADD_FAILURE() << "the ring is full";
    return reply;
  }
  driver_->PublishAndNotify(1);
  const std::vector<fakes::Completion> completions = driver_->Wait(1, 1);
  if (completions.empty()) {
    ADD_FAILURE() << "no answer to opcode " << opcode;
    return reply;
  }
  reply = Check(completions[0], header.unique);
  ram_->Free(out_at, ByteCount(out.size()));
  ram_->Free(in_at, ByteCount(kReplyRoom));
  return reply;
}

void DeviceFixture::Forget(uint64_t node, uint64_t count) {
  const fuse_in_header header = Header(FUSE_FORGET, node, sizeof(fuse_forget_in));
  const std::optional<fakes::Completion> completion = driver_->Run(0, {.out = BytesOf(header, fuse_forget_in{count})});
  ASSERT_TRUE(completion.has_value()) << "FORGET was not completed";
  EXPECT_EQ(completion->written, 0u);
}

fuse_entry_out DeviceFixture::Lookup(absl::string_view name, uint64_t parent) {
  const FuseReply reply = Ask(FUSE_LOOKUP, parent, BytesOfName(name), sizeof(fuse_entry_out));
  EXPECT_EQ(reply.error, 0) << "LOOKUP " << std::string(name);
  return reply.As<fuse_entry_out>();
}

fuse_attr DeviceFixture::GetAttr(uint64_t node) {
  const FuseReply reply = Ask(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{}), sizeof(fuse_attr_out));
  EXPECT_EQ(reply.error, 0) << "GETATTR";
  return reply.As<fuse_attr_out>().attr;
}

uint64_t DeviceFixture::Open(uint64_t node, uint32_t flags) {
  const FuseReply reply = Ask(FUSE_OPEN, node, BytesOf(fuse_open_in{flags, 0}), sizeof(fuse_open_out));
  EXPECT_EQ(reply.error, 0) << "OPEN";
  return reply.As<fuse_open_out>().fh;
}

FuseReply DeviceFixture::Read(uint64_t node, uint64_t fh, uint64_t offset, uint32_t size) {
  fuse_read_in in = {};
  in.fh = fh;
  in.offset = offset;
  in.size = size;
  return Ask(FUSE_READ, node, BytesOf(in), size);
}

FuseReply DeviceFixture::Write(uint64_t node, uint64_t fh, uint64_t offset, const std::string& data) {
  fuse_write_in in = {};
  in.fh = fh;
  in.offset = offset;
  in.size = static_cast<uint32_t>(data.size());
  return Ask(FUSE_WRITE, node, Concatenate(BytesOf(in), std::as_bytes(std::span(data))), sizeof(fuse_write_out));
}

std::vector<PlusEntry> DeviceFixture::ReadDirPlus(uint64_t node) {
  std::vector<PlusEntry> entries;
  const FuseReply opened = Ask(FUSE_OPENDIR, node, BytesOf(fuse_open_in{O_RDONLY | O_DIRECTORY, 0}));
  EXPECT_EQ(opened.error, 0) << "OPENDIR";
  fuse_read_in in = {};
  in.fh = opened.As<fuse_open_out>().fh;
  in.size = 4096;
  while (true) {
    const FuseReply reply = Ask(FUSE_READDIRPLUS, node, BytesOf(in), in.size);
    EXPECT_EQ(reply.error, 0) << "READDIRPLUS";
    if (reply.error != 0 || reply.payload.empty()) break;
    for (size_t at = 0; at < reply.payload.size();) {
      const auto record = reply.As<fuse_direntplus>(at);
      entries.push_back(
          {reply.Text().substr(at + FUSE_NAME_OFFSET_DIRENTPLUS, record.dirent.namelen), record.entry_out});
      in.offset = record.dirent.off;
      at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + record.dirent.namelen);
    }
  }
  fuse_release_in release = {};
  release.fh = in.fh;
  EXPECT_EQ(Ask(FUSE_RELEASEDIR, node, BytesOf(release), 0).error, 0);
  return entries;
}

FuseReply DeviceFixture::SetupMapping(uint64_t node, uint64_t file_offset, uint64_t window_offset, uint64_t flags,
                                      uint64_t length) {
  fuse_setupmapping_in in = {};
  in.fh = ~uint64_t{0};
  in.foffset = file_offset;
  in.len = length;
  in.flags = flags;
  in.moffset = window_offset;
  return Ask(FUSE_SETUPMAPPING, node, BytesOf(in), 0);
}

FuseReply DeviceFixture::RemoveMapping(uint64_t node, const std::vector<fuse_removemapping_one>& entries) {
  return Ask(FUSE_REMOVEMAPPING, node,
             Concatenate(BytesOf(fuse_removemapping_in{static_cast<uint32_t>(entries.size())}),
                         std::as_bytes(std::span(entries))),
             0);
}

void DeviceFixture::MakeFile(absl::string_view name, const std::string& content) {
  std::ofstream file(HostPath(name), std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  ASSERT_TRUE(file.good()) << HostPath(name);
}

std::string DeviceFixture::HostContent(absl::string_view name) const {
  std::ifstream file(HostPath(name), std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

std::optional<std::string> DeviceFixture::WindowBytes(uint64_t offset, size_t size) const {
  std::string bytes(size, '\0');
  const iovec local = {bytes.data(), size};
  const iovec remote = {window_->host() + offset, size};
  const ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (got != static_cast<ssize_t>(size)) return std::nullopt;
  return bytes;
}

}  // namespace daxvmm::virtio_fs
