// The gRPC services over a controller. Their methods only translate: what they ask for is in control/controller.h.
#ifndef DAXVMM_CONTROL_SERVICES_H_
#define DAXVMM_CONTROL_SERVICES_H_

#include <memory>

#include "control/service_calls.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace daxvmm::control {

// What `parts` point to outlives the service, and the service the server that it is registered with. Calls are answered
// on gRPC's threads, but for what takes long (lists, explanations, changes): that is done by `parts.calls`, and
// counting by the hub. To destroy a service, include <grpcpp/impl/service_type.h>.
std::unique_ptr<grpc::Service> NewDaxPolicyService(const ServiceParts& parts);
std::unique_ptr<grpc::Service> NewDaxWindowService(const ServiceParts& parts);
std::unique_ptr<grpc::Service> NewMachineService(const ServiceParts& parts);

// Full names, as health and reflection know them.
inline constexpr const char* kServiceNames[] = {"daxvmm.v1.DaxPolicyService", "daxvmm.v1.DaxWindowService",
                                                "daxvmm.v1.MachineService"};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVICES_H_
