// The gRPC server of the control plane, on sockets that somebody else bound. Its header shows no gRPC.
#ifndef DAXVMM_CONTROL_CONTROL_SERVER_H_
#define DAXVMM_CONTROL_CONTROL_SERVER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "control/controller.h"
#include "control/server_options.h"

namespace daxvmm::control {

// Serves DaxPolicyService, DaxWindowService, MachineService, health (SERVING for each of them) and reflection until it
// is destroyed. Start and destruction on one thread.
//
// Peers of a Unix socket are whom the kernel says, and those of TCP whom their certificates name; see
// control/control_access.h for who is served. Each user has a gRPC server of its own (docs/adr/0012).
class ControlServer {
 public:
  // `controller` must outlive the server. The listening sockets are duplicated, and a Unix socket's file stays the
  // caller's business. No signal is ever delivered to a thread of the server.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(Controller* controller,
                                                              const ControlServerOptions& options);
  // On a Unix socket alone, for this process's user and root.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(Controller* controller, int listen_fd) {
    return Start(controller, ControlServerOptions{.unix_listener = listen_fd});
  }

  // Cancels the calls that run longer than a second from now, and joins every thread that calls the controller.
  ~ControlServer();

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROL_SERVER_H_
