// Every FUSE opcode that is served: one row each. Decoding, length checks, and the encoding of replies follow from the
// row; what is left is one method of RequestHandler.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_OPS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_OPS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fuse {

class RequestHandler;

// What a NUL-terminated string after the fixed argument is, and so what it may contain.
enum class NameKind : uint8_t {
  kNone,
  kEntry,   // of a directory entry: 1 to 255 bytes, no '/', neither "." nor ".."
  kXattr,   // of an extended attribute: 1 to 255 bytes
  kTarget,  // of a symbolic link: 1 to 4095 bytes
  kUnused,  // of nothing: at most 255 bytes of anything
};

inline constexpr uint8_t kNoReply = 1;     // the client waits for nothing
inline constexpr uint8_t kNoSession = 2;   // served without a session
inline constexpr uint8_t kTransition = 4;  // begins or ends a session: runs alone
inline constexpr uint8_t kMakesInode = 8;  // may bring extensions behind its strings (request_extensions.h)

struct Op {
  uint32_t opcode;
  absl::string_view name;
  uint32_t argument_size;  // of the fixed argument struct; a shorter request is malformed
  NameKind names[2];       // the strings after it, in order
  uint32_t reply_size;     // room that the reply needs behind its header: asked for before anything is done
  uint8_t flags;
  Errno (RequestHandler::*serve)();

  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
};

// Large enough for every Op::argument_size.
inline constexpr size_t kMaxArgument = 88;

// nullptr for an opcode that is not served: the answer is ENOSYS, which the client remembers.
const Op* FindOp(uint32_t opcode);
std::span<const Op> AllOps();

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_OPS_H_
