#include "control/services.h"
#include "proto/daxvmm/v1/machine.grpc.pb.h"

namespace daxvmm::control {
namespace {

class MachineService final : public v1::MachineService::CallbackService {
 public:
  explicit MachineService(const ServiceParts& parts) : parts_(parts) {}

 private:
  [[maybe_unused]] const ServiceParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewMachineService(const ServiceParts& parts) {
  return std::make_unique<MachineService>(parts);
}

}  // namespace daxvmm::control
