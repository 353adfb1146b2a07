// A server over a machine without a guest, on a socket of its own, and a client of it.
#ifndef DAXVMM_CONTROL_TESTING_CONTROL_SERVER_FIXTURE_H_
#define DAXVMM_CONTROL_TESTING_CONTROL_SERVER_FIXTURE_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "control/client.h"
#include "control/control_server.h"
#include "control/control_socket.h"
#include "control/testing/fake_controller.h"
#include "gtest/gtest.h"

namespace daxvmm::control {

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.FillWithExamples();
    auto socket = ControlSocket::Bind(Path());
    ASSERT_TRUE(socket.ok()) << socket.status();
    socket_ = std::make_unique<ControlSocket>(*std::move(socket));
    StartServer();
    auto client = Client::Connect(Path());
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  void StartServer() {
    auto server = ControlServer::Start(&controller_, socket_->listen_fd());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static std::string Path() { return testing::TempDir() + "/control"; }

  static UniqueFd RawConnection() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Path().c_str(), sizeof(address.sun_path) - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  FakeController controller_;
  std::unique_ptr<ControlSocket> socket_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<Client> client_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_CONTROL_SERVER_FIXTURE_H_
