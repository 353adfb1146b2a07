#include "control/client.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "control/grpc_status.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"
#include "proto/daxvmm/v1/machine.grpc.pb.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"

namespace daxvmm::control {
namespace {

namespace health = ::grpc::health::v1;

// The server's pages are smaller; a policy of many rules is not.
constexpr int kMaxResponseBytes = 80 << 20;
constexpr size_t kMaxPemBytes = 1 << 20;
// How often all files are asked for anew because the policy changed between two pages.
constexpr int kListAttempts = 8;

// Connecting ourselves tells a missing file from a dead server, and neither waits for gRPC's retries.
absl::StatusOr<UniqueFd> ConnectSocket(const std::string& path, absl::Duration timeout) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path has ", path.size(), " bytes, but 1 to ",
                                                   sizeof(address.sun_path) - 1, " are allowed"));
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  // Bounds connect() too, which waits while the listener's backlog is full. A zero would mean no bound.
  const timeval bound = absl::ToTimeval(std::max(timeout, absl::Milliseconds(1)));
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound)) != 0) {
    return ErrnoStatus(errno, "SO_SNDTIMEO");
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == EAGAIN) return absl::DeadlineExceededError(absl::StrCat(path, ": no connection in time"));
    return absl::UnavailableError(ErrnoStatus(errno, path).message());
  }
  return fd;
}

std::shared_ptr<grpc::Channel> ChannelOver(UniqueFd connection) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  return grpc::CreateCustomInsecureChannelFromFd("daxvmm", connection.release(), arguments);
}

absl::StatusOr<std::string> ReadPem(absl::string_view flag, const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, ": needed for TCP"));
  const auto refused = [&] {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", ErrnoStatus(errno, path).message()));
  };
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) return refused();
  std::string content(kMaxPemBytes + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = read(fd.get(), &content[size], content.size() - size);
    if (n < 0) return refused();
    if (n == 0) break;
    size += n;
  }
  if (size > kMaxPemBytes) return absl::InvalidArgumentError(absl::StrCat(flag, ": ", path, ": is too large"));
  content.resize(size);
  if (!absl::StrContains(content, "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", path, ": is not a PEM file"));
  }
  return content;
}

// Why there is no connection; gRPC tells that to a call only.
absl::Status WhyNotConnected(const std::shared_ptr<grpc::Channel>& channel, const std::string& target) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  health::HealthCheckResponse response;
  const grpc::Status status =
      health::Health::NewStub(channel)->Check(&context, health::HealthCheckRequest(), &response);
  return absl::UnavailableError(absl::StrCat(target, ": ", status.ok() ? "try again" : status.error_message()));
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectTls(const ClientOptions& options) {
  if (options.target.empty()) return absl::InvalidArgumentError("HOST:PORT is missing");
  grpc::SslCredentialsOptions files;
  ASSIGN_OR_RETURN(files.pem_root_certs, ReadPem("--tls-ca", options.tls_ca));
  ASSIGN_OR_RETURN(files.pem_cert_chain, ReadPem("--tls-cert", options.tls_cert));
  ASSIGN_OR_RETURN(files.pem_private_key, ReadPem("--tls-key", options.tls_key));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  // No proxy of the environment: whom we trust is who we talk to.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!options.tls_server_name.empty()) arguments.SetSslTargetNameOverride(options.tls_server_name);
  auto channel =
      grpc::CreateCustomChannel(absl::StrCat("dns:///", options.target), grpc::SslCredentials(files), arguments);
  const auto deadline = std::chrono::system_clock::now() + absl::ToChronoMicroseconds(options.timeout);
  for (grpc_connectivity_state state = channel->GetState(true); state != GRPC_CHANNEL_READY;
       state = channel->GetState(true)) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
      return WhyNotConnected(channel, options.target);
    }
    if (!channel->WaitForStateChange(state, deadline)) {
      return absl::DeadlineExceededError(absl::StrCat(options.target, ": no connection in time"));
    }
  }
  return channel;
}

// The calls that are under way, so that another thread can cancel them. Any thread.
class OpenCalls {
 public:
  // Lists a call for as long as it lives.
  class Entry {
   public:
    Entry(OpenCalls* calls, grpc::ClientContext* context) : calls_(calls), context_(context) {
      MutexLock lock(&calls_->mu_);
      calls_->open_.insert(context_);
      if (calls_->cancelled_) context_->TryCancel();
    }
    ~Entry() {
      MutexLock lock(&calls_->mu_);
      calls_->open_.erase(context_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    OpenCalls* const calls_;
    grpc::ClientContext* const context_;
  };

  void Cancel() {
    MutexLock lock(&mu_);
    cancelled_ = true;
    for (grpc::ClientContext* context : open_) context->TryCancel();
  }

 private:
  Mutex mu_;
  std::set<grpc::ClientContext*> open_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

struct Client::Impl {
  Impl(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout)
      : timeout(timeout),
        policy(v1::DaxPolicyService::NewStub(channel)),
        window(v1::DaxWindowService::NewStub(channel)),
        machine(v1::MachineService::NewStub(channel)),
        health(health::Health::NewStub(channel)) {}

  // Calls one method of a stub with a deadline.
  template <typename Response, typename Stub, typename Request, typename Method>
  absl::StatusOr<Response> Call(Stub* stub, Method method, const Request& request) {
    grpc::ClientContext context;
    const OpenCalls::Entry entry(&calls, &context);
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
    Response response;
    const grpc::Status status = (stub->*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }

  // Reads one stream to its end.
  template <typename Response, typename Stub, typename Request, typename Method>
  absl::Status Watch(Stub* stub, Method method, const Request& request, std::optional<absl::Duration> limit,
                     const std::function<bool(const Response&)>& update) {
    grpc::ClientContext context;
    const OpenCalls::Entry entry(&calls, &context);
    if (limit) context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(*limit));
    const auto reader = (stub->*method)(&context, request);
    Response response;
    while (reader->Read(&response)) {
      if (!update(response)) context.TryCancel();
    }
    return FromGrpc(reader->Finish());
  }

  const absl::Duration timeout;
  const std::unique_ptr<v1::DaxPolicyService::Stub> policy;
  const std::unique_ptr<v1::DaxWindowService::Stub> window;
  const std::unique_ptr<v1::MachineService::Stub> machine;
  const std::unique_ptr<health::Health::Stub> health;
  OpenCalls calls;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  const bool tls = !options.tls_ca.empty() || !options.tls_cert.empty() || !options.tls_key.empty();
  if (!tls) {
    ASSIGN_OR_RETURN(UniqueFd fd, ConnectSocket(options.target, options.timeout));
    return FromConnection(std::move(fd), options.timeout);
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, ConnectTls(options));
  return std::unique_ptr<Client>(new Client(std::make_unique<Impl>(channel, options.timeout)));
}

absl::StatusOr<std::unique_ptr<Client>> Client::FromConnection(UniqueFd connection, absl::Duration timeout) {
  const int flags = fcntl(connection.get(), F_GETFL);
  if (flags < 0 || fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK) != 0) return ErrnoStatus(errno, "O_NONBLOCK");
  return std::unique_ptr<Client>(new Client(std::make_unique<Impl>(ChannelOver(std::move(connection)), timeout)));
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& path, absl::Duration timeout) {
  return Connect(ClientOptions{.target = path, .timeout = timeout});
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<v1::GetPolicyResponse> Client::GetPolicy() {
  return impl_->Call<v1::GetPolicyResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::GetPolicy,
                                            v1::GetPolicyRequest());
}

absl::StatusOr<v1::SetPolicyResponse> Client::ReplacePolicy(const v1::SetPolicyRequest& request) {
  return impl_->Call<v1::SetPolicyResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::SetPolicy, request);
}

absl::StatusOr<uint64_t> Client::SetPolicy(const v1::SetPolicyRequest& request) {
  ASSIGN_OR_RETURN(const v1::SetPolicyResponse response, ReplacePolicy(request));
  return response.generation();
}

absl::StatusOr<uint64_t> Client::SetNamedPolicy(const std::string& name, std::optional<uint64_t> expected_generation) {
  v1::SetPolicyRequest request;
  request.set_named_policy(name);
  if (expected_generation.has_value()) request.set_expected_generation(*expected_generation);
  return SetPolicy(request);
}

absl::StatusOr<v1::ListPolicyHistoryResponse> Client::ListPolicyHistory(uint32_t limit) {
  v1::ListPolicyHistoryRequest request;
  request.set_limit(limit);
  return impl_->Call<v1::ListPolicyHistoryResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::ListPolicyHistory,
                                                    request);
}

absl::StatusOr<v1::SetFileOverrideResponse> Client::SetFileOverride(const v1::SetFileOverrideRequest& request) {
  return impl_->Call<v1::SetFileOverrideResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::SetFileOverride,
                                                  request);
}

absl::StatusOr<v1::ClearFileOverrideResponse> Client::ClearFileOverride(const v1::ClearFileOverrideRequest& request) {
  return impl_->Call<v1::ClearFileOverrideResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::ClearFileOverride,
                                                    request);
}

absl::StatusOr<v1::ExplainFileResponse> Client::ExplainFile(const v1::ExplainFileRequest& request) {
  return impl_->Call<v1::ExplainFileResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::ExplainFile, request);
}

absl::Status Client::WatchConvergence(const v1::WatchConvergenceRequest& request, std::optional<absl::Duration> limit,
                                      const std::function<bool(const v1::WatchConvergenceResponse&)>& update) {
  return impl_->Watch<v1::WatchConvergenceResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::WatchConvergence,
                                                    request, limit, update);
}

absl::StatusOr<v1::ListFilesResponse> Client::ListFiles(const std::string& share) {
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    v1::ListFilesRequest request;
    request.set_share(share);
    request.set_page_size(UINT32_MAX);
    ASSIGN_OR_RETURN(v1::ListFilesResponse all, ListFiles(request));
    bool one_generation = true;
    while (one_generation && !all.next_page_token().empty()) {
      request.set_page_token(all.next_page_token());
      ASSIGN_OR_RETURN(v1::ListFilesResponse page, ListFiles(request));
      one_generation = page.generation() == all.generation();
      all.MergeFrom(page);
      all.set_next_page_token(page.next_page_token());  // an empty one is not merged
    }
    all.set_total_size(static_cast<uint64_t>(all.files_size()));
    if (one_generation) return all;
  }
  return absl::AbortedError("the policy keeps changing; try again");
}

absl::StatusOr<v1::ListFilesResponse> Client::ListFiles(const v1::ListFilesRequest& request) {
  return impl_->Call<v1::ListFilesResponse>(impl_->policy.get(), &v1::DaxPolicyService::Stub::ListFiles, request);
}

absl::Status Client::WatchWindow(const v1::WatchWindowRequest& request, std::optional<absl::Duration> limit,
                                 const std::function<bool(const v1::WatchWindowResponse&)>& update) {
  return impl_->Watch<v1::WatchWindowResponse>(impl_->window.get(), &v1::DaxWindowService::Stub::WatchWindow, request,
                                               limit, update);
}

absl::StatusOr<v1::ListMappingsResponse> Client::ListMappings(const v1::ListMappingsRequest& request) {
  return impl_->Call<v1::ListMappingsResponse>(impl_->window.get(), &v1::DaxWindowService::Stub::ListMappings, request);
}

absl::StatusOr<v1::Machine> Client::GetMachine() {
  return impl_->Call<v1::Machine>(impl_->machine.get(), &v1::MachineService::Stub::GetMachine, v1::GetMachineRequest());
}

absl::StatusOr<v1::Machine> Client::StartMachine() {
  return impl_->Call<v1::Machine>(impl_->machine.get(), &v1::MachineService::Stub::StartMachine,
                                  v1::StartMachineRequest());
}

absl::StatusOr<v1::Machine> Client::PauseMachine() {
  return impl_->Call<v1::Machine>(impl_->machine.get(), &v1::MachineService::Stub::PauseMachine,
                                  v1::PauseMachineRequest());
}

absl::StatusOr<v1::Machine> Client::ResumeMachine() {
  return impl_->Call<v1::Machine>(impl_->machine.get(), &v1::MachineService::Stub::ResumeMachine,
                                  v1::ResumeMachineRequest());
}

absl::StatusOr<v1::ShutdownMachineResponse> Client::ShutdownMachine(const v1::ShutdownMachineRequest& request) {
  return impl_->Call<v1::ShutdownMachineResponse>(impl_->machine.get(), &v1::MachineService::Stub::ShutdownMachine,
                                                  request);
}

absl::StatusOr<v1::GetWindowResponse> Client::GetWindow(const std::string& share) {
  v1::GetWindowRequest request;
  request.set_share(share);
  return impl_->Call<v1::GetWindowResponse>(impl_->window.get(), &v1::DaxWindowService::Stub::GetWindow, request);
}

absl::Status Client::WatchEvents(const v1::WatchEventsRequest& request, std::optional<absl::Duration> limit,
                                 const std::function<bool(const v1::WatchEventsResponse&)>& update) {
  return impl_->Watch<v1::WatchEventsResponse>(impl_->machine.get(), &v1::MachineService::Stub::WatchEvents, request,
                                               limit, update);
}

absl::Status Client::ReadConsole(const v1::ReadConsoleRequest& request, std::optional<absl::Duration> limit,
                                 const std::function<bool(const v1::ReadConsoleResponse&)>& update) {
  return impl_->Watch<v1::ReadConsoleResponse>(impl_->machine.get(), &v1::MachineService::Stub::ReadConsole, request,
                                               limit, update);
}

absl::StatusOr<v1::Share> Client::AddShare(const v1::AddShareRequest& request) {
  return impl_->Call<v1::Share>(impl_->machine.get(), &v1::MachineService::Stub::AddShare, request);
}

absl::StatusOr<v1::RemoveShareResponse> Client::RemoveShare(const v1::RemoveShareRequest& request) {
  return impl_->Call<v1::RemoveShareResponse>(impl_->machine.get(), &v1::MachineService::Stub::RemoveShare, request);
}

absl::StatusOr<std::string> Client::CheckHealth(const std::string& service) {
  health::HealthCheckRequest request;
  request.set_service(service);
  ASSIGN_OR_RETURN(
      const health::HealthCheckResponse response,
      impl_->Call<health::HealthCheckResponse>(impl_->health.get(), &health::Health::Stub::Check, request));
  return health::HealthCheckResponse::ServingStatus_Name(response.status());
}

void Client::Cancel() { impl_->calls.Cancel(); }

}  // namespace daxvmm::control
