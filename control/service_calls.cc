#include "control/service_calls.h"

#include <utility>

#include "control/grpc_status.h"

namespace daxvmm::control {

grpc::ServerUnaryReactor* AnswerNow(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                    const Method& method, absl::FunctionRef<absl::Status(const Caller&)> work) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = parts.gate->Admit(*context, method.name, method.needed);
  reactor->Finish(ToGrpc(caller.ok() ? work(*caller) : caller.status()));
  return reactor;
}

grpc::ServerUnaryReactor* AnswerLater(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                      const Method& method, std::function<absl::Status(const Caller&)> work) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  absl::StatusOr<Caller> caller = parts.gate->Admit(*context, method.name, method.needed);
  if (!caller.ok()) {
    reactor->Finish(ToGrpc(caller.status()));
    return reactor;
  }
  parts.calls->Post([context, reactor, gate = parts.gate, caller = *std::move(caller),
                     work = std::move(work)](const absl::Status& status) {
    const bool wanted = status.ok() && !context->IsCancelled();
    if (!wanted) {
      reactor->Finish(ToGrpc(status.ok() ? absl::CancelledError("nobody waits any more") : status));
      return;
    }
    // Others of the same client may have been answered since, and not been read.
    const absl::Status may = gate->MayAnswer(*context);
    reactor->Finish(ToGrpc(may.ok() ? work(caller) : may));
  });
  return reactor;
}

}  // namespace daxvmm::control
