#include "control/services.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "base/log.h"
#include "control/codec.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

// An error travels in the trailers, which gRPC refuses above 8 KiB: a longer text would hide the error itself.
constexpr size_t kMaxErrorText = 1024;
// How often a list of files is taken anew because the policy changed meanwhile.
constexpr int kListAttempts = 8;

// The codes of Abseil and gRPC have the same numbers.
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(status.message());
  if (text.size() > kMaxErrorText) text = text.substr(0, kMaxErrorText) + "...";
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), EscapeNonUtf8(text));
}

// Nothing here waits for the guest, so each call is answered where it arrives.
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

class DaxPolicyService final : public v1::DaxPolicyService::CallbackService {
 public:
  explicit DaxPolicyService(Controller* controller) : controller_(controller) {}

  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const v1::GetPolicyRequest* request,
                                      v1::GetPolicyResponse* response) override {
    EncodePolicyState(controller_->GetPolicy(), response);
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* SetPolicy(grpc::CallbackServerContext* context, const v1::SetPolicyRequest* request,
                                      v1::SetPolicyResponse* response) override {
    const auto command = DecodeSetPolicy(*request);
    if (!command.ok()) return Answer(context, command.status());
    const auto generation = controller_->SetPolicy(command->policy, command->expected_generation);
    if (!generation.ok()) return Answer(context, generation.status());
    LOG(kInfo) << "control: policy generation " << *generation << " is in force";
    response->set_generation(*generation);
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* ListFiles(grpc::CallbackServerContext* context, const v1::ListFilesRequest* request,
                                      v1::ListFilesResponse* response) override {
    return Answer(context, List(*request, response));
  }

 private:
  absl::Status List(const v1::ListFilesRequest& request, v1::ListFilesResponse* response) {
    const auto share = DecodeShare(request.share());
    if (!share.ok()) return share.status();
    // The decisions are those of one generation only if it was in force before and after.
    for (int attempt = 0; attempt < kListAttempts; ++attempt) {
      const uint64_t generation = controller_->GetPolicy().generation;
      const auto files = controller_->ListFiles(*share);
      if (!files.ok()) return files.status();
      if (controller_->GetPolicy().generation == generation) return EncodeFiles(*files, generation, response);
    }
    return absl::AbortedError("the policy keeps changing; try again");
  }

  Controller* const controller_;
};

class DaxWindowService final : public v1::DaxWindowService::CallbackService {
 public:
  explicit DaxWindowService(Controller* controller) : controller_(controller) {}

  grpc::ServerUnaryReactor* GetWindow(grpc::CallbackServerContext* context, const v1::GetWindowRequest* request,
                                      v1::GetWindowResponse* response) override {
    const auto share = DecodeShare(request->share());
    if (!share.ok()) return Answer(context, share.status());
    const auto windows = controller_->GetWindows(*share);
    if (!windows.ok()) return Answer(context, windows.status());
    EncodeWindows(*windows, response);
    return Answer(context, absl::OkStatus());
  }

 private:
  Controller* const controller_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewDaxPolicyService(Controller* controller) {
  return std::make_unique<DaxPolicyService>(controller);
}

std::unique_ptr<grpc::Service> NewDaxWindowService(Controller* controller) {
  return std::make_unique<DaxWindowService>(controller);
}

}  // namespace daxvmm::control
