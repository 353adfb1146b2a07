#include "control/grpc_status.h"

#include <string>

#include "control/text.h"

namespace daxvmm::control {
namespace {

// An error travels in the trailers, which gRPC refuses above 8 KiB: a longer text would hide the error itself.
constexpr size_t kMaxErrorText = 1024;

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(status.message());
  if (text.size() > kMaxErrorText) text = text.substr(0, kMaxErrorText) + "...";
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), EscapeNonUtf8(text));
}

}  // namespace daxvmm::control
