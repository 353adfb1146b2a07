// What clients of the control plane cost a guest: the time of GETATTR through a whole virtio-fs device (rings, worker
// thread, file system), with no client, with 1,000 calls a second, and with clients that misbehave in every way at
// once. Then what a call costs beside a round trip over a bare Unix socket.
//
// control_abuse_bench [NICE]: the nice value of the server's threads; 0 by default. Clients are processes of their own.
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "control/call_thread.h"
#include "control/client.h"
#include "control/control_server.h"
#include "control/control_socket.h"
#include "control/convergence_hub.h"
#include "control/principals.h"
#include "control/testing/fake_controller.h"
#include "control/testing/raw_http2.h"
#include "tests/device/device_fixture.h"

extern char** environ;

namespace daxvmm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRounds = 5;
constexpr std::chrono::seconds kRoundTime(2);
constexpr char kGetPolicy[] = "/daxvmm.v1.DaxPolicyService/GetPolicy";
constexpr char kListFiles[] = "/daxvmm.v1.DaxPolicyService/ListFiles";

struct Spread {
  double p50 = 0;
  double p99 = 0;
};

Spread SpreadOf(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples[samples.size() * 99 / 100]};
}

UniqueFd RawConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return UniqueFd();
  return fd;
}

// ---- Clients, each in a process of its own, until it is killed.

void CallSteadily(const std::string& path) {
  auto client = control::Client::Connect(path);
  if (!client.ok()) return;
  for (auto next = Clock::now();; next += std::chrono::milliseconds(1)) {
    std::this_thread::sleep_until(next);
    if (!(*client)->GetPolicy().ok()) return;
  }
}

// Sends what `make` returns as fast as it is taken, and connects again whenever it is cut.
template <typename Make>
void Flood(const std::string& path, Make make) {
  for (;;) {
    const UniqueFd connection = RawConnect(path);
    uint32_t stream = 1;
    if (!connection.valid() || !control::SendAll(connection, control::Hello(), absl::Seconds(1))) continue;
    while (control::SendAll(connection, make(&stream), absl::Seconds(1))) {
      char answers[1 << 16];
      while (recv(connection.get(), answers, sizeof(answers), MSG_DONTWAIT) > 0) {
      }
    }
  }
}

void Misbehave(const std::string& kind, const std::string& path) {
  using namespace control;  // NOLINT(google-build-using-namespace)
  if (kind == "calls")
    Flood(path, [](uint32_t* stream) { return Call(std::exchange(*stream, *stream + 2), kGetPolicy, ""); });
  if (kind == "lists")
    Flood(path, [](uint32_t* stream) { return Call(std::exchange(*stream, *stream + 2), kListFiles, ""); });
  if (kind == "resets") {
    Flood(path, [](uint32_t* stream) {
      std::string bytes;
      for (int i = 0; i < 50; ++i, *stream += 2) {
        bytes += Frame(kHeaders, kEndHeaders, *stream, CallHeaders(kGetPolicy)) +
                 Frame(kReset, 0, *stream, std::string("\0\0\0\x08", 4));
      }
      return bytes;
    });
  }
  if (kind == "streams") {
    Flood(path, [](uint32_t* stream) {
      return Frame(kHeaders, kEndHeaders, std::exchange(*stream, *stream + 2), CallHeaders(kGetPolicy));
    });
  }
  for (;;) {
    if (kind == "connects") RawConnect(path);
    // "spin" does nothing else: the share of the processors that any busy process has.
  }
}

int RunClient(const std::string& kind, const std::string& path, int nice_value) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpriority(PRIO_PROCESS, 0, nice_value);
  if (kind == "steady") {
    CallSteadily(path);
  } else {
    Misbehave(kind, path);
  }
  return 0;
}

class Clients {
 public:
  Clients(const std::vector<std::string>& kinds, const std::string& path, int nice_value) {
    for (const std::string& kind : kinds) {
      const std::string value = std::to_string(nice_value);
      const char* arguments[] = {"control_abuse_bench", "--client", kind.c_str(), path.c_str(), value.c_str(), nullptr};
      pid_t pid = 0;
      if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, const_cast<char**>(arguments), environ) == 0) {
        pids_.push_back(pid);
      }
    }
  }
  ~Clients() {
    for (const pid_t pid : pids_) kill(pid, SIGKILL);
    for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
  }

 private:
  std::vector<pid_t> pids_;
};

// ---- The guest's side.

class Guest : public virtio_fs::DeviceFixture {
 public:
  void TestBody() override {}
  void Begin() {
    Mount();
    MakeFile("file", MiB(1));
    node_ = Lookup("file").nodeid;
  }
  Spread Measure() {
    std::vector<double> took;
    for (const auto end = Clock::now() + kRoundTime; Clock::now() < end;) {
      const auto start = Clock::now();
      GetAttr(node_);
      took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    return SpreadOf(std::move(took));
  }

 private:
  uint64_t node_ = 0;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

size_t ResidentKiB() {
  size_t total = 0, resident = 0;
  FILE* const file = fopen("/proc/self/statm", "re");
  if (file == nullptr || fscanf(file, "%zu %zu", &total, &resident) != 2) abort();
  fclose(file);
  return resident * sysconf(_SC_PAGESIZE) >> 10;
}

void MeasureCalls(const std::string& path) {
  auto client = control::Client::Connect(path);
  if (!client.ok()) return;
  std::vector<double> calls;
  for (int i = 0; i < 1500; ++i) {
    const auto start = Clock::now();
    if (!(*client)->GetPolicy().ok()) break;
    calls.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return;
  std::thread echo([fd = fds[1]] {
    char byte;
    while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1) {
    }
  });
  std::vector<double> trips;
  for (int i = 0; i < 1500; ++i) {
    const auto start = Clock::now();
    char byte = 'x';
    if (write(fds[0], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1) break;
    trips.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  close(fds[0]);
  echo.join();
  close(fds[1]);
  const Spread call = SpreadOf(std::move(calls));
  const Spread trip = SpreadOf(std::move(trips));
  printf("%-48s p50 %7.1f us  p99 %8.1f us\n", "GetPolicy", call.p50, call.p99);
  printf("%-48s p50 %7.1f us  p99 %8.1f us\n", "a byte there and back on a Unix socket", trip.p50, trip.p99);
}

// What a further user costs: a gRPC server (docs/adr/0012-one-grpc-server-per-principal.md).
void MeasurePrincipals(control::Controller* controller) {
  constexpr int kUsers = 16;
  control::ConvergenceHub hub(controller);
  control::CallThread calls;
  control::ServerParts parts;
  parts.services = {.controller = controller, .hub = &hub, .calls = &calls};
  control::Principals principals(parts);
  const auto threads = [] {
    int count = 0;
    for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
    return count;
  };
  const size_t before = ResidentKiB();
  const int threads_before = threads();
  std::vector<double> took;
  for (int i = 0; i < kUsers; ++i) {
    const auto start = Clock::now();
    if (!principals.Prepare(70'000 + i, control::Role::kReadOnly).ok()) abort();
    took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  const Spread spread = SpreadOf(took);
  printf("%-48s p50 %7.1f us  most %7.1f us, %zu KiB and %.1f threads each\n", "a server for a further user",
         spread.p50, *std::max_element(took.begin(), took.end()), (ResidentKiB() - before) / kUsers,
         static_cast<double>(threads() - threads_before) / kUsers);
  const auto start = Clock::now();
  principals.Stop(std::chrono::system_clock::now());
  printf("%-48s %7.1f us each\n", "ending it",
         std::chrono::duration<double, std::micro>(Clock::now() - start).count() / kUsers);
}

int Run(int nice_value) {
  std::string directory = "/tmp/control_abuse_bench.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const std::string path = directory + "/vm.sock";
  Guest guest;
  guest.Begin();
  control::FakeController controller;
  controller.FillWithExamples();
  controller.files.assign(20'000, controller.files[0]);
  auto socket = control::ControlSocket::Bind(path);
  if (!socket.ok()) return 1;
  control::ControlServerOptions options = {.unix_listener = socket->listen_fd()};
  options.limits.nice = nice_value;
  auto server = control::ControlServer::Start(&controller, options);
  if (!server.ok()) return 1;

  const std::vector<std::string> worst = {"calls", "lists", "resets", "streams", "connects"};
  struct Case {
    const char* what;
    std::vector<std::string> kinds;
    int nice_value;
    std::vector<double> p50 = {};
    std::vector<double> p99 = {};
  };
  std::vector<Case> cases = {{"no client", {}, 0},
                             {"1,000 calls a second", {"steady"}, 0},
                             {"five spinning processes, nice 19", std::vector<std::string>(5, "spin"), 19},
                             {"five misbehaving clients, nice 19", worst, 19},
                             {"five spinning processes", std::vector<std::string>(5, "spin"), 0},
                             {"five misbehaving clients", worst, 0}};
  std::string resident;  // after each round
  for (int round = 0; round < kRounds; ++round) {
    for (Case& one : cases) {
      const Clients clients(one.kinds, path, one.nice_value);
      if (!one.kinds.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(500));  // until they are at it
      const Spread spread = guest.Measure();
      one.p50.push_back(spread.p50);
      one.p99.push_back(spread.p99);
    }
    resident += " " + std::to_string(ResidentKiB() >> 10);
  }
  printf("GETATTR of the device, medians of %d rounds of %ld s; the server's threads have nice %d\n", kRounds,
         static_cast<long>(kRoundTime.count()), nice_value);
  for (const Case& one : cases) {
    printf("%-48s p50 %7.1f us  p99 %8.1f us\n", one.what, Median(one.p50), Median(one.p99));
  }
  printf("%-48s%s MiB\n", "resident memory after each round", resident.c_str());
  std::this_thread::sleep_for(std::chrono::seconds(3));  // the last ban
  MeasureCalls(path);
  server->reset();
  MeasurePrincipals(&controller);
  socket = absl::UnavailableError("closed");
  rmdir(directory.c_str());
  return 0;
}

}  // namespace
}  // namespace daxvmm

int main(int argc, char** argv) {
  if (argc == 5 && std::string(argv[1]) == "--client") return daxvmm::RunClient(argv[2], argv[3], atoi(argv[4]));
  return daxvmm::Run(argc > 1 ? atoi(argv[1]) : 0);
}
