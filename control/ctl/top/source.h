// Where `top` has its data from: a connection to a server, or what a test says.
#ifndef DAXVMM_CONTROL_CTL_TOP_SOURCE_H_
#define DAXVMM_CONTROL_CTL_TOP_SOURCE_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "control/client.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control::top {

// Any thread may call any method. Errors as those of Client: UNAVAILABLE and DEADLINE_EXCEEDED mean that the server
// does not answer, all others are the server's answer.
class Source {
 public:
  virtual ~Source() = default;
  virtual absl::StatusOr<v1::GetPolicyResponse> GetPolicy() = 0;
  virtual absl::StatusOr<v1::Machine> GetMachine() = 0;
  // Of all shares.
  virtual absl::StatusOr<v1::GetWindowResponse> GetWindow() = 0;
  virtual absl::StatusOr<v1::ListMappingsResponse> ListMappings(const v1::ListMappingsRequest& request) = 0;
  virtual absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request) = 0;
  // Blocks, calling `update` for each message, until the stream ends or `update` says false.
  virtual absl::Status WatchConvergence(const v1::WatchConvergenceRequest& request,
                                        const std::function<bool(const v1::WatchConvergenceResponse&)>& update) = 0;
  // Ends all calls, of whatever thread, with CANCELLED, and those that come later at once.
  virtual void Cancel() = 0;
};

using ConnectFunction = std::function<absl::StatusOr<std::unique_ptr<Source>>()>;

std::unique_ptr<Source> NewClientSource(std::unique_ptr<Client> client);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_SOURCE_H_
