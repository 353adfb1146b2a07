#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "base/log.h"
#include "base/status.h"
#include "control/codec.h"
#include "control/convergence_stream.h"
#include "control/list_codec.h"
#include "control/services.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"

namespace daxvmm::control {
namespace {

// How often a list of files is taken anew because the policy changed meanwhile.
constexpr int kListAttempts = 8;
// Of a policy that is only tried.
constexpr size_t kPreviewedFiles = 100;

class DaxPolicyService final : public v1::DaxPolicyService::CallbackService {
 public:
  explicit DaxPolicyService(const ServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const v1::GetPolicyRequest* request,
                                      v1::GetPolicyResponse* response) override {
    return AnswerNow(parts_, context, {"GetPolicy", Role::kReadOnly}, [&](const Caller&) {
      EncodePolicyState(controller()->GetPolicy(), response);
      return absl::OkStatus();
    });
  }

  // Changes are compiled, which may take half a second for the worst of policies.
  grpc::ServerUnaryReactor* SetPolicy(grpc::CallbackServerContext* context, const v1::SetPolicyRequest* request,
                                      v1::SetPolicyResponse* response) override {
    return AnswerLater(parts_, context, {"SetPolicy", Role::kOperator},
                       [this, request, response](const Caller& caller) -> absl::Status {
                         ASSIGN_OR_RETURN(SetPolicyCommand command, DecodeSetPolicy(*request));
                         command.options.requester = caller.who;
                         if (command.validate_only) return Preview(command, response);
                         return Changed(controller()->SetPolicy(command.policy, command.options), response);
                       });
  }

  grpc::ServerUnaryReactor* ListPolicyHistory(grpc::CallbackServerContext* context,
                                              const v1::ListPolicyHistoryRequest* request,
                                              v1::ListPolicyHistoryResponse* response) override {
    return AnswerNow(parts_, context, {"ListPolicyHistory", Role::kReadOnly}, [&](const Caller&) {
      EncodeHistory(controller()->PolicyHistory(), request->limit(), response);
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* SetFileOverride(grpc::CallbackServerContext* context,
                                            const v1::SetFileOverrideRequest* request,
                                            v1::SetFileOverrideResponse* response) override {
    return AnswerLater(parts_, context, {"SetFileOverride", Role::kOperator},
                       [this, request, response](const Caller& caller) -> absl::Status {
                         ASSIGN_OR_RETURN(SetOverrideCommand command, DecodeSetOverride(*request, absl::Now()));
                         command.options.requester = caller.who;
                         return Changed(controller()->SetOverride(command.override, command.options), response);
                       });
  }

  grpc::ServerUnaryReactor* ClearFileOverride(grpc::CallbackServerContext* context,
                                              const v1::ClearFileOverrideRequest* request,
                                              v1::ClearFileOverrideResponse* response) override {
    return AnswerLater(parts_, context, {"ClearFileOverride", Role::kOperator},
                       [this, request, response](const Caller& caller) -> absl::Status {
                         ASSIGN_OR_RETURN(ClearOverrideCommand command, DecodeClearOverride(*request));
                         command.options.requester = caller.who;
                         return Changed(controller()->ClearOverride(command.file, command.options), response);
                       });
  }

  grpc::ServerUnaryReactor* ExplainFile(grpc::CallbackServerContext* context, const v1::ExplainFileRequest* request,
                                        v1::ExplainFileResponse* response) override {
    return AnswerLater(parts_, context, {"ExplainFile", Role::kReadOnly},
                       [this, request, response](const Caller&) { return Explain(*request, response); });
  }

  grpc::ServerUnaryReactor* ListFiles(grpc::CallbackServerContext* context, const v1::ListFilesRequest* request,
                                      v1::ListFilesResponse* response) override {
    return AnswerLater(parts_, context, {"ListFiles", Role::kReadOnly},
                       [this, request, response](const Caller&) { return List(*request, response); });
  }

  grpc::ServerWriteReactor<v1::WatchConvergenceResponse>* WatchConvergence(
      grpc::CallbackServerContext* context, const v1::WatchConvergenceRequest* request) override {
    return ConvergenceStream::Start(
        parts_.hub, parts_.gate->Admit(*context, "WatchConvergence", Role::kReadOnly).status(), *request);
  }

 private:
  Controller* controller() const { return parts_.controller; }

  template <typename Response>
  absl::Status Changed(const absl::StatusOr<PolicyChange>& change, Response* response) {
    if (!change.ok()) return change.status();
    LOG(kInfo) << "control: policy generation " << change->generation << " is in force";
    parts_.hub->CountSoon();
    EncodeChange(*change, response);
    return absl::OkStatus();
  }

  template <typename Response>
  static void EncodeChange(const PolicyChange& change, Response* response) {
    response->set_generation(change.generation);
    response->set_etag(change.etag);
    EncodeBound(change, response->mutable_bound());
  }

  absl::Status Preview(const SetPolicyCommand& command, v1::SetPolicyResponse* response) {
    ASSIGN_OR_RETURN(const PolicyPreview preview,
                     controller()->PreviewPolicy(command.policy, command.options, kPreviewedFiles));
    EncodeChange(preview.in_force, response);
    EncodeEffect(preview, response->mutable_effect());
    return absl::OkStatus();
  }

  absl::Status Explain(const v1::ExplainFileRequest& request, v1::ExplainFileResponse* response) {
    const auto file = DecodeExplain(request);
    if (!file.ok()) return file.status();
    const auto explanation = controller()->Explain(*file);
    if (!explanation.ok()) return explanation.status();
    EncodeExplanation(*explanation, response);
    return absl::OkStatus();
  }

  absl::Status List(const v1::ListFilesRequest& request, v1::ListFilesResponse* response) {
    ASSIGN_OR_RETURN(const ListFilesCommand command, DecodeListFiles(request));
    // The decisions are those of one generation only if it was in force before and after.
    for (int attempt = 0; attempt < kListAttempts; ++attempt) {
      const uint64_t generation = controller()->GetPolicy().generation;
      ASSIGN_OR_RETURN(const FilePage page, controller()->QueryFiles(command.query));
      if (controller()->GetPolicy().generation != generation) continue;
      EncodeFilePage(page, generation, command, response);
      return absl::OkStatus();
    }
    return WithReason(absl::AbortedError("the policy keeps changing; try again"), "POLICY_KEEPS_CHANGING");
  }

  const ServiceParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewDaxPolicyService(const ServiceParts& parts) {
  return std::make_unique<DaxPolicyService>(parts);
}

}  // namespace daxvmm::control
