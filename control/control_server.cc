#include "control/control_server.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "base/log.h"
#include "base/named_thread.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "control/call_gate.h"
#include "control/call_thread.h"
#include "control/convergence_hub.h"
#include "control/log_streams.h"
#include "control/services.h"

namespace daxvmm::control {
namespace {

constexpr std::chrono::seconds kShutdownGrace(1);
constexpr int kMaxConcurrentStreams = 64;  // per connection
// Only reflection uses gRPC's synchronous threads; each of its streams occupies one while it lasts.
constexpr int kMaxSyncThreads = 8;
// How long the listener rests after accept() failed for want of descriptors or memory.
constexpr int kAcceptRestMs = 100;

// The root of a user namespace, or of the host, may attach to the process anyway.
bool MayConnect(const ucred& peer) { return peer.uid == geteuid() || peer.uid == 0; }

}  // namespace

struct ControlServer::Impl {
  explicit Impl(Controller* controller) : hub(controller), streams(&controller->events(), &controller->console()) {}

  ConvergenceHub hub;
  LogStreams streams;
  CallThread calls;
  std::optional<CallGate> gate;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  UniqueFd listener;
  std::optional<EventFd> stop;
  NamedThread accept_thread;

  void AcceptLoop();
  void AcceptAll();
};

void ControlServer::Impl::AcceptLoop() {
  pollfd waits[2] = {{.fd = stop->fd(), .events = POLLIN, .revents = 0},
                     {.fd = listener.get(), .events = POLLIN, .revents = 0}};
  for (;;) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) {
      LOG(kError) << "control: poll: " << std::string(ErrnoStatus(errno, "no further connection").message());
      return;
    }
    if (waits[0].revents != 0) return;
    if (waits[1].revents != 0) AcceptAll();
  }
}

void ControlServer::Impl::AcceptAll() {
  for (;;) {
    UniqueFd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
      LOG_LIMITED(kWarning) << std::string(ErrnoStatus(errno, "control: accept").message());
      pollfd rest = {.fd = stop->fd(), .events = POLLIN, .revents = 0};
      poll(&rest, 1, kAcceptRestMs);
      return;
    }
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || !MayConnect(peer)) {
      LOG_LIMITED(kWarning) << "control: refused a connection of uid " << peer.uid << ", pid " << peer.pid;
      continue;
    }
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listener.get();
    parameters.fd = connection.release();
    acceptor->HandleNewConnection(&parameters);
  }
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(Controller* controller, int listen_fd) {
  auto impl = std::make_unique<Impl>(controller);
  impl->listener = UniqueFd(fcntl(listen_fd, F_DUPFD_CLOEXEC, 0));
  if (!impl->listener.valid()) return ErrnoStatus(errno, "control: cannot duplicate the listening socket");
  const int flags = fcntl(impl->listener.get(), F_GETFL);
  if (flags < 0 || fcntl(impl->listener.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "control: cannot make the listening socket non-blocking");
  }
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  impl->stop.emplace(std::move(stop));
  // MayConnect above: gRPC does not tell which of them a call is from.
  const uid_t self = geteuid();
  impl->gate.emplace(Caller{.who = absl::StrCat("uid ", self, self == 0 ? "" : " or 0"), .role = Role::kOperator});
  const ServiceParts parts = {.controller = controller,
                              .hub = &impl->hub,
                              .streams = &impl->streams,
                              .calls = &impl->calls,
                              .gate = &*impl->gate};
  impl->services.push_back(NewDaxPolicyService(parts));
  impl->services.push_back(NewDaxWindowService(parts));
  impl->services.push_back(NewMachineService(parts));

  // gRPC's threads inherit the mask of the thread that makes them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  absl::Cleanup restore_mask = [&before] { pthread_sigmask(SIG_SETMASK, &before, nullptr); };

  // Both concern the servers built from now on in this process.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  builder.SetResourceQuota(grpc::ResourceQuota("daxvmm control").SetMaxThreads(kMaxSyncThreads));
  for (const auto& service : impl->services) builder.RegisterService(service.get());
  // Accepting ourselves gives the peer's credentials, and a socket that stood before gRPC was loaded.
  impl->acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return absl::InternalError("control: gRPC did not start");
  for (const char* name : kServiceNames) impl->server->GetHealthCheckService()->SetServingStatus(name, true);

  Impl* const raw = impl.get();
  impl->accept_thread = NamedThread("control-accept", [raw] { raw->AcceptLoop(); });
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  impl_->stop->Signal();
  impl_->accept_thread.Join();
  // What would run on, or wait, is ended first: the server's grace is for what is being answered.
  impl_->hub.Stop();
  impl_->streams.Stop();
  impl_->calls.Stop();
  impl_->server->GetHealthCheckService()->Shutdown();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  impl_->server->Wait();
}

}  // namespace daxvmm::control
