// A gRPC server for one kind of caller.
#ifndef DAXVMM_CONTROL_PRINCIPAL_SERVER_H_
#define DAXVMM_CONTROL_PRINCIPAL_SERVER_H_

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "control/call_gate.h"
#include "control/server_options.h"
#include "control/service_calls.h"

namespace daxvmm::control {

// What all servers of one control plane share; outlives them.
struct ServerParts {
  ServiceParts services;  // but for the gate
  ControlLimits limits;
  grpc::ResourceQuota quota{"daxvmm control"};
};

// Bounds for a principal's calls, of the limits.
CallBudget::Limits BudgetOf(const ControlLimits& limits);

// Accepts nothing by itself: it is given connections. gRPC makes threads, which inherit the caller's signal mask and
// nice value. Used by one thread at a time, but for `gate`.
class PrincipalServer {
 public:
  // `credentials` must take a metadata processor: not gRPC's insecure ones.
  static absl::StatusOr<std::unique_ptr<PrincipalServer>> Start(const ServerParts& parts,
                                                                std::unique_ptr<CallGate> gate,
                                                                std::shared_ptr<grpc::ServerCredentials> credentials);
  // Ends what is left of the calls at once.
  ~PrincipalServer();
  PrincipalServer(const PrincipalServer&) = delete;
  PrincipalServer& operator=(const PrincipalServer&) = delete;

  void Take(UniqueFd connection);
  CallGate& gate() { return *gate_; }
  // Calls that run longer than `deadline` are cancelled; returns once no thread runs a service's method. Idempotent.
  void Stop(std::chrono::system_clock::time_point deadline);

 private:
  PrincipalServer();

  std::unique_ptr<CallGate> gate_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

// For Unix sockets: their peers are who the kernel says.
std::shared_ptr<grpc::ServerCredentials> LocalCredentials();
// For TCP: TLS 1.2 or later, with a client's certificate that `files.client_ca` signed. The files are read now, which
// must have been checked, and again when they change.
std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_PRINCIPAL_SERVER_H_
