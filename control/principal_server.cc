#include "control/principal_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <mutex>
#include <utility>

#include "control/grpc_status.h"
#include "control/services.h"

namespace daxvmm::control {
namespace {

// Only reflection uses gRPC's synchronous threads; each of its streams occupies one while it lasts.
constexpr int kMaxSyncThreads = 8;
// How often certificates are looked at for a change.
constexpr unsigned kCertificateSeconds = 5;
// gRPC's own defaults, said here since much hangs on them: a client that pings more often without any data is told to
// calm down and hung up on.
constexpr int kMinPingIntervalMs = 300'000;
constexpr int kMaxPingStrikes = 2;

std::string PathOf(const grpc::AuthMetadataProcessor::InputMetadata& metadata) {
  const auto path = metadata.find(":path");
  return path == metadata.end() ? "" : std::string(path->second.data(), path->second.size());
}

// Sees each call's header block, before its request is read.
class ArrivalProcessor final : public grpc::AuthMetadataProcessor {
 public:
  ArrivalProcessor(CallGate* gate, CallCounts* counts) : gate_(gate), counts_(counts) {}

  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata* /*consumed*/,
                       OutputMetadata* /*response*/) override {
    const absl::Status status = gate_->Arrive(context);
    if (!status.ok() && counts_ != nullptr) counts_->Add(PathOf(metadata), static_cast<int>(status.code()));
    return ToGrpc(status);
  }

 private:
  CallGate* const gate_;
  CallCounts* const counts_;
};

// Sees each call from when its request has been read to its end.
class CallWatch final : public grpc::experimental::Interceptor {
 public:
  CallWatch(CallBudget* budget, CallCounts* counts, const char* method)
      : budget_(budget), counts_(counts), method_(method) {
    if (budget_ != nullptr) budget_->Begun();
  }
  ~CallWatch() override {
    if (budget_ != nullptr) budget_->Answered(bytes_);
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (budget_ != nullptr && methods->QueryInterceptionHookPoint(Point::PRE_SEND_MESSAGE)) {
      // Of a stream only one message is under way at a time.
      budget_->Answered(std::exchange(bytes_, 0));
      const grpc::ByteBuffer* const message = methods->GetSerializedSendMessage();
      bytes_ = message != nullptr && message->Valid() ? static_cast<int64_t>(message->Length()) : 0;
      budget_->Answering(bytes_);
    }
    if (counts_ != nullptr && methods->QueryInterceptionHookPoint(Point::PRE_SEND_STATUS)) {
      counts_->Add(method_, methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  CallBudget* const budget_;
  CallCounts* const counts_;
  const char* const method_;  // gRPC's, as long as the call
  int64_t bytes_ = 0;
};

class CallWatchFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallWatchFactory(CallGate* gate, CallCounts* counts) : gate_(gate), counts_(counts) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    CallBudget* budget = gate_->budget();
    if (budget == nullptr) budget = gate_->BudgetOf(info->server_context()->auth_context().get());
    return new CallWatch(budget, counts_, info->method());
  }

 private:
  CallGate* const gate_;
  CallCounts* const counts_;
};

void ApplyLimits(const ControlLimits& limits, grpc::ServerBuilder* builder) {
  const auto ms = [](std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); };
  builder->SetMaxReceiveMessageSize(limits.request_bytes);
  builder->SetMaxSendMessageSize(limits.response_bytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits.metadata_bytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams_per_connection);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, ms(limits.handshake));
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMaxPingStrikes);
}

}  // namespace

CallBudget::Limits BudgetOf(const ControlLimits& limits) {
  return {.calls_per_second = limits.calls_per_second,
          .burst = limits.call_burst,
          .refusals_per_second = limits.refusals_per_second,
          .without_request = limits.calls_without_request,
          .answer_bytes = limits.answer_bytes};
}

absl::StatusOr<std::unique_ptr<PrincipalServer>> PrincipalServer::Start(
    const ServerParts& parts, std::unique_ptr<CallGate> gate, std::shared_ptr<grpc::ServerCredentials> credentials) {
  std::unique_ptr<PrincipalServer> made(new PrincipalServer());
  made->gate_ = std::move(gate);
  ServiceParts services = parts.services;
  services.gate = made->gate_.get();
  made->gate_->SetAuditLog(services.controller->audit_log());
  made->services_.push_back(NewDaxPolicyService(services));
  made->services_.push_back(NewDaxWindowService(services));
  made->services_.push_back(NewMachineService(services));
  credentials->SetAuthMetadataProcessor(std::make_shared<ArrivalProcessor>(services.gate, services.counts));

  // Both concern the servers built from now on in this process.
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
  grpc::ServerBuilder builder;
  ApplyLimits(parts.limits, &builder);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  builder.SetResourceQuota(parts.quota);
  if (made->gate_->budget() == nullptr) {
    // The kernel tells at once that the peer of a Unix socket is gone; that of TCP has to be asked.
    const int ms = static_cast<int>(parts.limits.keepalive.count());
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> watches;
  watches.push_back(std::make_unique<CallWatchFactory>(services.gate, services.counts));
  builder.experimental().SetInterceptorCreators(std::move(watches));
  for (const auto& service : made->services_) builder.RegisterService(service.get());
  // Accepting ourselves gives the peer's credentials, and a socket that stood before gRPC was loaded.
  made->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, std::move(credentials));
  made->server_ = builder.BuildAndStart();
  if (made->server_ == nullptr) return absl::InternalError("control: gRPC did not start");
  for (const char* name : kServiceNames) made->server_->GetHealthCheckService()->SetServingStatus(name, true);
  return made;
}

PrincipalServer::PrincipalServer() = default;
PrincipalServer::~PrincipalServer() { Stop(std::chrono::system_clock::now()); }

void PrincipalServer::Take(UniqueFd connection) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.fd = connection.release();
  acceptor_->HandleNewConnection(&parameters);
}

void PrincipalServer::Stop(std::chrono::system_clock::time_point deadline) {
  if (server_ == nullptr) return;
  server_->GetHealthCheckService()->Shutdown();
  server_->Shutdown(deadline);
  server_->Wait();
  server_.reset();
}

std::shared_ptr<grpc::ServerCredentials> LocalCredentials() {
  // Nothing goes over the wire for them: clients use insecure ones.
  return grpc::experimental::LocalServerCredentials(UDS);
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files) {
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(files.key, files.certificate,
                                                                           files.client_ca, kCertificateSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace daxvmm::control
