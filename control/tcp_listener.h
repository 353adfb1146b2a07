// The TCP socket of the control plane, without gRPC: bound before the machine runs.
#ifndef DAXVMM_CONTROL_TCP_LISTENER_H_
#define DAXVMM_CONTROL_TCP_LISTENER_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

struct TcpListener {
  UniqueFd fd;          // listening, non-blocking, close-on-exec
  std::string address;  // "127.0.0.1:50051" or "[::1]:50051": with the port that it got
};

// "HOST:PORT", with a numeric address (IPv6 in brackets) or a name, of which the first address is taken; looking it up
// may block. Port 0: any that is free. Errors begin with "--control-tcp TEXT: ": INVALID_ARGUMENT for the form or an
// unknown name, else what the system said.
absl::StatusOr<TcpListener> ListenOnTcp(const std::string& text);

// The form alone. Touches nothing.
absl::Status CheckTcpAddress(const std::string& text);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TCP_LISTENER_H_
