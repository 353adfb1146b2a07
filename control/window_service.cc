#include "base/status.h"
#include "control/field_codec.h"
#include "control/services.h"
#include "control/window_codec.h"
#include "control/window_stream.h"
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

  // A window may have as many mappings as it has pages, and a path may be looked for among all live files.
  grpc::ServerUnaryReactor* ListMappings(grpc::CallbackServerContext* context, const v1::ListMappingsRequest* request,
                                         v1::ListMappingsResponse* response) override {
    return AnswerLater(parts_, context, {"ListMappings", Role::kReadOnly},
                       [this, request, response](const Caller&) -> absl::Status {
                         ASSIGN_OR_RETURN(const ListMappingsCommand command, DecodeListMappings(*request));
                         ASSIGN_OR_RETURN(const MappingPage page, parts_.controller->QueryMappings(command.query));
                         EncodeMappingPage(page, command, response);
                         return absl::OkStatus();
                       });
  }

  grpc::ServerWriteReactor<v1::WatchWindowResponse>* WatchWindow(grpc::CallbackServerContext* context,
                                                                 const v1::WatchWindowRequest* request) override {
    return WindowStream::Start(parts_.windows, *parts_.controller,
                               parts_.gate->Admit(*context, "WatchWindow", Role::kReadOnly).status(), *request);
  }

 private:
  const ServiceParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewDaxWindowService(const ServiceParts& parts) {
  return std::make_unique<DaxWindowService>(parts);
}

}  // namespace daxvmm::control
