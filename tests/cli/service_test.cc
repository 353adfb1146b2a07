// daxvmm as a service manager starts it: flags in a file, and word of what it does.
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

constexpr int kDeadlineMilliseconds = 30'000;

class ServiceTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const std::string path = Path("notify");
    ASSERT_LT(path.size(), sizeof(at.sun_path));
    memcpy(at.sun_path, path.data(), path.size());
    manager_ = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(manager_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }

  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    CliTest::TearDown();
  }

  // The next message to the service manager.
  std::string Told() const {
    pollfd one{manager_.get(), POLLIN, 0};
    if (poll(&one, 1, kDeadlineMilliseconds) != 1) return "(nothing in time)";
    char buffer[256];
    const ssize_t n = recv(manager_.get(), buffer, sizeof(buffer), 0);
    return std::string(buffer, n < 0 ? 0 : n);
  }

 private:
  UniqueFd manager_;
};

TEST_F(ServiceTest, TellsWhenItRunsAndWhenItStops) {
  NEEDS_KVM();
  WriteKernel("idle", kPrintAndIdle);
  Write("machine.conf", "# A machine.\nkernel = idle\nmem = 64M\n");
  const auto process = Start({"run", "--config", "machine.conf", "--control", "control", "--shutdown-timeout", "0"});
  EXPECT_EQ(Told(), "READY=1") << process->Error();
  EXPECT_TRUE(process->AwaitOutput(kGreeting));
  process->Signal(SIGTERM);
  EXPECT_EQ(Told(), "STOPPING=1");
  EXPECT_EQ(process->AwaitExit(), 6);
}

TEST_F(ServiceTest, AConfigurationThatIsWrongIsRefused) {
  Write("machine.conf", "kernel = kernel\n\nmen = 64M\n");
  ExpectRefused({"run", "--config", "machine.conf"}, {"--config: machine.conf:3: men: there is no such flag"});
  ExpectRefused({"run", "--config", "missing"}, {"--config: missing: No such file or directory"});
}

}  // namespace
}  // namespace daxvmm::cli_test
