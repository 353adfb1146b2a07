#include "base/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace daxvmm {

absl::Status NotifyServiceManager(absl::string_view state) {
  const char* const address = secure_getenv("NOTIFY_SOCKET");
  return address == nullptr ? absl::OkStatus() : NotifySocket(address, state);
}

absl::Status NotifySocket(const std::string& address, absl::string_view state) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (address.size() < 2 || address.size() >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@')) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET: \"", address, "\" is no address of a socket"));
  }
  memcpy(to.sun_path, address.data(), address.size());
  if (address[0] == '@') to.sun_path[0] = '\0';
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  if (sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to),
             length) < 0) {
    return ErrnoStatus(errno, absl::StrCat("NOTIFY_SOCKET: ", address));
  }
  return absl::OkStatus();
}

}  // namespace daxvmm
