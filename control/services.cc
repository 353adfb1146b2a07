#include "control/services.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "control/codec.h"
#include "control/convergence_stream.h"
#include "control/grpc_status.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

// How often a list of files is taken anew because the policy changed meanwhile.
constexpr int kListAttempts = 8;

// Who may connect (control_server.cc): this user and root. gRPC does not tell which of them a call is from.
std::string Requester() {
  const uid_t self = geteuid();
  return absl::StrCat("control socket, uid ", self, self == 0 ? "" : " or 0");
}

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

class DaxPolicyService final : public v1::DaxPolicyService::CallbackService {
 public:
  DaxPolicyService(Controller* controller, ConvergenceHub* hub, CallThread* calls)
      : controller_(controller), hub_(hub), calls_(calls) {}

  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const v1::GetPolicyRequest* request,
                                      v1::GetPolicyResponse* response) override {
    EncodePolicyState(controller_->GetPolicy(), response);
    return Answer(context, absl::OkStatus());
  }

  // Changes are compiled, which may take half a second for the worst of policies.
  grpc::ServerUnaryReactor* SetPolicy(grpc::CallbackServerContext* context, const v1::SetPolicyRequest* request,
                                      v1::SetPolicyResponse* response) override {
    return AnswerLater(context, [this, request, response]() -> absl::Status {
      ASSIGN_OR_RETURN(SetPolicyCommand command, DecodeSetPolicy(*request));
      command.options.requester = Requester();
      return Changed(controller_->SetPolicy(command.policy, command.options), response);
    });
  }

  grpc::ServerUnaryReactor* ListPolicyHistory(grpc::CallbackServerContext* context,
                                              const v1::ListPolicyHistoryRequest* request,
                                              v1::ListPolicyHistoryResponse* response) override {
    EncodeHistory(controller_->PolicyHistory(), response);
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* SetFileOverride(grpc::CallbackServerContext* context,
                                            const v1::SetFileOverrideRequest* request,
                                            v1::SetFileOverrideResponse* response) override {
    return AnswerLater(context, [this, request, response]() -> absl::Status {
      ASSIGN_OR_RETURN(SetOverrideCommand command, DecodeSetOverride(*request, absl::Now()));
      command.options.requester = Requester();
      return Changed(controller_->SetOverride(command.override, command.options), response);
    });
  }

  grpc::ServerUnaryReactor* ClearFileOverride(grpc::CallbackServerContext* context,
                                              const v1::ClearFileOverrideRequest* request,
                                              v1::ClearFileOverrideResponse* response) override {
    return AnswerLater(context, [this, request, response]() -> absl::Status {
      ASSIGN_OR_RETURN(ClearOverrideCommand command, DecodeClearOverride(*request));
      command.options.requester = Requester();
      return Changed(controller_->ClearOverride(command.file, command.options), response);
    });
  }

  grpc::ServerUnaryReactor* ExplainFile(grpc::CallbackServerContext* context, const v1::ExplainFileRequest* request,
                                        v1::ExplainFileResponse* response) override {
    return AnswerLater(context, [this, request, response] { return Explain(*request, response); });
  }

  grpc::ServerUnaryReactor* ListFiles(grpc::CallbackServerContext* context, const v1::ListFilesRequest* request,
                                      v1::ListFilesResponse* response) override {
    return AnswerLater(context, [this, request, response] { return List(*request, response); });
  }

  grpc::ServerWriteReactor<v1::WatchConvergenceResponse>* WatchConvergence(
      grpc::CallbackServerContext* context, const v1::WatchConvergenceRequest* request) override {
    return ConvergenceStream::Start(hub_, *request);
  }

 private:
  template <typename Response>
  absl::Status Changed(const absl::StatusOr<PolicyChange>& change, Response* response) {
    if (!change.ok()) return change.status();
    LOG(kInfo) << "control: policy generation " << change->generation << " is in force";
    hub_->CountSoon();
    response->set_generation(change->generation);
    EncodeBound(*change, response->mutable_bound());
    return absl::OkStatus();
  }

  // Context, request and response live until the reactor has finished.
  grpc::ServerUnaryReactor* AnswerLater(grpc::CallbackServerContext* context, std::function<absl::Status()> work) {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    calls_->Post([context, reactor, work = std::move(work)](const absl::Status& status) {
      const bool wanted = status.ok() && !context->IsCancelled();
      reactor->Finish(ToGrpc(wanted ? work() : status.ok() ? absl::CancelledError("nobody waits any more") : status));
    });
    return reactor;
  }

  absl::Status Explain(const v1::ExplainFileRequest& request, v1::ExplainFileResponse* response) {
    const auto file = DecodeExplain(request);
    if (!file.ok()) return file.status();
    const auto explanation = controller_->Explain(*file);
    if (!explanation.ok()) return explanation.status();
    EncodeExplanation(*explanation, response);
    return absl::OkStatus();
  }

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
  ConvergenceHub* const hub_;
  CallThread* const calls_;
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

std::unique_ptr<grpc::Service> NewDaxPolicyService(Controller* controller, ConvergenceHub* hub, CallThread* calls) {
  return std::make_unique<DaxPolicyService>(controller, hub, calls);
}

std::unique_ptr<grpc::Service> NewDaxWindowService(Controller* controller) {
  return std::make_unique<DaxWindowService>(controller);
}

}  // namespace daxvmm::control
