#include "control/metrics/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

constexpr char kFlag[] = "--metrics";
constexpr int kBacklog = 16;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// nullopt for what is no literal of the loopback interface. An IPv6 address that stands for an IPv4 one is none either.
std::optional<Address> LoopbackAddress(const std::string& text, uint16_t port) {
  Address address;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    if (ntohl(v4->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) return std::nullopt;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof(*v4);
    return address;
  }
  address = {};
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
    return std::nullopt;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  address.size = sizeof(*v6);
  return address;
}

bool AllDigits(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return !text.empty();
}

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' ", why));
}

std::string Shown(const MetricsEndpoint& endpoint) {
  const bool v6 = absl::StrContains(endpoint.address, ':');
  return absl::StrCat(kFlag, " ", v6 ? "[" : "", endpoint.address, v6 ? "]" : "", ":", endpoint.port);
}

}  // namespace

absl::StatusOr<MetricsEndpoint> ParseMetricsEndpoint(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("must not be empty");
  absl::string_view path = text;
  if (absl::ConsumePrefix(&path, "unix:")) {
    if (path.empty()) return Wrong(text, "names no path");
    return MetricsEndpoint{.path = std::string(path)};
  }
  if (AllDigits(text))
    return Wrong(text, absl::StrCat("may be a port or a file: say 127.0.0.1:", text, " or unix:", text));
  const size_t colon = text.rfind(':');
  const absl::string_view digits = colon == absl::string_view::npos ? "" : text.substr(colon + 1);
  if (!AllDigits(digits) || absl::StrContains(text, '/')) return MetricsEndpoint{.path = std::string(text)};

  MetricsEndpoint endpoint;
  absl::string_view host = text.substr(0, colon);
  const bool brackets = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  endpoint.address = std::string(host);
  // An IPv6 address without brackets would swallow the port.
  const bool well_formed = brackets == absl::StrContains(host, ':');
  if (!well_formed || !LoopbackAddress(endpoint.address, 1).has_value()) {
    return Wrong(text,
                 "is no address of the loopback interface, such as 127.0.0.1:9464 or [::1]:9464: "
                 "metrics are served to this host only");
  }
  uint32_t port = 0;
  if (digits.size() > 5 || !absl::SimpleAtoi(digits, &port) || port == 0 || port > 65535) {
    return Wrong(text, "has a port that is not 1 to 65535");
  }
  endpoint.port = static_cast<uint16_t>(port);
  return endpoint;
}

absl::StatusOr<MetricsSocket> MetricsSocket::Bind(const MetricsEndpoint& endpoint) {
  if (endpoint.address.empty()) {
    ASSIGN_OR_RETURN(ControlSocket socket, ControlSocket::Bind(endpoint.path, SocketFile(), kFlag));
    return MetricsSocket(std::move(socket));
  }
  // Once more: whoever filled the endpoint in by hand gets no port that the network reaches either.
  const std::optional<Address> address = LoopbackAddress(endpoint.address, endpoint.port);
  if (!address.has_value() || endpoint.port == 0) {
    return absl::InvalidArgumentError(absl::StrCat(Shown(endpoint), ": no address of the loopback interface"));
  }
  UniqueFd fd(socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat(Shown(endpoint), ": socket"));
  // A machine that starts anew need not wait for connections of the last one to be forgotten; a live one that listens
  // is still found (socket(7), SO_REUSEADDR).
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size) != 0) {
    return ErrnoStatus(errno, Shown(endpoint));
  }
  if (listen(fd.get(), kBacklog) != 0) return ErrnoStatus(errno, Shown(endpoint));
  return MetricsSocket(std::move(fd));
}

}  // namespace daxvmm::control
