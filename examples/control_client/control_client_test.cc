// The example against a true server, over a machine without a guest.
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "control/control_socket.h"
#include "control/server_loader.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;

class ControlClientTest : public testing::Test {
 protected:
  void SetUp() override {
    machine_.FillWithExamples();
    machine_.SetCounts({.converged = 2, .changes_on_next_use = 1});
    auto bound = ControlSocket::Bind(testing::TempDir() + "/example");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
    const auto library =
        LocateControlLibrary(std::filesystem::current_path().string() + "/control/libdaxvmm_control.so");
    ASSERT_TRUE(library.ok()) << library.status();
    auto server = LoadedControlServer::Start(&machine_, socket_->listen_fd(), *library);
    ASSERT_TRUE(server.ok()) << server.status();
    server_.emplace(*std::move(server));
  }

  Finished Run(const std::string& policy) const {
    return RunToEnd({"examples/control_client/control_client", socket_->path(), policy});
  }

  FakeController machine_;
  std::optional<ControlSocket> socket_;
  std::optional<LoadedControlServer> server_;
};

TEST_F(ControlClientTest, ChangesThePolicyAndWaits) {
  const Finished finished = Run("size:1M");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(machine_.GetPolicy().policy, *dax::ParsePolicyName("size:1M"));
  EXPECT_THAT(finished.out, testing::StartsWith("policy generation 1\n"
                                                "  rule size: OUTCOME_DAX\n"
                                                "  default: OUTCOME_NO_DAX\n"
                                                "  data:big.bin: DAX by rule size\n"));
  EXPECT_THAT(finished.out, HasSubstr("  src:main.c: no DAX by rule default\npolicy generation 2 is in force: "));
  EXPECT_THAT(finished.out, testing::EndsWith("\n2 converged, 1 on next use, 0 to come\n"));
}

TEST_F(ControlClientTest, SaysWhyTheServerRefuses) {
  const Finished finished = Run("sometimes");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, testing::StartsWith("SetPolicy: status 3: "));
  EXPECT_EQ(machine_.GetPolicy().generation, 1u);
}

TEST_F(ControlClientTest, SaysThatNobodyIsThere) {
  const Finished finished = RunToEnd({"examples/control_client/control_client", "/nonexistent", "never"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, testing::StartsWith("GetPolicy: status 14: "));
}

}  // namespace
}  // namespace daxvmm::control
