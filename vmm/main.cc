// The program `daxvmm`.
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/service_notify.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "base/version.h"
#include "control/metrics/endpoint.h"
#include "control/metrics/loader.h"
#include "control/policy_file.h"
#include "control/policy_file_watch.h"
#include "control/server_loader.h"
#include "vmm/console.h"
#include "vmm/control_options.h"
#include "vmm/machine.h"
#include "vmm/run_options.h"
#include "vmm/terminal.h"

namespace daxvmm::vmm {
namespace {

constexpr char kUsage[] = R"(Usage: daxvmm run --kernel FILE [FLAG ...]   boot a microVM (see daxvmm run --help)
       daxvmm --version
       daxvmm --help
)";

// One line, whatever a path has in it.
int UsageError(std::string message) {
  for (char& c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  fprintf(stderr, "daxvmm: %s\n", message.c_str());
  return kUsageExitStatus;
}

// The fields of MachineConfig that errors begin with, as flags; what is wrong with the KVM device begins with its path
// or the name of an ioctl.
std::string AsFlagError(const absl::Status& status, const MachineConfig& config) {
  std::string message(status.message());
  if (!config.policy_file.empty() && absl::StartsWith(message, "policy: ")) {
    return absl::StrCat("--policy-file: ", config.policy_file,
                        ": with the rules of shares in front: ", message.substr(message.find(' ') + 1));
  }
  if (absl::StartsWith(message, config.kvm_path + ": ") || absl::StartsWith(message, "KVM_")) {
    return absl::StrCat("--kvm: ", message);
  }
  for (const char* field :
       {"kernel: ", "initrd: ", "cmdline: ", "mem: ", "cpus: ", "share: ", "policy: ", "state-dir: ", "audit-log: "}) {
    if (absl::StartsWith(message, field)) return absl::StrCat("--", message);
  }
  return message;
}

// SIGTERM, SIGINT and SIGHUP ask the guest to power off, SIGUSR1 asks where its vCPUs are, SIGCONT puts the terminal
// right; all by way of a descriptor.
absl::StatusOr<UniqueFd> TakeSignals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCONT}) sigaddset(&handled, signal);
  pthread_sigmask(SIG_BLOCK, &handled, nullptr);
  signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "signalfd");
  return fd;
}

// Files that the guest has open cost descriptors, and where file handles do not work so does each one that it knows:
// take what the hard limit allows.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The service manager, where there is one.
void Notify(absl::string_view state) {
  if (const absl::Status sent = NotifyServiceManager(state); !sent.ok()) {
    LOG(kWarning) << std::string(sent.message());
  }
}

// What serves metrics once the guest runs.
struct Metrics {
  control::MetricsSocket socket;
  std::string library;
};

absl::StatusOr<Metrics> BindMetrics(const control::MetricsEndpoint& endpoint) {
  absl::StatusOr<std::string> library = control::LocateMetricsLibrary();
  if (!library.ok()) {
    return absl::Status(library.status().code(), absl::StrCat("--metrics: ", library.status().message()));
  }
  ASSIGN_OR_RETURN(control::MetricsSocket socket, control::MetricsSocket::Bind(endpoint));
  return Metrics{std::move(socket), *std::move(library)};
}

// Runs a machine to its end on the main thread.
class Runner {
 public:
  Runner(const RunOptions& options, Machine* machine, RawTerminal* terminal, UniqueFd signals)
      : options_(options), machine_(machine), terminal_(terminal), signals_(std::move(signals)) {}

  absl::Status Run(const ControlSockets& sockets, const std::string& control_library,
                   const std::optional<Metrics>& metrics) {
    RETURN_IF_ERROR(machine_->Start(options_.paused ? Machine::StartMode::kWait : Machine::StartMode::kRun));
    std::optional<control::LoadedControlServer> server;
    std::optional<control::LoadedMetricsServer> metrics_server;
    // While nothing runs there is no guest to be delayed, and somebody has to start it.
    bool serve = options_.paused;
    bool ready = false;
    for (;;) {
      if (serve && !std::exchange(ready, true)) {
        if (options_.control.any()) {
          ASSIGN_OR_RETURN(server, control::LoadedControlServer::Start(
                                       machine_, ServerOptions(options_.control, sockets), control_library));
        }
        if (metrics.has_value()) {
          ASSIGN_OR_RETURN(metrics_server, control::LoadedMetricsServer::Start(machine_, metrics->socket.listen_fd(),
                                                                               metrics->library));
        }
        Notify("READY=1");
      }
      pollfd fds[3] = {{machine_->end_event().fd(), POLLIN, 0},
                       {signals_.get(), POLLIN, 0},
                       {machine_->first_entry_event().fd(), POLLIN, 0}};
      if (poll(fds, 3, -1) < 0 && errno != EINTR) return ErrnoStatus(errno, "poll");
      if (machine_->end().has_value()) return absl::OkStatus();
      if ((fds[1].revents & POLLIN) != 0) TakeSignal();
      if ((fds[2].revents & POLLIN) != 0 && machine_->first_entry_event().Drain()) serve = true;
    }
  }

 private:
  void TakeSignal() {
    signalfd_siginfo info{};
    if (read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
    if (info.ssi_signo == SIGCONT) {
      terminal_->Resume();
      return;
    }
    if (info.ssi_signo == SIGUSR1) {
      machine_->ReportVcpus();
      return;
    }
    const char* name = strsignal(static_cast<int>(info.ssi_signo));
    if (std::exchange(asked_, true)) {
      machine_->Stop(absl::StrCat("ended by a second signal (", name, ")"));
      return;
    }
    LOG(kInfo) << name << ": the guest is asked to power off";
    Notify("STOPPING=1");
    // What was asked for over the control plane, and is due before, stays.
    const absl::Time ours = absl::Now() + absl::FromChrono(options_.machine.shutdown_timeout);
    if (const std::optional<absl::Time> due = machine_->GetMachine().force_at; due.has_value() && *due <= ours) return;
    if (const auto asked = machine_->ShutdownMachine({.requester = absl::StrCat("signal (", name, ")")}); !asked.ok()) {
      LOG(kDebug) << asked.status().ToString();  // it has just ended
    }
  }

  const RunOptions& options_;
  Machine* const machine_;
  RawTerminal* const terminal_;
  UniqueFd signals_;
  bool asked_ = false;  // to power off, by a signal
};

// The policy file at start, and what is needed to read it again.
struct PolicyFile {
  control::PolicyParser parser;
  std::string content;
};

// Reads the file into `machine->policy`.
absl::StatusOr<PolicyFile> ReadPolicyFile(const std::string& control_library, MachineConfig* machine) {
  ASSIGN_OR_RETURN(control::PolicyParser parser, control::PolicyParser::Load(control_library));
  ASSIGN_OR_RETURN(std::string content, control::ReadPolicyFile(machine->policy_file));
  ASSIGN_OR_RETURN(machine->policy, parser.Parse(content, machine->policy_file));
  return PolicyFile{parser, std::move(content)};
}

absl::StatusOr<std::unique_ptr<control::PolicyFileWatch>> WatchPolicyFile(const PolicyFile& file,
                                                                          const std::string& path, Machine* machine) {
  return control::PolicyFileWatch::Start(
      {.path = path,
       .known_content = file.content,
       .parse = [parser = file.parser, path](absl::string_view text) { return parser.Parse(text, path); },
       .take = [machine](const dax::Policy& policy) { return machine->SetPolicyFromFile(policy).status(); },
       .report = [machine](const absl::Status& error) { machine->ReportPolicyFile(error); }});
}

// What can go wrong before the guest runs ends here, with nothing left behind.
int RunMachine(const RunOptions& options) {
  SetLogLevel(options.log_level);
  RaiseDescriptorLimit();
  absl::StatusOr<UniqueFd> signals = TakeSignals();
  if (!signals.ok()) return UsageError(std::string(signals.status().message()));

  MachineConfig config = options.machine;
  std::string control_library;
  if (options.control.any() || !config.policy_file.empty()) {
    absl::StatusOr<std::string> library = control::LocateControlLibrary();
    if (!library.ok()) {
      return UsageError(
          absl::StrCat(!options.control.any() ? "--policy-file: " : "--control: ", library.status().message()));
    }
    control_library = *std::move(library);
  }
  std::optional<PolicyFile> policy_file;
  if (!config.policy_file.empty()) {
    absl::StatusOr<PolicyFile> read = ReadPolicyFile(control_library, &config);
    if (!read.ok()) return UsageError(absl::StrCat("--policy-file: ", read.status().message()));
    policy_file = *std::move(read);
  }
  if (!options.control.tcp.empty()) {
    const absl::Status tls = control::CheckTlsFilesByLibrary(options.control.tls, control_library);
    if (!tls.ok()) return UsageError(std::string(tls.message()));
  }
  absl::StatusOr<ControlSockets> sockets = BindControl(options.control);
  if (!sockets.ok()) return UsageError(std::string(sockets.status().message()));

  std::optional<Metrics> metrics;
  if (options.metrics.has_value()) {
    absl::StatusOr<Metrics> bound = BindMetrics(*options.metrics);
    if (!bound.ok()) return UsageError(std::string(bound.status().message()));
    metrics = *std::move(bound);
  }

  // Made once there is a machine to take its input; no vCPU runs before.
  std::unique_ptr<Console> console;
  absl::StatusOr<std::unique_ptr<Machine>> machine =
      Machine::Create(config, {.output = [&console](std::span<const uint8_t> data) { console->Output(data); },
                               .input_room = [&console] { console->InputRoomAvailable(); }});
  if (!machine.ok()) return UsageError(AsFlagError(machine.status(), config));
  Machine* const to = machine->get();
  RawTerminal terminal(STDIN_FILENO);
  absl::StatusOr<std::unique_ptr<Console>> made =
      Console::Create({.input_fd = STDIN_FILENO,
                       .output_fd = STDOUT_FILENO,
                       .to_guest = [to](std::span<const uint8_t> bytes) { return to->ConsoleInput(bytes); },
                       .on_quit = [to] { to->Stop("ended from the console"); }});
  if (!made.ok()) return UsageError(std::string(made.status().message()));
  console = *std::move(made);

  std::unique_ptr<control::PolicyFileWatch> watch;
  if (policy_file.has_value()) {
    auto started = WatchPolicyFile(*policy_file, config.policy_file, to);
    if (!started.ok()) return UsageError(absl::StrCat("--policy-file: ", started.status().message()));
    watch = *std::move(started);
  }

  // A warning, so that it shows by default: with port 0 nobody knows it otherwise.
  if (sockets->tcp) LOG(kWarning) << "control: listening on " << sockets->tcp->address << " with TLS";
  Runner runner(options, to, &terminal, *std::move(signals));
  const absl::Status status = runner.Run(*sockets, control_library, metrics);
  if (!status.ok()) to->Stop("");
  const std::optional<GuestEnd> end = to->end();
  // A vCPU may be waiting for the console: let it go. Then nothing is added to what the console still has to print.
  console->ReleaseWriters();
  watch.reset();
  to->Halt();
  console.reset();
  if (!status.ok()) {
    LOG(kError) << std::string(status.message());
    return ExitStatus(GuestEndKind::kHostError);
  }
  if (!end->message.empty()) {
    LOG(kError) << end->message;
  }
  return ExitStatus(end->kind);
}

int Main(int argc, char** argv) {
  const std::span<const char* const> arguments(argv + 1, argc > 0 ? static_cast<size_t>(argc - 1) : 0);
  if (arguments.empty()) {
    fputs(kUsage, stderr);
    return kUsageExitStatus;
  }
  const std::string command = arguments[0];
  if (command == "--help" || command == "-h" || command == "help") {
    fputs(kUsage, stdout);
    return 0;
  }
  if (command == "--version") {
    printf("daxvmm %s\n", kVersion);
    return 0;
  }
  if (command != "run") return UsageError(absl::StrCat("'", command, "' is no command; see daxvmm --help"));
  const absl::StatusOr<RunOptions> options = ParseRunOptions(arguments.subspan(1));
  if (!options.ok()) return UsageError(std::string(options.status().message()));
  if (options->help) {
    fputs(RunHelp().c_str(), stdout);
    return 0;
  }
  return RunMachine(*options);
}

}  // namespace
}  // namespace daxvmm::vmm

int main(int argc, char** argv) { return daxvmm::vmm::Main(argc, argv); }
