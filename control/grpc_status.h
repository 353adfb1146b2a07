// Errors on their way to a client, and back.
//
// The details (google.rpc.Status in the trailer grpc-status-details-bin, see proto/daxvmm/rpc/status.proto) always
// carry an ErrorInfo: the status' reason and facts (base/error_reason.h), or a reason that follows from the code. An
// INVALID_ARGUMENT whose text begins with a field, "policy.rules[2].outcome: ...", carries that as a BadRequest too.
#ifndef DAXVMM_CONTROL_GRPC_STATUS_H_
#define DAXVMM_CONTROL_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace daxvmm::control {

inline constexpr char kErrorDomain[] = "daxvmm";

// The codes of Abseil and gRPC have the same numbers. The text is cut, and made UTF-8.
grpc::Status ToGrpc(const absl::Status& status);

// The server's text, and from the details its reason and facts. Details that cannot be read are as none.
absl::Status FromGrpc(const grpc::Status& status);

// What `message` begins with, if that can be a field's path ("a.b[0].c") and ": " follows; else empty.
std::string FieldOf(absl::string_view message);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_GRPC_STATUS_H_
