// The flags of the control plane.
#ifndef DAXVMM_VMM_CONTROL_OPTIONS_H_
#define DAXVMM_VMM_CONTROL_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/command_line.h"
#include "control/control_socket.h"
#include "control/server_options.h"
#include "control/tcp_listener.h"

namespace daxvmm::vmm {

struct ControlOptions {
  std::string socket;  // path; empty: none
  control::SocketFile socket_file;
  std::string tcp;  // HOST:PORT; empty: none
  control::TlsFiles tls;
  std::vector<control::AllowRule> allow;
  // Flags that need another one, in the order in which they were given.
  std::vector<std::string> needs_socket;
  std::vector<std::string> needs_tcp;

  bool any() const { return !socket.empty() || !tcp.empty(); }
};

// `options` outlives the specs.
std::vector<FlagSpec> ControlFlags(ControlOptions* options);
// What the flags say together. INVALID_ARGUMENT that names a flag.
absl::Status Validate(const ControlOptions& options);

// The sockets, bound and listening.
struct ControlSockets {
  std::optional<control::ControlSocket> unix_socket;
  std::optional<control::TcpListener> tcp;
};
// Each error begins with the flag at fault, and leaves nothing behind.
absl::StatusOr<ControlSockets> BindControl(const ControlOptions& options);
// For the server; borrows the sockets.
control::ControlServerOptions ServerOptions(const ControlOptions& options, const ControlSockets& sockets);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_CONTROL_OPTIONS_H_
