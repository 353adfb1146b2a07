// Each limit by itself: what is within is served, and what is above is refused by name.
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "control/call_budget.h"
#include "control/call_counts.h"
#include "control/connection_table.h"
#include "control/services.h"
#include "control/testing/control_server_fixture.h"
#include "control/testing/raw_http2.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/daxvmm/v1/daxvmm.grpc.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;
constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr std::chrono::seconds kSecond(1);

TEST(CallBudgetTest, ABurstAndThenARate) {
  CallBudget budget({.calls_per_second = 10, .burst = 3});
  const CallBudget::Clock::time_point start{kSecond};
  const auto call = [&budget](CallBudget::Clock::time_point now) {
    const bool may = budget.Arrived(now);
    if (may) budget.Begun();
    return may;
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(call(start));
  EXPECT_FALSE(call(start));
  EXPECT_TRUE(call(start + std::chrono::milliseconds(100)));
  EXPECT_FALSE(call(start + std::chrono::milliseconds(150)));
  // No more than a burst is saved, and a clock that stands still gives nothing.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(call(start + 3600 * kSecond));
  EXPECT_FALSE(call(start + 3600 * kSecond));
  EXPECT_FALSE(budget.abusive());
}

TEST(CallBudgetTest, WhoGoesOnWhileItIsRefusedIsAbusive) {
  CallBudget budget({.calls_per_second = 1, .burst = 1, .refusals_per_second = 5});
  CallBudget::Clock::time_point now{kSecond};
  // Five a second are allowed for ever.
  for (int second = 0; second < 4; ++second, now += kSecond) {
    for (int i = 0; i < 6; ++i) {
      if (budget.Arrived(now)) budget.Begun();
    }
  }
  EXPECT_FALSE(budget.abusive());
  for (int i = 0; i < 7; ++i) budget.Arrived(now);
  EXPECT_TRUE(budget.abusive());
  budget.Forgive();
  EXPECT_FALSE(budget.abusive());
}

TEST(CallBudgetTest, CallsWithoutARequestAddUpButAreForgotten) {
  CallBudget budget({.calls_per_second = 1000, .burst = 1000, .without_request = 3});
  CallBudget::Clock::time_point now{kSecond};
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(budget.Arrived(now));
    budget.Begun();
  }
  for (int i = 0; i < 3; ++i) budget.Arrived(now);
  EXPECT_FALSE(budget.abusive());
  now += 10 * kSecond;
  budget.Arrived(now);  // in the place of one that is forgotten
  EXPECT_FALSE(budget.abusive());
  budget.Arrived(now);
  EXPECT_TRUE(budget.abusive());
}

TEST(CallCountsTest, EveryMethodHasARow) {
  const auto* const pool = google::protobuf::DescriptorPool::generated_pool();
  v1::GetMachineRequest().GetDescriptor();  // links the contract in
  for (const char* name : kServiceNames) {
    const auto* const service = pool->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = service->method(i)->name();
      EXPECT_TRUE(std::any_of(std::begin(kCountedMethods), std::end(kCountedMethods),
                              [&method](const char* counted) { return method == counted; }))
          << method << " is not in control/call_counts.h";
    }
  }
}

TEST(CallCountsTest, CountsByMethodAndCode) {
  CallCounts counts;
  EXPECT_TRUE(counts.Snapshot().empty());
  counts.Add("SetPolicy", 7);
  counts.Add("/daxvmm.v1.DaxPolicyService/SetPolicy", 7);
  counts.Add("GetPolicy", 0);
  counts.Add("/x.Y/Anything", 12);
  counts.Add("", -5);
  std::vector<std::string> all;
  for (const auto& count : counts.Snapshot()) {
    all.push_back(std::string(count.method) + " " + std::to_string(count.code) + " " + std::to_string(count.calls));
  }
  EXPECT_THAT(all, ::testing::ElementsAre("GetPolicy 0 1", "SetPolicy 7 2", "other 2 1", "other 12 1"));
}

struct Pair {
  UniqueFd ours;
  UniqueFd theirs;
};

Pair MakePair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TEST(ConnectionTableTest, KnowsWhoHasEnded) {
  ConnectionTable table(std::chrono::seconds(10));
  Pair a = MakePair();
  Pair b = MakePair();
  Pair c = MakePair();
  for (const auto& [pair, owner] : {std::pair(&a, 1), {&b, 1}, {&c, 2}}) {
    table.Add(UniqueFd(dup(pair->ours.get())), owner, /*privileged=*/owner == 2);
  }
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.unprivileged(), 2u);
  const auto reap = [&table] {
    std::vector<pollfd> fds;
    table.AppendPollFds(&fds);
    poll(fds.data(), fds.size(), 0);
    table.Reap(fds);
  };
  reap();
  EXPECT_EQ(table.size(), 3u);
  // As gRPC ends one, though the table has a descriptor of its own; and as a peer does.
  shutdown(a.ours.get(), SHUT_RDWR);
  a.ours.reset();
  c.theirs.reset();
  reap();
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.unprivileged(), 1u);
  EXPECT_EQ(table.CountOf(1), 1u);
  table.Cut(1);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(HungUpWithin(b.theirs, kPatience));
}

TEST(ConnectionTableTest, CutsAPeerThatReadsNothing) {
  ConnectionTable table(std::chrono::seconds(10));
  const Pair idle = MakePair();
  const Pair reader = MakePair();
  const Pair stuck = MakePair();
  for (const Pair* pair : {&idle, &reader, &stuck}) table.Add(UniqueFd(dup(pair->ours.get())), 1, true);
  ConnectionTable::Clock::time_point now{kSecond};
  char byte[2] = "x";
  for (int i = 0; i < 12; ++i, now += kSecond) {
    for (const Pair* pair : {&reader, &stuck}) send(pair->ours.get(), byte, 1, MSG_NOSIGNAL);
    if (i % 3 == 0) {
      while (recv(reader.theirs.get(), byte, 1, 0) == 1) {
      }
    }
    table.CutStalled(now);
    EXPECT_EQ(table.size(), i < 10 ? 3u : 2u) << i;
  }
}

TEST(ConnectionTableTest, CutsAPeerThatSendsFasterThanItIsRead) {
  ConnectionTable table(std::chrono::seconds(10));
  const Pair quick = MakePair();
  const Pair flood = MakePair();
  table.Add(UniqueFd(dup(quick.ours.get())), 1, true);
  table.Add(UniqueFd(dup(flood.ours.get())), 2, true);
  std::string bytes(100'000, 'x');
  for (int i = 0; i < 5; ++i) {
    for (const Pair* pair : {&quick, &flood}) send(pair->theirs.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (i % 3 == 0) recv(quick.ours.get(), bytes.data(), bytes.size(), 0);
    EXPECT_EQ(table.CutFlooding(), i < 4 ? std::vector<uint64_t>() : std::vector<uint64_t>{2}) << i;
  }
  EXPECT_EQ(table.size(), 1u);
}

class ControlLimitsTest : public ControlServerTest {
 protected:
  void Restart(const ControlLimits& limits) {
    // Answered, so that its connection is not left for the next server to accept.
    ASSERT_TRUE(client_->GetPolicy().ok());
    client_.reset();
    server_.reset();
    auto server = ControlServer::Start(&controller_, {.unix_listener = socket_->listen_fd(), .limits = limits});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  absl::StatusOr<v1::GetPolicyResponse> Ask() {
    auto client = Client::Connect(Path());
    if (!client.ok()) return client.status();
    clients_.push_back(*std::move(client));
    return clients_.back()->GetPolicy();
  }

  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(ControlLimitsTest, ConnectionsOfOneUserComeAndGo) {
  ControlLimits limits;
  limits.connections_per_principal = 3;
  Restart(limits);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Ask().ok()) << i;
  EXPECT_EQ(Ask().status().code(), Code::kUnavailable);
  EXPECT_TRUE(clients_[0]->GetPolicy().ok());
  clients_.clear();
  const absl::Time give_up = absl::Now() + kPatience;
  while (!Ask().ok()) {
    clients_.clear();
    ASSERT_LT(absl::Now(), give_up) << "the places of those that are gone stay taken";
  }
}

TEST_F(ControlLimitsTest, ConnectionsInAll) {
  ControlLimits limits;
  limits.connections = 2;
  Restart(limits);
  EXPECT_TRUE(Ask().ok());
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Ask().status().code(), Code::kUnavailable);
}

TEST_F(ControlLimitsTest, TheRateOfCallsIsSaid) {
  ControlLimits limits;
  limits.calls_per_second = 0.001;
  limits.call_burst = 5;
  Restart(limits);
  auto client = Client::Connect(Path());
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE((*client)->GetPolicy().ok()) << i;
  const auto refused = (*client)->GetPolicy();
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("0.001 calls a second, or 5 at once"));
  // One bucket for all connections of a user.
  EXPECT_EQ(Ask().status().code(), Code::kResourceExhausted);
}

TEST_F(ControlLimitsTest, WhoGoesOnIsCutForAWhileAndServedAgain) {
  ControlLimits limits;
  limits.calls_per_second = 100;
  limits.call_burst = 5;
  limits.refusals_per_second = 20;
  limits.banned_for = std::chrono::milliseconds(300);
  Restart(limits);
  auto client = Client::Connect(Path());
  ASSERT_TRUE(client.ok()) << client.status();
  absl::Time give_up = absl::Now() + kPatience;
  while ((*client)->GetPolicy().status().code() != Code::kUnavailable) ASSERT_LT(absl::Now(), give_up) << "not cut";
  give_up = absl::Now() + kPatience;
  while (!Ask().ok()) {
    ASSERT_LT(absl::Now(), give_up) << "not served again";
    absl::SleepFor(absl::Milliseconds(20));  // between attempts
  }
}

TEST_F(ControlLimitsTest, AResponseThatIsTooLarge) {
  ControlLimits limits;
  limits.response_bytes = 100;
  Restart(limits);
  auto client = Client::Connect(Path());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->ListFiles().status().code(), Code::kResourceExhausted);
  EXPECT_TRUE((*client)->CheckHealth().ok());
}

TEST_F(ControlLimitsTest, ARequestThatIsTooLarge) {
  ControlLimits limits;
  limits.request_bytes = 100;
  Restart(limits);
  auto client = Client::Connect(Path());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->SetNamedPolicy(std::string(200, 'n')).status().code(), Code::kResourceExhausted);
  EXPECT_TRUE((*client)->GetPolicy().ok());
}

TEST_F(ControlLimitsTest, StreamsOfOneConnectionWaitForEachOther) {
  ControlLimits limits;
  limits.streams_per_connection = 2;
  Restart(limits);
  auto channel = grpc::CreateChannel("unix:" + Path(), grpc::InsecureChannelCredentials());
  auto stub = v1::DaxPolicyService::NewStub(channel);
  v1::WatchConvergenceRequest request;
  request.set_until_settled(false);
  v1::WatchConvergenceResponse response;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchConvergenceResponse>>> streams;
  for (int i = 0; i < 2; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub->WatchConvergence(contexts.back().get(), request));
    ASSERT_TRUE(streams.back()->Read(&response)) << i;
  }
  const auto ask = [&](int milliseconds) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(milliseconds));
    v1::GetPolicyResponse policy;
    return stub->GetPolicy(&context, {}, &policy).error_code();
  };
  EXPECT_EQ(ask(300), grpc::StatusCode::DEADLINE_EXCEEDED);
  contexts[0]->TryCancel();
  EXPECT_EQ(ask(10'000), grpc::StatusCode::OK);
  contexts[1]->TryCancel();
  for (auto& stream : streams) stream->Finish();
}

// Nice values of this process's threads by name.
std::multimap<std::string, int> NiceValues() {
  std::multimap<std::string, int> values;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream comm(task.path() / "comm");
    std::string name;
    std::getline(comm, name);
    values.emplace(name, getpriority(PRIO_PROCESS, std::stoi(task.path().filename().string())));
  }
  return values;
}

TEST(ControlServerNice, GrpcGivesWayButNotWhoTakesTheMachinesLocks) {
  FakeController controller;
  auto socket = ControlSocket::Bind(testing::TempDir() + "/nice");
  ASSERT_TRUE(socket.ok()) << socket.status();
  ControlServerOptions options = {.unix_listener = socket->listen_fd()};
  options.limits.nice = 7;
  auto server = ControlServer::Start(&controller, options);
  ASSERT_TRUE(server.ok()) << server.status();
  // A thread gives itself its name, once it runs.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto of = [deadline](const std::string& name) {
    for (;;) {
      const auto values = NiceValues();
      if (const auto found = values.find(name); found != values.end()) return found->second;
      if (std::chrono::steady_clock::now() > deadline) return -100;
      std::this_thread::yield();
    }
  };
  const int own = getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(of("control-accept"), 7);
  EXPECT_EQ(of("grpcpp_sync_ser"), 7);
  EXPECT_EQ(of("control-list"), own);
  EXPECT_EQ(of("convergence"), own);
}

}  // namespace
}  // namespace daxvmm::control
