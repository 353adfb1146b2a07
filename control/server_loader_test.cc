// This program links no gRPC and no protobuf, as daxvmm does; the client is a program of its own.
#include "control/server_loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "control/control_socket.h"
#include "control/testing/fake_controller.h"
#include "control/testing/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Maps() {
  std::ifstream file("/proc/self/maps");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Finished Ctl(const std::string& socket, const std::string& command) {
  return RunToEnd({"control/daxvmmctl", "--control", socket, command});
}

struct Lines {
  Mutex mu;
  std::string text ABSL_GUARDED_BY(mu);
};

void Collect(LogLevel level, const char* line, void* context) {
  auto* lines = static_cast<Lines*>(context);
  MutexLock lock(&lines->mu);
  lines->text += std::string(line) + "\n";
}

class ServerLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.FillWithExamples();
    auto bound = ControlSocket::Bind(testing::TempDir() + "/loader");
    ASSERT_TRUE(bound.ok()) << bound.status();
    socket_.emplace(*std::move(bound));
  }

  absl::StatusOr<LoadedControlServer> Start(const std::string& library) {
    return LoadedControlServer::Start(&controller_, socket_->listen_fd(), library);
  }

  FakeController controller_;
  std::optional<ControlSocket> socket_;
};

TEST_F(ServerLoaderTest, LoadsServesAndStops) {
  ASSERT_THAT(Maps(), AllOf(Not(HasSubstr("libgrpc")), Not(HasSubstr("libprotobuf"))));
  const auto library = LocateControlLibrary();
  ASSERT_TRUE(library.ok()) << library.status();
  EXPECT_THAT(Maps(), Not(HasSubstr("libgrpc"))) << "locating must not load";

  Lines lines;
  SetLogLevel(LogLevel::kInfo);
  SetLogSink(&Collect, &lines);
  {
    auto server = Start(*library);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_THAT(Maps(), HasSubstr("libgrpc"));
    const Finished health = Ctl(socket_->path(), "health");
    EXPECT_EQ(health.exit_code, 0) << health.err;
    const Finished set = RunToEnd({"control/daxvmmctl", "--control", socket_->path(), "policy", "set", "always"});
    EXPECT_EQ(set.exit_code, 0) << set.err;
    EXPECT_EQ(controller_.GetPolicy().generation, 2u);

    // Moving it keeps it running.
    LoadedControlServer moved = *std::move(server);
    EXPECT_EQ(Ctl(socket_->path(), "files").exit_code, 0);
  }
  const Finished stopped = RunToEnd({"control/daxvmmctl", "--timeout", "0.2", "--control", socket_->path(), "health"});
  EXPECT_EQ(stopped.exit_code, 3) << stopped.out;
  {
    auto again = Start(*library);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(Ctl(socket_->path(), "health").exit_code, 0);
  }
  SetLogSink(nullptr, nullptr);
  SetLogLevel(LogLevel::kWarning);
  MutexLock lock(&lines.mu);
  EXPECT_THAT(lines.text, HasSubstr("policy generation 2 is in force")) << "the library's lines come through ours";
}

TEST_F(ServerLoaderTest, TheEnvironmentAndTheOptionChoose) {
  setenv(kControlLibraryEnv, "/nowhere/lib.so", 1);
  const auto missing = LocateControlLibrary();
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound) << missing.status();
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nowhere/lib.so"));
  EXPECT_EQ(*LocateControlLibrary("/proc/self/exe"), "/proc/self/exe");
  unsetenv(kControlLibraryEnv);
}

TEST_F(ServerLoaderTest, WhatIsNoSuchLibraryIsRefused) {
  EXPECT_EQ(Start("/proc/self/status").status().code(), absl::StatusCode::kUnavailable);
  const auto foreign = Start("libm.so.6");
  EXPECT_EQ(foreign.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(foreign.status().message()), HasSubstr("daxvmm_control_start"));
}

TEST_F(ServerLoaderTest, AnotherBuildIsRefused) {
  void* const library = dlopen(LocateControlLibrary()->c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto start = reinterpret_cast<daxvmm_control_start_fn>(dlsym(library, kServerStartSymbol));
  ASSERT_NE(start, nullptr);
  for (const bool wrong_version : {true, false}) {
    daxvmm_control_start_args args{};
    args.abi_version = kServerAbiVersion + (wrong_version ? 1 : 0);
    args.layout = kServerAbiLayout + (wrong_version ? 0 : 1);
    daxvmm_control_handle handle{};
    char error[200] = "";
    EXPECT_EQ(start(&args, &handle, error, sizeof(error)), static_cast<int>(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(error, HasSubstr("another build"));
    EXPECT_EQ(handle.server, nullptr);
  }
}

TEST_F(ServerLoaderTest, TurnsAStateIntoTextAndBack) {
  const auto codec = LoadStateCodec(*LocateControlLibrary());
  ASSERT_TRUE(codec.ok()) << codec.status();
  SavedPolicy state;
  state.generation = 2;
  state.policy.default_outcome = dax::Outcome::kDax;
  state.overrides = {{.share_tag = "data", .file = "a\xff", .dax = true, .note = "n"}};
  state.history = {{2, {dax::SourceKind::kRequest, "uid 0"}, absl::FromUnixSeconds(7), "s", "c"}};
  const auto text = (*codec)->Encode(state);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto back = (*codec)->Decode(*text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, state);
  EXPECT_THAT(std::string((*codec)->Decode("bad").status().message()), HasSubstr("line 1: "));
  EXPECT_EQ(LoadStateCodec("libm.so.6").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerLoaderTest, ParsesPolicyFilesWithAndWithoutAServer) {
  const auto parser = PolicyParser::Load(*LocateControlLibrary());
  ASSERT_TRUE(parser.ok()) << parser.status();
  const dax::Policy expected = {.rules = {{.name = "r", .paths = {"a\xff"}, .outcome = dax::Outcome::kDax}},
                                .default_outcome = dax::Outcome::kAdaptive};
  constexpr char kText[] =
      "rules { name: \"r\" paths: \"a\\\\xff\" outcome: OUTCOME_DAX } default_outcome: OUTCOME_ADAPTIVE";
  const auto policy = parser->Parse(kText, "p");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(*policy, expected);
  const auto bad = parser->Parse("{\n\"default_outcome\": 9}", "/etc/p.json");
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), testing::StartsWith("/etc/p.json:2: default_outcome: "));

  const auto server = Start(*LocateControlLibrary());
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(*parser->Parse(kText, "p"), expected);
  EXPECT_EQ(PolicyParser::Load("/proc/self/status").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(PolicyParser::Load("libm.so.6").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerLoaderTest, AParserOfAnotherBuildIsRefused) {
  void* const library = dlopen(LocateControlLibrary()->c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto parse = reinterpret_cast<daxvmm_control_parse_policy_fn>(dlsym(library, kParsePolicySymbol));
  ASSERT_NE(parse, nullptr);
  const daxvmm_control_parse_args args{.abi_version = kServerAbiVersion + 1, .reserved = 0, .layout = kServerAbiLayout};
  dax::Policy policy;
  char error[200] = "";
  EXPECT_EQ(parse(&args, &policy, error, sizeof(error)), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(error, HasSubstr("another build"));
}

TEST_F(ServerLoaderTest, ABadListenerIsAnError) {
  const auto server = LoadedControlServer::Start(&controller_, -1, *LocateControlLibrary());
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("listening socket"));
}

}  // namespace
}  // namespace daxvmm::control
