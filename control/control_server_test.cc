#include "control/control_server.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "control/client.h"
#include "control/control_socket.h"
#include "control/testing/control_server_fixture.h"
#include "control/testing/fake_controller.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ControlServerTest, GetsAndSetsThePolicy) {
  auto policy = client_->GetPolicy();
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->generation(), 1u);
  EXPECT_EQ(policy->policy().rules(0).name(), "size");

  EXPECT_EQ(*client_->SetNamedPolicy("always"), 2u);
  policy = client_->GetPolicy();
  EXPECT_EQ(policy->generation(), 2u);
  EXPECT_EQ(policy->policy().rules_size(), 0);
  EXPECT_EQ(policy->policy().default_outcome(), v1::OUTCOME_DAX);
  EXPECT_EQ(controller_.GetPolicy().policy, *dax::ParsePolicyName("always"));
}

TEST_F(ControlServerTest, TellsTheMachineHowOftenItWasCalled) {
  ASSERT_TRUE(client_->GetPolicy().ok());
  const auto counted = [this] {
    for (const ControlCallCount& call : controller_.GetMetrics().control_calls) {
      if (call.method == "GetPolicy" && call.code == "OK" && call.count == 1) return true;
    }
    return false;
  };
  // A call is counted when it has ended, which its caller may learn a moment before.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!counted() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(counted()) << "the call was not counted in time";
  server_.reset();
  EXPECT_TRUE(controller_.GetMetrics().control_calls.empty()) << "a server that is gone is still asked";
}

TEST_F(ControlServerTest, ABadFieldIsNamedAndTheOldPolicyStays) {
  const PolicyState before = controller_.GetPolicy();
  v1::SetPolicyRequest request;
  request.mutable_policy()->set_default_outcome(v1::OUTCOME_DAX);
  for (int i = 0; i < 3; ++i) {
    v1::Rule* rule = request.mutable_policy()->add_rules();
    rule->set_name("rule" + std::to_string(i));
    rule->set_outcome(i < 2 ? v1::OUTCOME_DAX : static_cast<v1::Outcome>(9));
  }
  const auto refused = client_->SetPolicy(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), StartsWith("policy.rules[2].outcome: "));
  EXPECT_EQ(client_->SetPolicy(v1::SetPolicyRequest()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(controller_.GetPolicy().generation, before.generation);
  EXPECT_EQ(controller_.GetPolicy().policy, before.policy);
}

TEST_F(ControlServerTest, AStaleExpectedGenerationIsAborted) {
  EXPECT_EQ(*client_->SetNamedPolicy("always", 1), 2u);
  EXPECT_EQ(client_->SetNamedPolicy("never", 1).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(controller_.GetPolicy().generation, 2u);
}

TEST_F(ControlServerTest, ListsFilesOfOneShareOrAll) {
  const auto all = client_->ListFiles();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->generation(), 1u);
  ASSERT_EQ(all->files_size(), 3);
  EXPECT_EQ(all->files(1).path(), "caf\\xe9\x1b[2J.txt");
  EXPECT_EQ(client_->ListFiles("src")->files_size(), 1);
  EXPECT_EQ(client_->ListFiles("nope").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_->ListFiles(std::string(37, 'x')).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ControlServerTest, AListIsTakenAnewIfThePolicyChangedMeanwhile) {
  controller_.policy_changes_during_list = 2;
  EXPECT_EQ(client_->ListFiles()->generation(), 3u);
  controller_.policy_changes_during_list = 1000;
  EXPECT_EQ(client_->ListFiles().status().code(), absl::StatusCode::kAborted);
}

TEST_F(ControlServerTest, ShowsWindows) {
  const auto all = client_->GetWindow();
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->windows_size(), 2);
  EXPECT_EQ(all->windows(0).mount_mode(), v1::MOUNT_MODE_PER_FILE);
  EXPECT_EQ(client_->GetWindow("src")->windows_size(), 1);
  EXPECT_EQ(client_->GetWindow("nope").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ControlServerTest, EveryServiceIsHealthy) {
  EXPECT_EQ(*client_->CheckHealth(), "SERVING");
  EXPECT_EQ(*client_->CheckHealth("daxvmm.v1.DaxPolicyService"), "SERVING");
  EXPECT_EQ(*client_->CheckHealth("daxvmm.v1.DaxWindowService"), "SERVING");
  EXPECT_EQ(client_->CheckHealth("daxvmm.v1.Nothing").status().code(), absl::StatusCode::kNotFound);
}

v1::SetFileOverrideRequest OverrideRequest(const std::string& share, const std::string& path, v1::Outcome outcome) {
  v1::SetFileOverrideRequest request;
  request.mutable_override()->set_share(share);
  request.mutable_override()->set_path(path);
  request.mutable_override()->set_outcome(outcome);
  return request;
}

TEST_F(ControlServerTest, AChangeSaysWhenTheGuestSeesIt) {
  v1::SetPolicyRequest request;
  request.set_named_policy("always");
  const auto set = client_->ReplacePolicy(request);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->generation(), 2u);
  EXPECT_EQ(set->bound().notice_delay().seconds(), 1);
  EXPECT_THAT(set->bound().description(), StartsWith("a file in use notices within 1 s; "));
}

TEST_F(ControlServerTest, OverridesAreSetShownAndCleared) {
  auto request = OverrideRequest("data", "caf\\xe9", v1::OUTCOME_DAX);
  request.mutable_override()->mutable_ttl()->set_seconds(3600);
  request.mutable_override()->set_note("for a test");
  request.set_expected_generation(1);
  const auto set = client_->SetFileOverride(request);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->generation(), 2u);
  EXPECT_THAT(set->bound().description(), HasSubstr("within 1 s"));
  const auto policy = client_->GetPolicy();
  ASSERT_EQ(policy->overrides_size(), 1);
  EXPECT_EQ(policy->overrides(0).path(), "caf\\xe9");
  EXPECT_EQ(policy->overrides(0).outcome(), v1::OUTCOME_DAX);
  EXPECT_TRUE(policy->overrides(0).has_expire_time());
  EXPECT_EQ(policy->overrides(0).note(), "for a test");
  EXPECT_EQ(policy->source().kind(), v1::PolicySource::KIND_REQUEST);
  EXPECT_THAT(policy->source().detail(), StartsWith("uid "));

  v1::ClearFileOverrideRequest clear;
  clear.set_share("data");
  clear.set_path("caf\\xe9");
  EXPECT_EQ(client_->ClearFileOverride(clear)->generation(), 3u);
  EXPECT_EQ(client_->GetPolicy()->overrides_size(), 0);
}

TEST_F(ControlServerTest, HistoryTellsWhoMadeEachGeneration) {
  ASSERT_TRUE(client_->SetNamedPolicy("always").ok());
  const auto history = client_->ListPolicyHistory();
  ASSERT_TRUE(history.ok()) << history.status();
  ASSERT_EQ(history->entries_size(), 2);
  EXPECT_EQ(history->entries(0).generation(), 1u);
  EXPECT_EQ(history->entries(0).source().kind(), v1::PolicySource::KIND_START);
  EXPECT_EQ(history->entries(1).source().kind(), v1::PolicySource::KIND_REQUEST);
  EXPECT_NE(history->entries(1).summary(), "");
  EXPECT_GT(history->entries(1).source().effective_time().seconds(), 0);
}

TEST_F(ControlServerTest, AWatchedFileIsReplacedByForceOnlyAndTakesItsPlaceAgain) {
  controller_.WatchFile("/p", PolicyFileError{"/p:3: default_outcome: missing", absl::FromUnixSeconds(7)});
  EXPECT_EQ(client_->SetNamedPolicy("always").status().code(), absl::StatusCode::kFailedPrecondition);
  v1::SetPolicyRequest request;
  request.set_named_policy("always");
  request.set_force(true);
  EXPECT_EQ(*client_->SetPolicy(request), 2u);
  auto policy = client_->GetPolicy();
  EXPECT_EQ(policy->source().kind(), v1::PolicySource::KIND_REQUEST);
  EXPECT_EQ(policy->watched_file().path(), "/p");
  EXPECT_EQ(policy->watched_file().load_error(), "/p:3: default_outcome: missing");
  EXPECT_EQ(policy->watched_file().load_error_time().seconds(), 7);
  // A file's change needs no force.
  ASSERT_TRUE(controller_.SetFromFile(*dax::ParsePolicyName("never")).ok());
  policy = client_->GetPolicy();
  EXPECT_EQ(policy->source().kind(), v1::PolicySource::KIND_FILE);
  EXPECT_EQ(policy->policy().default_outcome(), v1::OUTCOME_NO_DAX);
  // It refuses no override.
  EXPECT_TRUE(client_->SetFileOverride(OverrideRequest("data", "f", v1::OUTCOME_DAX)).ok());
}

TEST_F(ControlServerTest, ExplainsAFileByPathAndByNode) {
  v1::ExplainFileRequest request;
  request.set_share("data");
  request.set_path("caf\\xe9\x1b[2J.txt");
  const auto by_path = client_->ExplainFile(request);
  ASSERT_TRUE(by_path.ok()) << by_path.status();
  EXPECT_EQ(by_path->node_id(), 3u);
  EXPECT_EQ(by_path->convergence(), v1::CONVERGENCE_ATTRIBUTES_CACHED);
  EXPECT_EQ(by_path->attributes_left().nanos(), 400'000'000);
  EXPECT_EQ(by_path->steps_size(), 1);
  request.set_node_id(2);
  EXPECT_EQ(client_->ExplainFile(request)->path(), "big.bin");
}

// Every call with what it refuses.
TEST_F(ControlServerTest, EachErrorHasItsCode) {
  const auto explain = [this](const std::string& share, uint64_t node) {
    v1::ExplainFileRequest request;
    request.set_share(share);
    request.set_node_id(node);
    return client_->ExplainFile(request).status();
  };
  const auto clear = [this](const std::string& share, const std::string& path, uint64_t generation) {
    v1::ClearFileOverrideRequest request;
    request.set_share(share);
    request.set_path(path);
    request.set_expected_generation(generation);
    return client_->ClearFileOverride(request).status();
  };
  const auto override = [this](const std::string& share, const std::string& path, uint64_t generation) {
    auto request = OverrideRequest(share, path, v1::OUTCOME_NO_DAX);
    request.set_expected_generation(generation);
    return client_->SetFileOverride(request).status();
  };
  const auto watch = [this](const std::string& share, int seconds) {
    v1::WatchConvergenceRequest request;
    request.set_share(share);
    request.mutable_interval()->set_seconds(seconds);
    return client_->WatchConvergence(request, absl::Seconds(10), [](const auto&) { return true; });
  };
  using Code = absl::StatusCode;
  EXPECT_EQ(explain("", 2).code(), Code::kInvalidArgument);
  EXPECT_EQ(explain("data", 0).code(), Code::kInvalidArgument);
  EXPECT_EQ(explain("nope", 2).code(), Code::kNotFound);
  EXPECT_EQ(explain("data", 99).code(), Code::kNotFound);
  EXPECT_EQ(override("data", "", 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(override("data", "a/../b", 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(override("nope", "a", 1).code(), Code::kNotFound);
  EXPECT_EQ(override("data", "a", 5).code(), Code::kAborted);
  EXPECT_EQ(clear("data", "", 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(clear("data", "a", 1).code(), Code::kNotFound);
  EXPECT_EQ(watch("nope", 1).code(), Code::kNotFound);
  EXPECT_EQ(watch("", 61).code(), Code::kInvalidArgument);
  EXPECT_EQ(watch(std::string(37, 't'), 1).code(), Code::kInvalidArgument);
  ASSERT_TRUE(override("data", "a", 1).ok());
  EXPECT_EQ(clear("data", "a", 5).code(), Code::kAborted);
  EXPECT_EQ(controller_.GetPolicy().generation, 2u);
}

// The installed gRPC has no header for the reflection messages, so they go as bytes.
std::string ListServicesByReflection(const std::string& path) {
  auto channel = grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  const auto step = [&] { return queue.Next(&tag, &ok) && ok; };
  call->StartCall(nullptr);
  if (!step()) return "no call";
  const grpc::Slice list_services("\x3a\x00", 2);  // field 7, an empty string
  call->Write(grpc::ByteBuffer(&list_services, 1), nullptr);
  if (!step()) return "no write";
  grpc::ByteBuffer reply;
  call->Read(&reply, nullptr);
  if (!step()) return "no reply";
  grpc::Slice bytes;
  if (!reply.DumpToSingleSlice(&bytes).ok()) return "no bytes";
  grpc::Status status;
  call->WritesDone(nullptr);
  step();
  call->Finish(&status, nullptr);
  step();
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

TEST_F(ControlServerTest, ReflectionListsTheServices) {
  const std::string services = ListServicesByReflection(Path());
  EXPECT_THAT(services, HasSubstr("daxvmm.v1.DaxPolicyService"));
  EXPECT_THAT(services, HasSubstr("daxvmm.v1.DaxWindowService"));
  EXPECT_THAT(services, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(ControlServerTest, ARequestThatIsTooLargeIsRefused) {
  v1::SetPolicyRequest request;
  request.set_named_policy(std::string(kMaxRequestBytes + 1, 'x'));
  // gRPC's client has the answer at once but may sit on it until its deadline, as it could not send all.
  auto patient = Client::Connect(Path(), absl::Seconds(5));
  ASSERT_TRUE(patient.ok()) << patient.status();
  EXPECT_EQ((*patient)->SetPolicy(request).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(client_->GetPolicy().ok());
}

TEST_F(ControlServerTest, TheLargestPolicyFits) {
  dax::Policy policy;
  for (size_t i = 0; i < dax::kMaxRules; ++i) {
    std::string name = std::to_string(i);
    name.resize(64, '.');
    policy.rules.push_back({.name = name,
                            .share_tag = std::string(36, 't'),
                            .size_at_least = ByteCount(0),
                            .size_below = ByteCount(~uint64_t{0}),
                            .outcome = dax::Outcome::kDax});
  }
  ASSERT_TRUE(controller_.SetPolicy(policy, {}).ok());
  const auto got = client_->GetPolicy();
  ASSERT_TRUE(got.ok()) << got.status();
  v1::SetPolicyRequest request;
  *request.mutable_policy() = got->policy();
  EXPECT_EQ(*client_->SetPolicy(request), 3u);
}

TEST_F(ControlServerTest, AListOfManyPagesArrives) {
  LiveFile file;
  file.path = std::string(1000, 'p');
  file.share_tag = "data";
  controller_.files.assign(5000, file);
  for (size_t i = 0; i < controller_.files.size(); ++i) controller_.files[i].node_id = i + 1;
  const auto files = client_->ListFiles();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->files_size(), 5000);
}

TEST_F(ControlServerTest, GarbageOnOneConnectionDisturbsNoOther) {
  const UniqueFd silent = RawConnection();
  const UniqueFd garbage = RawConnection();
  const std::string bytes(100000, '\xa5');
  // The server may hang up in the middle.
  (void)send(garbage.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  EXPECT_TRUE(client_->GetPolicy().ok());
  const auto other = Client::Connect(Path());
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE((*other)->GetPolicy().ok());
}

TEST_F(ControlServerTest, ManyClientsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&answered] {
      auto client = Client::Connect(Path());
      for (int i = 0; client.ok() && i < 20; ++i) {
        if ((*client)->SetNamedPolicy("always").ok() &&
            (*client)->ListFiles().status().code() != absl::StatusCode::kUnavailable)
          ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 8 * 20);
  EXPECT_EQ(controller_.GetPolicy().generation, 1u + 8 * 20);
}

TEST_F(ControlServerTest, StoppingCutsConnectionsAndLeavesTheSocketToItsOwner) {
  const UniqueFd idle = RawConnection();
  ASSERT_TRUE(client_->GetPolicy().ok());
  server_.reset();
  EXPECT_EQ(client_->GetPolicy().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(std::filesystem::exists(Path()));

  // The same socket can be served again, and clients that came meanwhile are answered.
  auto early = Client::Connect(Path());
  ASSERT_TRUE(early.ok()) << early.status();
  StartServer();
  EXPECT_TRUE((*early)->GetPolicy().ok());
  server_.reset();
  socket_.reset();
  EXPECT_FALSE(std::filesystem::exists(Path()));
  EXPECT_EQ(Client::Connect(Path()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ControlServerTest, ACallWithoutAnAnswerEndsAtItsDeadline) {
  server_.reset();  // the socket listens on, as it does before the server is loaded
  auto client = Client::Connect(Path(), absl::Milliseconds(200));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->GetPolicy().status().code(), absl::StatusCode::kDeadlineExceeded);
}

// The signals that some thread of this process lets through, but for the calling one.
std::vector<std::string> MasksOfOtherThreads() {
  std::vector<std::string> masks;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(gettid())) continue;
    std::FILE* status = std::fopen((task.path() / "status").c_str(), "re");
    char line[256];
    while (status != nullptr && std::fgets(line, sizeof(line), status) != nullptr) {
      if (std::strncmp(line, "SigBlk:", 7) == 0) masks.emplace_back(line + 7);
    }
    if (status != nullptr) std::fclose(status);
  }
  return masks;
}

}  // namespace

// Without a client in the process, whose threads are gRPC's too but not the server's.
TEST(ControlServerSignals, NoThreadOfTheServerTakesAny) {
  FakeController controller;
  auto socket = ControlSocket::Bind(testing::TempDir() + "/signals");
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto server = ControlServer::Start(&controller, socket->listen_fd());
  ASSERT_TRUE(server.ok()) << server.status();
  const auto masks = MasksOfOtherThreads();
  EXPECT_FALSE(masks.empty());
  for (const std::string& mask : masks) {
    const uint64_t blocked = std::stoull(mask, nullptr, 16);
    EXPECT_NE(blocked & (uint64_t{1} << (SIGTERM - 1)), 0u) << mask;
    EXPECT_NE(blocked & (uint64_t{1} << (SIGINT - 1)), 0u) << mask;
  }
}

}  // namespace daxvmm::control
