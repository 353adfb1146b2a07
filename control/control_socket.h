// The Unix socket of the control plane, without gRPC: bound and listening before the machine runs, so that a bad path
// is refused early and a client that is too quick waits instead of failing.
#ifndef DAXVMM_CONTROL_CONTROL_SOCKET_H_
#define DAXVMM_CONTROL_CONTROL_SOCKET_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

// sun_path has 108 bytes; the last one is the terminating zero.
inline constexpr size_t kMaxSocketPath = 107;

struct SocketFile {
  mode_t mode = 0600;
  uid_t owner = static_cast<uid_t>(-1);  // -1: whom it is made by
  gid_t group = static_cast<gid_t>(-1);
};

// A listening socket and its file. The file goes with the object, unless something else stands at the path by then.
// Used by one thread at a time.
class [[nodiscard]] ControlSocket {
 public:
  // Binds and listens. The file has mode 0600 from the moment it exists, and stands at `path` only once it has the
  // owner and the mode that `file` says: nobody can connect before. The socket file of a dead process is replaced;
  // nothing else ever is: FAILED_PRECONDITION if a live process listens there or if it is no socket, INVALID_ARGUMENT
  // if the path is empty, too long or holds a zero byte; else what the system said. Each error starts with `flag`,
  // that gave the path (or "--control-owner", "--control-mode", which the file system refused), and leaves no file
  // behind.
  static absl::StatusOr<ControlSocket> Bind(const std::string& path, const SocketFile& file = {},
                                            const char* flag = "--control");

  ControlSocket(ControlSocket&& other) noexcept { *this = std::move(other); }
  ControlSocket& operator=(ControlSocket&& other) noexcept;
  ~ControlSocket() { Remove(); }

  // Listening, non-blocking, close-on-exec; owned by this object.
  int listen_fd() const { return listener_.get(); }
  const std::string& path() const { return path_; }

 private:
  ControlSocket() = default;
  void Remove();

  std::string path_;
  std::string base_name_;
  UniqueFd directory_;  // so that a change of the working directory does not matter
  UniqueFd listener_;   // while it is open the inode number below cannot be used again
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// What Bind would refuse for the path's form alone: empty, too long, a zero byte. Touches no file.
absl::Status CheckControlPath(const std::string& path, const char* flag = "--control");

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROL_SOCKET_H_
