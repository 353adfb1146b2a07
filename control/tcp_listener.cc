#include "control/tcp_listener.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

constexpr int kBacklog = 128;

struct Parts {
  std::string host;
  std::string port;
};

absl::StatusOr<Parts> Split(const std::string& text) {
  const auto refused = [&text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("--control-tcp ", text, ": ", why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return refused("is not HOST:PORT");
  Parts parts = {.host = text.substr(0, colon), .port = text.substr(colon + 1)};
  uint32_t port = 0;
  if (!absl::SimpleAtoi(parts.port, &port) || port > 65535) return refused("the port is not a number up to 65535");
  if (parts.host.size() >= 2 && parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.find(':') != std::string::npos) {
    return refused("an IPv6 address stands in brackets");
  }
  if (parts.host.empty()) return refused("the host is empty; say 0.0.0.0 or [::] for every address");
  if (parts.host.find('\0') != std::string::npos) return refused("the host holds a zero byte");
  return parts;
}

absl::StatusOr<std::string> AddressOf(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return ErrnoStatus(errno, "getsockname");
  if (getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return absl::InternalError("getnameinfo");
  }
  return address.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace

absl::Status CheckTcpAddress(const std::string& text) { return Split(text).status(); }

absl::StatusOr<TcpListener> ListenOnTcp(const std::string& text) {
  ASSIGN_OR_RETURN(const Parts parts, Split(text));
  const std::string subject = absl::StrCat("--control-tcp ", text);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found); error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(subject, ": ", gai_strerror(error)));
  }
  absl::Cleanup release = [found] { freeaddrinfo(found); };
  UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, subject);
  // The port of a daxvmm that has just ended may be taken again; that of one that listens never is.
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, subject);
  }
  ASSIGN_OR_RETURN(std::string address, AddressOf(fd.get()));
  return TcpListener{.fd = std::move(fd), .address = std::move(address)};
}

}  // namespace daxvmm::control
