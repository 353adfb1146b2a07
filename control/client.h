// A blocking client of the control plane, for the command line and for tests. Its header shows messages, but no gRPC.
#ifndef DAXVMM_CONTROL_CLIENT_H_
#define DAXVMM_CONTROL_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {

// Where the server is, and who we are to it.
struct ClientOptions {
  // The path of a Unix socket; or HOST:PORT (IPv6 as [ADDRESS]:PORT) if any of the three files below is set.
  std::string target;
  // PEM files, for TCP: what the server's certificate must be signed by, and our own. All three or none.
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  // What the server's certificate is for; empty: the host of `target`.
  std::string tls_server_name;
  // For connecting, and for each call that has no limit of its own.
  absl::Duration timeout = absl::Seconds(10);
};

// One connection, which is not made anew once it is lost. Any thread may call any method.
//
// Each call ends within the time-out. Its errors are the server's, with the server's text, reason and facts
// (base/error_reason.h), but for UNAVAILABLE (the connection is lost) and DEADLINE_EXCEEDED (no answer in time), which
// may be the client's own and have none.
class Client {
 public:
  // UNAVAILABLE or DEADLINE_EXCEEDED where nobody answers; UNAVAILABLE with gRPC's reason if the two sides refuse each
  // other's certificate. INVALID_ARGUMENT if the path is too long for a socket, or, beginning with "--tls-ca: ",
  // "--tls-cert: " or "--tls-key: ", if one of the files is missing from the options or cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const ClientOptions& options);
  // The same, for the Unix socket at `path`.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& path,
                                                         absl::Duration timeout = absl::Seconds(10));
  // Over a connected Unix socket.
  static absl::StatusOr<std::unique_ptr<Client>> FromConnection(UniqueFd connection, absl::Duration timeout);
  ~Client();

  absl::StatusOr<v1::GetPolicyResponse> GetPolicy();
  absl::StatusOr<v1::SetPolicyResponse> ReplacePolicy(const v1::SetPolicyRequest& request);
  // The same; the new generation alone.
  absl::StatusOr<uint64_t> SetPolicy(const v1::SetPolicyRequest& request);
  // "never", "always", "size", "size:SIZE", ...; the new generation.
  absl::StatusOr<uint64_t> SetNamedPolicy(const std::string& name,
                                          std::optional<uint64_t> expected_generation = std::nullopt);
  // The last `limit` entries; 0: all that are kept.
  absl::StatusOr<v1::ListPolicyHistoryResponse> ListPolicyHistory(uint32_t limit = 0);
  absl::StatusOr<v1::SetFileOverrideResponse> SetFileOverride(const v1::SetFileOverrideRequest& request);
  absl::StatusOr<v1::ClearFileOverrideResponse> ClearFileOverride(const v1::ClearFileOverrideRequest& request);
  absl::StatusOr<v1::ExplainFileResponse> ExplainFile(const v1::ExplainFileRequest& request);
  // Calls `update` for each message until the stream ends, or until that says false (CANCELLED then). `limit` holds for
  // the whole of it, instead of the time-out; nullopt: as long as it takes.
  absl::Status WatchConvergence(const v1::WatchConvergenceRequest& request, std::optional<absl::Duration> limit,
                                const std::function<bool(const v1::WatchConvergenceResponse&)>& update);
  // All files, of all shares if `share` is empty: goes through all pages, each of which has the time-out for itself.
  // ABORTED if the policy keeps changing meanwhile, so that the decisions are not those of one generation.
  absl::StatusOr<v1::ListFilesResponse> ListFiles(const std::string& share = "");
  // One page.
  absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request);
  absl::StatusOr<v1::GetWindowResponse> GetWindow(const std::string& share = "");
  // One page.
  absl::StatusOr<v1::ListMappingsResponse> ListMappings(const v1::ListMappingsRequest& request);
  // As WatchConvergence. The stream itself does not end.
  absl::Status WatchWindow(const v1::WatchWindowRequest& request, std::optional<absl::Duration> limit,
                           const std::function<bool(const v1::WatchWindowResponse&)>& update);
  absl::StatusOr<v1::Machine> GetMachine();
  absl::StatusOr<v1::Machine> StartMachine();
  absl::StatusOr<v1::Machine> PauseMachine();
  absl::StatusOr<v1::Machine> ResumeMachine();
  absl::StatusOr<v1::ShutdownMachineResponse> ShutdownMachine(const v1::ShutdownMachineRequest& request);
  // As WatchConvergence, `limit` included.
  absl::Status WatchEvents(const v1::WatchEventsRequest& request, std::optional<absl::Duration> limit,
                           const std::function<bool(const v1::WatchEventsResponse&)>& update);
  absl::Status ReadConsole(const v1::ReadConsoleRequest& request, std::optional<absl::Duration> limit,
                           const std::function<bool(const v1::ReadConsoleResponse&)>& update);
  absl::StatusOr<v1::Share> AddShare(const v1::AddShareRequest& request);
  absl::StatusOr<v1::RemoveShareResponse> RemoveShare(const v1::RemoveShareRequest& request);
  // "SERVING" or another name of grpc.health.v1.HealthCheckResponse.ServingStatus; of the whole server if `service` is
  // empty.
  absl::StatusOr<std::string> CheckHealth(const std::string& service = "");

  // Ends the calls of all threads with CANCELLED, and those that begin later at once.
  void Cancel();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CLIENT_H_
