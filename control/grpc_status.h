// Errors on their way to a client.
#ifndef DAXVMM_CONTROL_GRPC_STATUS_H_
#define DAXVMM_CONTROL_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace daxvmm::control {

// The codes of Abseil and gRPC have the same numbers. The text is cut, and made UTF-8.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_GRPC_STATUS_H_
