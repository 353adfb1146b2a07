// The gRPC server of the control plane, on a socket that somebody else bound. Its header shows no gRPC.
#ifndef DAXVMM_CONTROL_CONTROL_SERVER_H_
#define DAXVMM_CONTROL_CONTROL_SERVER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "control/controller.h"

namespace daxvmm::control {

// Larger requests are refused with RESOURCE_EXHAUSTED; the largest policy has about 150 KiB.
inline constexpr int kMaxRequestBytes = 1 << 20;

// Serves DaxPolicyService, DaxWindowService, health (SERVING for each of them) and reflection until it is destroyed.
// Start and destruction on one thread.
//
// Only peers of this process's user, and root, are served: the socket's mode keeps others out already, unless somebody
// changes it.
class ControlServer {
 public:
  // `controller` must outlive the server. `listen_fd` is a listening Unix socket; it is duplicated, and its file stays
  // the caller's business. No signal is ever delivered to a thread of the server.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(Controller* controller, int listen_fd);

  // Cancels the calls that run longer than a second from now, and joins every thread that calls the controller.
  ~ControlServer();

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CONTROL_SERVER_H_
