// Requests and replies as bytes, for tests of the dispatcher.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_TEST_REQUEST_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_TEST_REQUEST_H_

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/dispatcher.h"

namespace daxvmm::fuse {

inline constexpr uint64_t kUnique = 0x1122334455667788;

template <typename T>
std::string AsBytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}
// With its NUL.
inline std::string AsName(absl::string_view name) { return std::string(name) + '\0'; }

struct TestReply {
  uint32_t used = 0;  // what Handle answered
  fuse_out_header header = {};
  std::string payload;  // what the header's len covers

  int error() const { return -header.error; }
  template <typename T>
  T As() const {
    T value = {};
    std::memcpy(&value, payload.data(), std::min(sizeof(T), payload.size()));
    return value;
  }
};

// The header and `body`, with a truthful length. The last `extensions` bytes of the body are announced as extensions.
std::string MakeRequest(uint32_t opcode, uint64_t node, const std::string& body, size_t extensions = 0);
// Extensions as Linux sends them: the label "security.selinux" = "x:y", and the group 1001. Multiples of 8 bytes.
std::string LabelExtension();
std::string GroupExtension();
// A body that the dispatcher accepts for this opcode, in a session without SETXATTR_EXT.
std::string ValidBody(uint32_t opcode);

// Sends raw bytes, in readable buffers of `cut` bytes each; the reply has `room` bytes, cut alike. Fails the test if
// the reply breaks what a driver trusts blindly: its length, `unique`, and the range of the error. `counts`, if it is
// not null, is the calling thread's.
TestReply SendRaw(Dispatcher* dispatcher, const std::string& request, size_t room = 1 << 17, size_t cut = 1 << 20,
                  RequestCounts* counts = nullptr);
inline TestReply Send(Dispatcher* dispatcher, uint32_t opcode, uint64_t node, const std::string& body,
                      size_t room = 1 << 17, size_t cut = 1 << 20, RequestCounts* counts = nullptr) {
  return SendRaw(dispatcher, MakeRequest(opcode, node, body), room, cut, counts);
}

// As Linux 6.1 sends it in a dax=inode mount with a window.
inline constexpr uint32_t kLinuxFlags = 0x7ffffffb;
inline constexpr uint32_t kLinuxFlags2 = 0x0b;
TestReply SendInit(Dispatcher* dispatcher, uint32_t flags = kLinuxFlags, uint32_t flags2 = kLinuxFlags2,
                   uint32_t major = 7, uint32_t minor = 38);

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_TEST_REQUEST_H_
