// A whole virtio-fs device on a temporary directory, driven as Linux drives it, without a guest: registers, rings,
// FUSE.
#ifndef DAXVMM_TESTS_DEVICE_DEVICE_FIXTURE_H_
#define DAXVMM_TESTS_DEVICE_DEVICE_FIXTURE_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/virtio_fs_device.h"
#include "gtest/gtest.h"
#include "memory/mapping_window.h"
#include "tests/fakes/virtio_driver.h"

namespace daxvmm::virtio_fs {

inline constexpr ByteCount kWindowSize = MiB(16);

// The flag words of INIT that Linux 6.1 sends.
struct MountFlags {
  uint32_t flags;
  uint32_t flags2;
};
inline constexpr MountFlags kPerFileMount = {0x7ffffffb, 0x0b};  // dax=inode, or no option
inline constexpr MountFlags kAlwaysMount = {0x7ffffffb, 0x09};
inline constexpr MountFlags kNeverMount = {0x7bfffffb, 0x09};
inline constexpr MountFlags kNoWindowMount = {0x7bfffffb, 0x0b};  // no option, and the device shows no window

struct FuseReply {
  int error = 0;
  std::vector<std::byte> payload;

  template <typename T>
  T As(size_t offset = 0) const {
    T value = {};
    EXPECT_GE(payload.size(), offset + sizeof(T)) << "the reply is too short";
    if (payload.size() >= offset + sizeof(T)) std::memcpy(&value, payload.data() + offset, sizeof(T));
    return value;
  }
  std::string Text() const { return std::string(reinterpret_cast<const char*>(payload.data()), payload.size()); }
};

// One record of a READDIRPLUS reply.
struct PlusEntry {
  std::string name;
  fuse_entry_out entry;
};

struct FixtureOptions {
  bool window = true;
  bool read_only = false;
  dax::Policy policy = dax::DefaultPolicy();
  std::optional<absl::Duration> timeout;  // of attributes and names; nullopt: the share's default
  ByteCount dax_quota;
};

class DeviceFixture : public testing::Test {
 protected:
  // Makes the device, walks its registers to DRIVER_OK. Once per test.
  void Start(const FixtureOptions& options = FixtureOptions());
  // Start, then INIT as this mount sends it.
  void Mount(const MountFlags& flags = kPerFileMount, const FixtureOptions& options = FixtureOptions());
  FuseReply Init(const MountFlags& flags);

  // One request on queue 1, laid out as Linux does it: header, arguments, a reply header, a reply buffer of `room`.
  // Checks what a driver trusts blindly.
  FuseReply Ask(uint32_t opcode, uint64_t node, const std::vector<std::byte>& body, uint32_t room = 4096);
  // The same with the data in buffers of the caller's.
  FuseReply AskWithBuffers(uint32_t opcode, uint64_t node, const std::vector<std::byte>& arguments,
                           const std::vector<fakes::Buffer>& data);
  // On the hiprio queue, without room for a reply.
  void Forget(uint64_t node, uint64_t count);

  fuse_entry_out Lookup(absl::string_view name, uint64_t parent = FUSE_ROOT_ID);
  fuse_attr GetAttr(uint64_t node);
  uint64_t Open(uint64_t node, uint32_t flags);
  FuseReply Read(uint64_t node, uint64_t fh, uint64_t offset, uint32_t size);
  FuseReply Write(uint64_t node, uint64_t fh, uint64_t offset, const std::string& data);
  std::vector<PlusEntry> ReadDirPlus(uint64_t node);
  FuseReply SetupMapping(uint64_t node, uint64_t file_offset, uint64_t window_offset, uint64_t flags,
                         uint64_t length = kDaxRangeSize.raw());
  FuseReply RemoveMapping(uint64_t node, const std::vector<fuse_removemapping_one>& entries);

  // The host's side of the share.
  std::string HostPath(absl::string_view name) const { return directory_ + "/" + std::string(name); }
  void MakeFile(absl::string_view name, const std::string& content);
  void MakeFile(absl::string_view name, ByteCount size) { MakeFile(name, std::string(size.raw(), 'x')); }
  std::string HostContent(absl::string_view name) const;
  // What the guest would see there; nullopt where its access would fault.
  std::optional<std::string> WindowBytes(uint64_t offset, size_t size) const;

  uid_t caller_ = getuid();  // in whose name requests are made
  std::string directory_;
  std::optional<memory::MappingWindow> window_;
  std::optional<dax::PolicyStore> policy_;
  std::optional<fakes::GuestRam> ram_;
  std::unique_ptr<VirtioFsDevice> device_;
  fakes::FakeInterruptLine line_;
  std::unique_ptr<virtio::MmioTransport> transport_;
  std::optional<fakes::MmioDriver> driver_;

 private:
  fuse_in_header Header(uint32_t opcode, uint64_t node, size_t body);
  FuseReply Check(const fakes::Completion& completion, uint64_t unique);
  uint64_t unique_ = 0;
};

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_TESTS_DEVICE_DEVICE_FIXTURE_H_
