// The flags of the control plane: what is refused before the guest runs, and what the socket is like when it does.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "tests/cli/cli_fixture.h"

namespace daxvmm::cli_test {
namespace {

class ControlFlagsTest : public CliTest {
 protected:
  void ExpectRunRefused(std::vector<std::string> flags, const std::vector<std::string>& parts) {
    std::vector<std::string> arguments = {"run", "--kernel", "kernel"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ExpectRefused(arguments, parts);
  }
  void ExpectTcpRefused(std::vector<std::string> flags, const std::vector<std::string>& parts) {
    flags.insert(flags.begin(), {"--control-tcp", "127.0.0.1:0"});
    ExpectRunRefused(std::move(flags), parts);
  }
};

TEST_F(ControlFlagsTest, ModesAndOwners) {
  const auto refuse = [this](const std::string& flag, const std::string& value, const std::vector<std::string>& parts) {
    ExpectRunRefused({"--control", "vm.sock", flag, value}, parts);
  };
  refuse("--control-mode", "", {"--control-mode", "octal"});
  refuse("--control-mode", "0999", {"--control-mode", "'0999'"});
  refuse("--control-mode", "1777", {"--control-mode", "'1777'"});
  refuse("--control-mode", "rw", {"--control-mode", "'rw'"});
  refuse("--control-mode", "0444", {"--control-mode", "nobody could connect"});
  refuse("--control-owner", "", {"--control-owner", "empty"});
  refuse("--control-owner", "no-such-user-x", {"--control-owner", "no-such-user-x"});
  refuse("--control-owner", "0:no-such-group-x", {"--control-owner", "no-such-group-x"});
  refuse("--control-owner", "0:", {"--control-owner", "empty"});
  ExpectRunRefused({"--control-mode", "0660"}, {"--control-mode", "needs --control"});
  ExpectRunRefused({"--control-owner", "0"}, {"--control-owner", "needs --control"});
  if (geteuid() == 0) return;  // who may give files away
  refuse("--control-owner", "0", {"--control-owner", "vm.sock", "Operation not permitted"});
}

TEST_F(ControlFlagsTest, AllowRules) {
  const auto refuse = [this](const std::string& rule, const std::vector<std::string>& parts) {
    ExpectRunRefused({"--control", "vm.sock", "--control-allow", rule}, parts);
  };
  refuse("", {"--control-allow", "no role"});
  refuse("uid=0", {"--control-allow", "no role"});
  refuse("uid=0:admin", {"--control-allow", "'admin'"});
  refuse("uid=no-such-user-x:operator", {"--control-allow", "no-such-user-x"});
  refuse("0:operator", {"--control-allow", "uid=, gid=, cert="});
  refuse("cert=admin:operator", {"--control-allow", "needs --control-tcp"});
  ExpectRunRefused({"--control-allow", "uid=0:operator"}, {"--control-allow", "needs --control"});
}

TEST_F(ControlFlagsTest, ThereIsNoTcpWithoutTls) {
  ExpectTcpRefused({}, {"--control-tcp", "needs --control-tls-cert"});
  ExpectTcpRefused({"--control-tls-cert", "c"}, {"--control-tcp", "needs --control-tls-key"});
  ExpectTcpRefused({"--control-tls-cert", "c", "--control-tls-key", "k"},
                   {"--control-tcp", "needs --control-tls-client-ca"});
  const std::vector<std::string> files = {"--control-tls-cert",      "c", "--control-tls-key", "k",
                                          "--control-tls-client-ca", "a"};
  ExpectTcpRefused(files, {"--control-tcp", "needs a --control-allow cert="});
  ExpectRunRefused(files, {"--control-tls-cert", "needs --control-tcp"});
  auto with_rule = files;
  with_rule.insert(with_rule.end(), {"--control-allow", "cert=admin:operator"});
  ExpectTcpRefused(with_rule, {"--control-tls-cert: c", "No such file"});
  Write("c", "no certificate\n");
  ExpectTcpRefused(with_rule, {"--control-tls-cert: c", "no certificate"});
}

TEST_F(ControlFlagsTest, TcpAddresses) {
  const auto refuse = [this](const std::string& address, const std::vector<std::string>& parts) {
    ExpectRunRefused({"--control-tcp", address}, parts);
  };
  refuse("", {"--control-tcp", "empty"});
  refuse("localhost", {"--control-tcp", "HOST:PORT"});
  refuse(":50051", {"--control-tcp", "host is empty"});
  refuse("localhost:http", {"--control-tcp", "port"});
  refuse("::1:5", {"--control-tcp", "brackets"});
}

TEST_F(ControlFlagsTest, ABusyPortIsRefusedBeforeTheGuestRuns) {
  ASSERT_EQ(system(("cd " + Path("") +
                    " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=vm "
                    "-keyout k -out c 2>openssl.log")
                       .c_str()),
            0);
  const UniqueFd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_EQ(getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string at = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  ExpectRunRefused({"--control", "vm.sock", "--control-tcp", at, "--control-tls-cert", "c", "--control-tls-key", "k",
                    "--control-tls-client-ca", "c", "--control-allow", "cert=vm:operator"},
                   {"--control-tcp " + at, "Address already in use"});
}

}  // namespace
}  // namespace daxvmm::cli_test
