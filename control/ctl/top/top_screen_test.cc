// The true program on a terminal, against a true server over a machine without a guest.
#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "control/testing/tmux.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TopScreenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = Tmux::Missing(); !missing.empty()) GTEST_SKIP() << missing;
    controller_.FillWithExamples();
    controller_.windows[0].mapped_chunks = 5;
    controller_.files.push_back({.share_tag = "data",
                                 .node_id = 4,
                                 .path = "r\xc3\xa9sum\xc3\xa9/\xe4\xbd\xa0\xe5\xa5\xbd.bin",
                                 .size = GiB(1),
                                 .decision_dax = true,
                                 .decision_rule = "size",
                                 .overridden = true,
                                 .mapped_chunks = 2,
                                 .setup_mappings = 7,
                                 .reads = 12});
    const auto mapping = [](uint64_t chunk, uint64_t node, const std::string& path) {
      return WindowMapping{.share_tag = "data",
                           .at = WindowOffset(chunk * kDaxRangeSize.raw()),
                           .length = kDaxRangeSize,
                           .node_id = node,
                           .path = path};
    };
    controller_.mappings = {mapping(0, 2, "big.bin"), mapping(1, 2, "big.bin"), mapping(2, 2, "big.bin"),
                            mapping(5, 4, "x"), mapping(6, 4, "x")};
    controller_.SetCounts({.converged = 3, .noticed_held_open = 1});
    StartServer();
  }

  void StartServer() {
    auto bound = ControlSocket::Bind(testing::TempDir() + "/ctl");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
    const auto library = LocateControlLibrary();
    ASSERT_TRUE(library.ok()) << library.status();
    auto server = LoadedControlServer::Start(&controller_, socket_->listen_fd(), *library);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  void StopServer() {
    server_.reset();
    socket_.reset();
  }

  // With `flags`; what is printed when it is over ends the screen with "status N, same terminal".
  std::unique_ptr<Tmux> Start(int columns, int rows, const std::string& flags = "",
                              const std::string& locale = "C.UTF-8") const {
    return std::make_unique<Tmux>(
        testing::TempDir(), columns, rows,
        absl::StrCat("before=$(stty -g); control/daxvmmctl --interval 0.2 ", flags,
                     " top; echo \"status $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo same terminal; exec cat"),
        std::vector<std::string>{"DAXVMM_CONTROL=" + testing::TempDir() + "/ctl", "LC_ALL=" + locale, "TZ=UTC0"});
  }

  FakeController controller_;
  std::optional<ControlSocket> socket_;
  std::optional<LoadedControlServer> server_;
};

size_t LineOf(const std::string& screen, const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(screen, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    if (absl::StrContains(lines[i], text)) return i;
  }
  return std::string::npos;
}

TEST_F(TopScreenTest, ShowsTheMachineAndQuits) {
  const auto terminal = Start(80, 24);
  const std::string screen = terminal->WaitFor("moving");
  fprintf(stderr, "%s", screen.c_str());
}

}  // namespace
}  // namespace daxvmm::control
