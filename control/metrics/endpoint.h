// Where metrics are served: a Unix socket, or a port of the loopback interface. Without the server, so that a wrong one
// is refused before the machine runs.
#ifndef DAXVMM_CONTROL_METRICS_ENDPOINT_H_
#define DAXVMM_CONTROL_METRICS_ENDPOINT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "control/control_socket.h"

namespace daxvmm::control {

// A path, or an address with a port.
struct MetricsEndpoint {
  std::string path;     // of a Unix socket; empty: the address
  std::string address;  // a literal of the loopback interface: of 127.0.0.0/8, or ::1
  uint16_t port = 0;    // 1 or more, with an address
};

// "unix:PATH", a path, "127.0.0.1:PORT" or "[::1]:PORT". INVALID_ARGUMENT for what is none of them, an address that is
// not of the loopback interface among it. Asks no resolver and touches no file.
absl::StatusOr<MetricsEndpoint> ParseMetricsEndpoint(absl::string_view text);

// Listens at an endpoint; a socket's file goes with the object. Used by one thread at a time.
class [[nodiscard]] MetricsSocket {
 public:
  // A Unix socket as ControlSocket::Bind makes it. An address that is in use, or what else the system says, is an error
  // too; each starts with "--metrics" and leaves nothing behind.
  static absl::StatusOr<MetricsSocket> Bind(const MetricsEndpoint& endpoint);

  // Listening, non-blocking, close-on-exec; owned by this object.
  int listen_fd() const { return unix_.has_value() ? unix_->listen_fd() : tcp_.get(); }

 private:
  explicit MetricsSocket(ControlSocket socket) : unix_(std::move(socket)) {}
  explicit MetricsSocket(UniqueFd socket) : tcp_(std::move(socket)) {}

  std::optional<ControlSocket> unix_;
  UniqueFd tcp_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_ENDPOINT_H_
