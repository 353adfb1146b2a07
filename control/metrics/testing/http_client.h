// Speaks to a server of metrics as clients do, and as they should not. For tests.
#ifndef DAXVMM_CONTROL_METRICS_TESTING_HTTP_CLIENT_H_
#define DAXVMM_CONTROL_METRICS_TESTING_HTTP_CLIENT_H_

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace daxvmm::control {

inline constexpr char kGet[] = "GET /metrics HTTP/1.1\r\nHost: machine\r\n\r\n";

struct HttpAnswer {
  int status = 0;  // 0: the connection ended without an answer
  std::string head;
  std::string body;
};

inline UniqueFd ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  return fd;
}

inline void SendText(const UniqueFd& fd, const std::string& text) {
  // A server that has had enough may be gone before all is sent.
  (void)!send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

// What comes until the server closes; fails the test if that takes 30 s.
inline HttpAnswer ReadAnswer(const UniqueFd& fd) {
  const timeval deadline{30, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  std::string all;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = read(fd.get(), buffer, sizeof(buffer))) > 0) all.append(buffer, static_cast<size_t>(n));
  EXPECT_TRUE(n == 0 || errno == ECONNRESET) << "the server did not close the connection: " << strerror(errno);
  HttpAnswer answer;
  const size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = all.substr(0, end + 2);
  answer.body = all.substr(end + 4);
  if (answer.head.compare(0, 9, "HTTP/1.1 ") == 0) answer.status = std::atoi(answer.head.c_str() + 9);
  return answer;
}

inline HttpAnswer Exchange(const std::string& path, const std::string& request) {
  const UniqueFd fd = ConnectUnix(path);
  SendText(fd, request);
  return ReadAnswer(fd);
}

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_TESTING_HTTP_CLIENT_H_
