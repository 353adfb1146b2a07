#include "base/service_notify.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

UniqueFd Listen(const std::string& address) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  memcpy(at.sun_path, address.data(), address.size());
  if (address[0] == '@') at.sun_path[0] = '\0';
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), length), 0) << address << ": " << strerror(errno);
  return fd;
}

std::string Received(const UniqueFd& fd) {
  char buffer[256];
  const ssize_t n = recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  return n < 0 ? "(nothing)" : std::string(buffer, n);
}

TEST(ServiceNotifyTest, ReachesPathsAndAbstractNames) {
  for (const std::string& address : {testing::TempDir() + "/notify", absl::StrCat("@daxvmm-test-", getpid())}) {
    const UniqueFd fd = Listen(address);
    const absl::Status sent = NotifySocket(address, "READY=1");
    EXPECT_TRUE(sent.ok()) << sent;
    EXPECT_EQ(Received(fd), "READY=1") << address;
  }
}

TEST(ServiceNotifyTest, TheEnvironmentNamesTheSocket) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(NotifyServiceManager("READY=1").ok());
  const std::string address = testing::TempDir() + "/named";
  const UniqueFd fd = Listen(address);
  setenv("NOTIFY_SOCKET", address.c_str(), 1);
  EXPECT_TRUE(NotifyServiceManager("STOPPING=1").ok());
  EXPECT_EQ(Received(fd), "STOPPING=1");
  unsetenv("NOTIFY_SOCKET");
}

TEST(ServiceNotifyTest, SaysWhatIsWrong) {
  for (const std::string& address : {std::string(), std::string("/"), std::string("relative"), std::string(108, '/')}) {
    EXPECT_EQ(NotifySocket(address, "READY=1").code(), absl::StatusCode::kInvalidArgument) << address;
  }
  EXPECT_EQ(NotifySocket(testing::TempDir() + "/nobody", "READY=1").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace daxvmm
