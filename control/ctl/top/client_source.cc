#include <memory>
#include <optional>
#include <utility>

#include "control/ctl/top/source.h"

namespace daxvmm::control::top {
namespace {

class ClientSource final : public Source {
 public:
  explicit ClientSource(std::unique_ptr<Client> client) : client_(std::move(client)) {}

  absl::StatusOr<v1::GetPolicyResponse> GetPolicy() override { return client_->GetPolicy(); }
  absl::StatusOr<v1::Machine> GetMachine() override { return client_->GetMachine(); }
  absl::StatusOr<v1::GetWindowResponse> GetWindow() override { return client_->GetWindow(); }
  absl::StatusOr<v1::ListMappingsResponse> ListMappings(const v1::ListMappingsRequest& request) override {
    return client_->ListMappings(request);
  }
  absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request) override {
    return client_->ListFiles(request);
  }
  absl::Status WatchConvergence(const v1::WatchConvergenceRequest& request,
                                const std::function<bool(const v1::WatchConvergenceResponse&)>& update) override {
    return client_->WatchConvergence(request, std::nullopt, update);
  }
  void Cancel() override { client_->Cancel(); }

 private:
  const std::unique_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<Source> NewClientSource(std::unique_ptr<Client> client) {
  return std::make_unique<ClientSource>(std::move(client));
}

}  // namespace daxvmm::control::top
