#include "base/status.h"
#include "control/codec.h"
#include "control/services.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

class DaxWindowService final : public v1::DaxWindowService::CallbackService {
 public:
  explicit DaxWindowService(const ServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* GetWindow(grpc::CallbackServerContext* context, const v1::GetWindowRequest* request,
                                      v1::GetWindowResponse* response) override {
    return AnswerNow(parts_, context, {"GetWindow", Role::kReadOnly}, [&](const Caller&) -> absl::Status {
      ASSIGN_OR_RETURN(const std::string share, DecodeShare(request->share()));
      ASSIGN_OR_RETURN(const std::vector<WindowUse> windows, parts_.controller->GetWindows(share));
      EncodeWindows(windows, response);
      return absl::OkStatus();
    });
  }

 private:
  const ServiceParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewDaxWindowService(const ServiceParts& parts) {
  return std::make_unique<DaxWindowService>(parts);
}

}  // namespace daxvmm::control
