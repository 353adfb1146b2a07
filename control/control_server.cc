#include "control/control_server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "base/event_fd.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/named_thread.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "control/acceptor.h"
#include "control/call_counts.h"
#include "control/call_counts_report.h"
#include "control/call_thread.h"
#include "control/convergence_hub.h"
#include "control/log_streams.h"
#include "control/principals.h"
#include "control/window_hub.h"

namespace daxvmm::control {
namespace {

constexpr std::chrono::seconds kShutdownGrace(1);
// Each server has one of gRPC's synchronous threads, which only reflection uses, and some more for all.
constexpr int kSpareThreads = 8;

// A duplicate that does not block; an invalid one of -1.
absl::StatusOr<UniqueFd> TakeListener(int fd) {
  if (fd < 0) return UniqueFd();
  UniqueFd listener(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!listener.valid()) return ErrnoStatus(errno, "control: cannot duplicate the listening socket");
  const int flags = fcntl(listener.get(), F_GETFL);
  if (flags < 0 || fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "control: cannot make the listening socket non-blocking");
  }
  return listener;
}

}  // namespace

struct ControlServer::Impl {
  // What the services stand on. Its threads keep the process's nice value: they take locks that the guest's requests
  // take too, and whoever gives way while holding one makes them wait.
  struct Base {
    explicit Base(Controller* controller)
        : hub(controller), streams(&controller->events(), &controller->console()), windows(controller) {}
    CallCounts counts;
    const CallCountsReport reported{&counts};
    ConvergenceHub hub;
    LogStreams streams;
    WindowHub windows;
    CallThread calls;
    ServerParts parts;
  };

  void Serve(Controller* controller, const ControlServerOptions& options);
  absl::Status Prepare(Controller* controller, const ControlServerOptions& options);
  void Started(absl::Status status);

  Controller* controller = nullptr;
  UniqueFd unix_listener;
  UniqueFd tcp_listener;
  std::optional<EventFd> stop;
  std::unique_ptr<Base> base;
  std::unique_ptr<Principals> principals;
  Mutex mu;
  CondVar changed;
  std::optional<absl::Status> started ABSL_GUARDED_BY(mu);
  NamedThread accept_thread;
};

absl::Status ControlServer::Impl::Prepare(Controller* controller, const ControlServerOptions& options) {
  base->parts.services = {.controller = controller,
                          .hub = &base->hub,
                          .streams = &base->streams,
                          .windows = &base->windows,
                          .calls = &base->calls,
                          .counts = &base->counts};
  base->parts.limits = options.limits;
  base->parts.quota.Resize(options.limits.memory_bytes)
      .SetMaxThreads(static_cast<int>(options.limits.principals) + 1 + kSpareThreads);
  principals = std::make_unique<Principals>(base->parts);
  if (tcp_listener.valid()) RETURN_IF_ERROR(principals->StartTls(options.tls, options.allow));
  // The first one takes the longest, so the likeliest caller does not wait for it.
  if (unix_listener.valid()) RETURN_IF_ERROR(principals->Prepare(geteuid(), Role::kOperator));
  return absl::OkStatus();
}

void ControlServer::Impl::Started(absl::Status status) {
  MutexLock lock(&mu);
  started = std::move(status);
  changed.Signal();
}

void ControlServer::Impl::Serve(Controller* controller, const ControlServerOptions& options) {
  base = std::make_unique<Base>(controller);
  if (options.limits.nice != 0 && setpriority(PRIO_PROCESS, gettid(), options.limits.nice) != 0) {
    LOG(kWarning) << std::string(ErrnoStatus(errno, "control: setpriority").message());
  }
  const absl::Status prepared = Prepare(controller, options);
  Started(prepared);
  if (!prepared.ok()) return;
  Acceptor acceptor(std::move(unix_listener), std::move(tcp_listener), options.allow, &*stop, principals.get());
  acceptor.Run();
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(Controller* controller,
                                                                    const ControlServerOptions& options) {
  if (options.unix_listener < 0 && options.tcp_listener < 0) {
    return absl::InvalidArgumentError("control: there is no listening socket");
  }
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->unix_listener, TakeListener(options.unix_listener));
  ASSIGN_OR_RETURN(impl->tcp_listener, TakeListener(options.tcp_listener));
  ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  impl->stop.emplace(std::move(stop));
  Impl* const raw = impl.get();
  // gRPC's threads inherit the signal mask of the thread that makes them: all of this one's are blocked.
  impl->accept_thread = NamedThread("control-accept", [raw, controller, options] { raw->Serve(controller, options); });
  {
    MutexLock lock(&impl->mu);
    while (!impl->started) impl->changed.Wait(&impl->mu);
    RETURN_IF_ERROR(*impl->started);
  }
  impl->controller = controller;
  controller->SetCallCounts(&impl->base->reported);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  impl_->stop->Signal();
  impl_->accept_thread.Join();
  // What would run on, or wait, is ended first: the server's grace is for what is being answered.
  impl_->base->hub.Stop();
  impl_->base->streams.Stop();
  impl_->base->windows.Stop();
  impl_->base->calls.Stop();
  impl_->principals->Stop(std::chrono::system_clock::now() + kShutdownGrace);
  impl_->controller->SetCallCounts(nullptr);
}

}  // namespace daxvmm::control
