// daxvmm run --metrics: what is refused at start, and what a running machine serves.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/unique_fd.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

class MetricsTest : public CliTest {
 protected:
  void ExpectMetricsRefused(const std::string& address, const std::vector<std::string>& parts) {
    ExpectRefused({"run", "--kernel", "kernel", "--control", "vm.sock", "--metrics", address}, parts);
  }

  std::unique_ptr<Process> StartIdle(const std::vector<std::string>& more) {
    WriteKernel("idle", kPrintAndIdle);
    std::vector<std::string> arguments = {"run", "--kernel", "idle", "--shutdown-timeout", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto process = Start(arguments);
    EXPECT_TRUE(process->AwaitOutput(kGreeting)) << "the guest did not start: " << process->Error();
    return process;
  }
  static void End(Process* process) {
    process->Signal(SIGTERM);
    EXPECT_EQ(process->AwaitExit(), 6);
  }

  // The whole answer; waits for it, since the socket listens before the server is loaded.
  static std::string Get(const UniqueFd& fd) {
    const timeval deadline{30, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: machine\r\n\r\n";
    EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = read(fd.get(), buffer, sizeof(buffer))) > 0) answer.append(buffer, static_cast<size_t>(n));
    EXPECT_EQ(n, 0) << "no whole answer came: " << strerror(errno);
    return answer;
  }
  std::string GetUnix(const std::string& name) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Path(name).c_str(), sizeof(address.sun_path) - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
    return Get(fd);
  }

  // A port of 127.0.0.1, taken for as long as the descriptor is open.
  struct Port {
    UniqueFd fd;
    sockaddr_in address{};
    std::string text;
  };
  static Port TakePort(bool listening) {
    Port port{.fd = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    port.address.sin_family = AF_INET;
    port.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(port.address);
    EXPECT_EQ(bind(port.fd.get(), reinterpret_cast<sockaddr*>(&port.address), size), 0);
    if (listening) {
      EXPECT_EQ(listen(port.fd.get(), 1), 0);
    }
    EXPECT_EQ(getsockname(port.fd.get(), reinterpret_cast<sockaddr*>(&port.address), &size), 0);
    port.text = "127.0.0.1:" + std::to_string(ntohs(port.address.sin_port));
    return port;
  }

  static std::string MapsOf(const Process& process) {
    std::ifstream maps("/proc/" + std::to_string(process.pid()) + "/maps");
    return std::string(std::istreambuf_iterator<char>(maps), {});
  }
};

TEST_F(MetricsTest, BadAddressesAreRefused) {
  ExpectMetricsRefused("", {"--metrics", "empty"});
  ExpectMetricsRefused("0.0.0.0:9464", {"--metrics", "'0.0.0.0:9464'", "loopback"});
  ExpectMetricsRefused("[::]:9464", {"--metrics", "loopback"});
  ExpectMetricsRefused("192.0.2.1:9464", {"--metrics", "loopback"});
  ExpectMetricsRefused(":9464", {"--metrics", "loopback"});
  ExpectMetricsRefused("example.org:9464", {"--metrics", "loopback"});
  ExpectMetricsRefused("9464", {"--metrics", "127.0.0.1:9464"});
  ExpectMetricsRefused("127.0.0.1:0", {"--metrics", "port"});
  ExpectMetricsRefused("[::1]:65536", {"--metrics", "port"});
  ExpectMetricsRefused("unix:", {"--metrics", "no path"});
  ExpectMetricsRefused("share", {"--metrics share"});
  ExpectMetricsRefused("kernel", {"--metrics kernel", "not a socket"});
  ExpectMetricsRefused("unix:nowhere/m.sock", {"--metrics nowhere/m.sock", "No such file"});
  ExpectMetricsRefused(std::string(200, 's'), {"--metrics", "200 bytes"});
}

TEST_F(MetricsTest, WhatIsInUseIsLeftToItsOwner) {
  const Port port = TakePort(/*listening=*/true);
  ExpectMetricsRefused(port.text, {"--metrics " + port.text, "in use"});
  // One socket cannot be both.
  ExpectMetricsRefused("vm.sock", {"--metrics vm.sock", "in use"});
}

TEST_F(MetricsTest, AMachineServesThemOnASocketOfItsOwn) {
  NEEDS_KVM();
  const auto process = StartIdle({"--metrics", "m.sock", "--share", "path=share,tag=data,dax-window=4M"});
  struct stat st{};
  ASSERT_EQ(lstat(Path("m.sock").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  const std::string answer = GetUnix("m.sock");
  EXPECT_EQ(answer.find("HTTP/1.1 200 OK\r\n"), 0u) << answer;
  EXPECT_NE(answer.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), std::string::npos);
  // What its guest has done, and what it is.
  EXPECT_NE(answer.find("daxvmm_vcpu_exits_total{vcpu=\"0\",reason=\"io\"} "), std::string::npos) << answer;
  EXPECT_EQ(answer.find("daxvmm_vcpu_exits_total{vcpu=\"0\",reason=\"io\"} 0\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("daxvmm_window_capacity_bytes{share=\"data\"} 4194304\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("daxvmm_policy_generation 1\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("daxvmm_events_total{kind=\"started\"} 1\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("daxvmm_machine_state{state=\"running\"} 1\n"), std::string::npos) << answer;
  // The control plane was not asked for.
  const std::string maps = MapsOf(*process);
  EXPECT_NE(maps.find("libdaxvmm_metrics"), std::string::npos);
  EXPECT_EQ(maps.find("grpc"), std::string::npos);
  End(process.get());
  EXPECT_NE(lstat(Path("m.sock").c_str(), &st), 0) << "the socket's file is left behind";
}

TEST_F(MetricsTest, AMachineServesThemOnALoopbackPort) {
  NEEDS_KVM();
  Port port = TakePort(/*listening=*/false);
  port.fd.reset();
  const auto process = StartIdle({"--metrics", port.text});
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&port.address), sizeof(port.address)), 0) << strerror(errno);
  EXPECT_NE(Get(fd).find("\ndaxvmm_build_info{version=\""), std::string::npos);
  End(process.get());
}

TEST_F(MetricsTest, WithoutTheFlagNothingOfItIsLoaded) {
  NEEDS_KVM();
  const auto process = StartIdle({});
  const std::string maps = MapsOf(*process);
  EXPECT_EQ(maps.find("metrics"), std::string::npos);
  EXPECT_EQ(maps.find("prometheus"), std::string::npos);
  End(process.get());
}

}  // namespace
}  // namespace daxvmm::cli_test
