// How the methods of all services are answered.
#ifndef DAXVMM_CONTROL_SERVICE_CALLS_H_
#define DAXVMM_CONTROL_SERVICE_CALLS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "control/call_counts.h"
#include "control/call_gate.h"
#include "control/call_thread.h"
#include "control/caller.h"
#include "control/controller.h"
#include "control/convergence_hub.h"
#include "control/log_streams.h"
#include "control/window_hub.h"

namespace daxvmm::control {

// What the services of one server stand on; all of it outlives them.
struct ServiceParts {
  Controller* controller = nullptr;
  ConvergenceHub* hub = nullptr;
  LogStreams* streams = nullptr;
  WindowHub* windows = nullptr;
  CallThread* calls = nullptr;
  CallGate* gate = nullptr;
  CallCounts* counts = nullptr;  // of all calls, as they end; may be null
};

struct Method {
  const char* name;  // "SetPolicy"
  Role needed;
};

// On gRPC's thread, at once: for what takes microseconds.
grpc::ServerUnaryReactor* AnswerNow(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                    const Method& method, absl::FunctionRef<absl::Status(const Caller&)> work);

// On the call thread, in turn: for what takes long. What `work` uses of context, request and response lives until the
// call has been answered. Not done if nobody waits any more.
grpc::ServerUnaryReactor* AnswerLater(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                      const Method& method, std::function<absl::Status(const Caller&)> work);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVICE_CALLS_H_
