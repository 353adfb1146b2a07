// What stands before every call: who it is from, whether that one may make it, and whether not too many are made.
#ifndef DAXVMM_CONTROL_CALL_GATE_H_
#define DAXVMM_CONTROL_CALL_GATE_H_

#include <grpcpp/server_context.h>

#include <utility>

#include "absl/status/statusor.h"
#include "control/caller.h"

namespace daxvmm::control {

// One per server, which has one kind of caller: gRPC does not tell its services which connection a call came by. Any
// thread may call any method.
class CallGate {
 public:
  explicit CallGate(Caller caller) : caller_(std::move(caller)) {}

  // PERMISSION_DENIED if `needed` is more than the caller has.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context, const char* method, Role needed);

 private:
  const Caller caller_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CALL_GATE_H_
