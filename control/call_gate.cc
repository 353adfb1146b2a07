#include "control/call_gate.h"

#include "absl/strings/str_cat.h"

namespace daxvmm::control {

absl::StatusOr<Caller> CallGate::Admit(const grpc::CallbackServerContext& context, const char* method, Role needed) {
  if (needed == Role::kOperator && caller_.role != Role::kOperator) {
    return absl::PermissionDeniedError(absl::StrCat(method, " is for operators; ", caller_.who, " is read-only"));
  }
  return caller_;
}

}  // namespace daxvmm::control
