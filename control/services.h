// The gRPC services over a controller. Their methods only translate: what they ask for is in control/controller.h.
#ifndef DAXVMM_CONTROL_SERVICES_H_
#define DAXVMM_CONTROL_SERVICES_H_

#include <memory>

#include "control/controller.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace daxvmm::control {

// `controller` must outlive the service, and the service the server that it is registered with. The calls are
// answered on gRPC's threads. To destroy one, include <grpcpp/impl/service_type.h>.
std::unique_ptr<grpc::Service> NewDaxPolicyService(Controller* controller);
std::unique_ptr<grpc::Service> NewDaxWindowService(Controller* controller);

// Full names, as health and reflection know them.
inline constexpr const char* kServiceNames[] = {"daxvmm.v1.DaxPolicyService", "daxvmm.v1.DaxWindowService"};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVICES_H_
