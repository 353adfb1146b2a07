// The true client program against a true server, over a machine without a guest.
#ifndef DAXVMM_CONTROL_TESTING_DAXVMMCTL_FIXTURE_H_
#define DAXVMM_CONTROL_TESTING_DAXVMMCTL_FIXTURE_H_

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {

class DaxvmmctlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.FillWithExamples();
    auto bound = ControlSocket::Bind(testing::TempDir() + "/ctl");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
    const auto library = LocateControlLibrary();
    ASSERT_TRUE(library.ok()) << library.status();
    auto server = LoadedControlServer::Start(&controller_, socket_->listen_fd(), *library);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  std::string Control() const { return "DAXVMM_CONTROL=" + socket_->path(); }

  Finished Ctl(std::vector<std::string> arguments, const std::string& input = "",
               std::vector<std::string> environment = {}) const {
    arguments.insert(arguments.begin(), "control/daxvmmctl");
    environment.push_back(Control());
    return RunToEnd(arguments, input, environment);
  }

  // With a terminal of so many columns as standard input and output, on which `typed` has been typed. What it showed is
  // `out`, with the newlines that the program wrote.
  Finished CtlOnTerminal(const std::vector<std::string>& arguments, unsigned short columns,
                         std::vector<std::string> environment = {}, const std::string& typed = "") const {
    const UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(master.valid() && grantpt(master.get()) == 0 && unlockpt(master.get()) == 0);
    const std::string name = ptsname(master.get());
    UniqueFd keep(open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_TRUE(keep.valid());
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(ioctl(keep.get(), TIOCSWINSZ, &size), 0);
    termios raw{};
    EXPECT_EQ(tcgetattr(keep.get(), &raw), 0);
    raw.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    EXPECT_EQ(tcsetattr(keep.get(), TCSANOW, &raw), 0);
    EXPECT_EQ(write(master.get(), typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    std::string shown;
    // A terminal holds a few KiB only; the reader ends when nobody has it open any more.
    std::thread reader([&] {
      char buffer[4096];
      for (ssize_t n; (n = read(master.get(), buffer, sizeof(buffer))) > 0;) shown.append(buffer, n);
    });
    std::string shell = "exec control/daxvmmctl";
    for (const std::string& argument : arguments) shell += " '" + argument + "'";
    environment.push_back(Control());
    Finished ended = RunToEnd({"/bin/sh", "-c", shell + " <" + name + " >" + name}, "", environment);
    keep.reset();
    reader.join();
    ended.out = shown;
    return ended;
  }

  FakeController controller_;
  std::optional<ControlSocket> socket_;
  std::optional<LoadedControlServer> server_;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_DAXVMMCTL_FIXTURE_H_
