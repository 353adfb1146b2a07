// The contract of MachineService, each call and each error of it, over a machine without a guest.
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "control/log_streams.h"
#include "control/testing/control_server_fixture.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

constexpr absl::Duration kLong = absl::Minutes(1);

class MachineServiceTest : public ControlServerTest {
 protected:
  void Put(MachineState state) { controller_.machine.state = state; }
  static v1::ShutdownMachineRequest ShutdownIn(int64_t seconds, int32_t nanos = 0) {
    v1::ShutdownMachineRequest request;
    request.mutable_timeout()->set_seconds(seconds);
    request.mutable_timeout()->set_nanos(nanos);
    return request;
  }
  void Append(EventKind kind, const std::string& message) { controller_.events().Append(kind, message); }
  void Print(const std::string& text) {
    controller_.console().Append(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  // What is there already: "sequence:message", with "+n" for n missed.
  absl::StatusOr<std::vector<std::string>> Events(v1::WatchEventsRequest request) {
    request.set_no_follow(true);
    std::vector<std::string> seen;
    const absl::Status status = client_->WatchEvents(request, kLong, [&seen](const v1::WatchEventsResponse& response) {
      seen.push_back(absl::StrCat(response.event().sequence(), ":", response.event().message(),
                                  response.missed() == 0 ? "" : absl::StrCat("+", response.missed())));
      return true;
    });
    if (!status.ok()) return status;
    return seen;
  }
  absl::Status ReadConsole(uint64_t offset, bool follow, std::string* text, absl::Duration limit = kLong) {
    v1::ReadConsoleRequest request;
    request.set_offset(offset);
    request.set_follow(follow);
    return client_->ReadConsole(request, limit, [text](const v1::ReadConsoleResponse& response) {
      *text += response.data();
      return true;
    });
  }
};

using Lines = std::vector<std::string>;

TEST_F(MachineServiceTest, GetMachineTellsWhatItIs) {
  const auto machine = client_->GetMachine();
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->state(), v1::Machine::STATE_RUNNING);
  EXPECT_EQ(machine->version(), kVersion);
  EXPECT_EQ(machine->pid(), getpid());
  EXPECT_EQ(machine->cpus(), 2u);
  EXPECT_EQ(machine->memory_bytes(), uint64_t{512} << 20);
  ASSERT_EQ(machine->shares_size(), 2);
  EXPECT_EQ(machine->shares(0).tag(), "data");
  EXPECT_EQ(machine->shares(0).window_bytes(), uint64_t{64} << 20);
  EXPECT_EQ(machine->shares(0).mount_mode(), v1::MOUNT_MODE_PER_FILE);
  EXPECT_FALSE(machine->shares(0).read_only());
  EXPECT_EQ(machine->shares(1).path(), "/srv/caf\\xe9") << "path text";
  EXPECT_TRUE(machine->shares(1).read_only());
  EXPECT_EQ(machine->shares(1).mount_mode(), v1::MOUNT_MODE_NOT_MOUNTED);
  EXPECT_EQ(machine->create_time().seconds(), 1'700'000'000);
  EXPECT_EQ(machine->start_time().nanos(), 250'000'000);
  EXPECT_FALSE(machine->has_force_time());
  EXPECT_EQ(machine->end_reason(), "");
}

TEST_F(MachineServiceTest, CommandsMoveTheStateAndAnswerWithTheMachine) {
  Put(MachineState::kCreated);
  EXPECT_EQ(client_->StartMachine()->state(), v1::Machine::STATE_RUNNING);
  EXPECT_EQ(client_->PauseMachine()->state(), v1::Machine::STATE_PAUSED);
  EXPECT_EQ(client_->PauseMachine()->state(), v1::Machine::STATE_PAUSED);
  EXPECT_EQ(client_->ResumeMachine()->state(), v1::Machine::STATE_RUNNING);
  EXPECT_EQ(client_->ResumeMachine()->state(), v1::Machine::STATE_RUNNING);
  const auto asked = client_->ShutdownMachine(ShutdownIn(10));
  ASSERT_TRUE(asked.ok()) << asked.status();
  const auto machine = client_->GetMachine();
  EXPECT_EQ(machine->state(), v1::Machine::STATE_SHUTTING_DOWN);
  EXPECT_EQ(machine->force_time().seconds(), asked->force_time().seconds());
  EXPECT_EQ(machine->force_time().nanos(), asked->force_time().nanos());
  EXPECT_EQ(controller_.events().newest(), 4u) << "started, paused, resumed, shutdown requested";
}

TEST_F(MachineServiceTest, AWrongStateIsAFailedPrecondition) {
  Put(MachineState::kRunning);
  EXPECT_EQ(client_->StartMachine().status().code(), absl::StatusCode::kFailedPrecondition);
  Put(MachineState::kCreated);
  EXPECT_EQ(client_->PauseMachine().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client_->ResumeMachine().status().code(), absl::StatusCode::kFailedPrecondition);
  Put(MachineState::kEnded);
  for (const absl::Status& status : {client_->StartMachine().status(), client_->PauseMachine().status(),
                                     client_->ResumeMachine().status(), client_->ShutdownMachine({}).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(std::string(status.message()).find("has ended"), std::string::npos) << status;
  }
}

TEST_F(MachineServiceTest, APauseThatTheHostDoesNotGrantIsTold) {
  controller_.FailPause(absl::AbortedError("vCPU 0 did not leave the guest"));
  const absl::Status status = client_->PauseMachine().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(status.message(), "vCPU 0 did not leave the guest");
}

TEST_F(MachineServiceTest, TimeoutsOfAShutdownAreChecked) {
  v1::ShutdownMachineRequest both = ShutdownIn(1);
  both.set_force(true);
  const std::pair<v1::ShutdownMachineRequest, const char*> wrong[] = {
      {ShutdownIn(-1), "timeout: not a duration from 0 s up"},
      {ShutdownIn(0, -1), "timeout: not a duration from 0 s up"},
      {ShutdownIn(86400, 1), "timeout: must be 0 to 86400 s"},
      {ShutdownIn(int64_t{1} << 62), "timeout: not a duration from 0 s up"},
      {ShutdownIn(1, -1), "timeout: not a duration from 0 s up"},
      {ShutdownIn(1, 1'000'000'000), "timeout: not a duration from 0 s up"},
      {both, "timeout: excludes force"},
  };
  for (const auto& [request, message] : wrong) {
    const absl::Status status = client_->ShutdownMachine(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << request.ShortDebugString();
    EXPECT_EQ(status.message(), message) << request.ShortDebugString();
  }
  EXPECT_EQ(client_->GetMachine()->state(), v1::Machine::STATE_RUNNING) << "what is refused changes nothing";
  for (const v1::ShutdownMachineRequest& request : {v1::ShutdownMachineRequest(), ShutdownIn(86400), ShutdownIn(0)}) {
    EXPECT_TRUE(client_->ShutdownMachine(request).ok()) << request.ShortDebugString();
  }
}

TEST_F(MachineServiceTest, ForceEndsAtOnceAndSaysWhoDidIt) {
  v1::ShutdownMachineRequest request;
  request.set_force(true);
  ASSERT_TRUE(client_->ShutdownMachine(request).ok());
  const auto machine = client_->GetMachine();
  EXPECT_EQ(machine->state(), v1::Machine::STATE_ENDED);
  EXPECT_NE(machine->end_reason().find("uid "), std::string::npos) << machine->end_reason();
}

TEST_F(MachineServiceTest, EventsFromTheOldestOrFromANumberOn) {
  EXPECT_EQ(*Events({}), Lines{});
  Append(EventKind::kStarted, "a");
  Append(EventKind::kPaused, "b");
  Append(EventKind::kResumed, "c\xff");
  EXPECT_EQ(*Events({}), (Lines{"1:a", "2:b", "3:c\\xff"}));
  v1::WatchEventsRequest request;
  request.set_after_sequence(2);
  EXPECT_EQ(*Events(request), Lines{"3:c\\xff"});
  request.set_after_sequence(3);
  EXPECT_EQ(*Events(request), Lines{});
  request.set_after_sequence(4);
  EXPECT_EQ(Events(request).status().code(), absl::StatusCode::kOutOfRange) << "that was another run";
}

TEST_F(MachineServiceTest, EventsOfSomeKinds) {
  Append(EventKind::kStarted, "a");
  Append(EventKind::kPaused, "b");
  Append(EventKind::kPolicyChanged, "c");
  v1::WatchEventsRequest request;
  request.add_kinds(v1::Event::KIND_POLICY_CHANGED);
  request.add_kinds(v1::Event::KIND_STARTED);
  EXPECT_EQ(*Events(request), (Lines{"1:a", "3:c"}));
  for (const int kind : {0, 15, 1000, -1}) {
    v1::WatchEventsRequest wrong;
    wrong.add_kinds(v1::Event::KIND_STARTED);
    wrong.add_kinds(static_cast<v1::Event::Kind>(kind));
    const absl::Status status = Events(wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << kind;
    EXPECT_EQ(std::string(status.message()).find("kinds[1]: "), 0u) << status;
  }
}

TEST_F(MachineServiceTest, EventsThatAreNotKeptAreCounted) {
  for (size_t i = 0; i < EventLog::kCapacity + 5; ++i) Append(EventKind::kPaused, "p");
  const auto events = Events({});
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), EventLog::kCapacity);
  EXPECT_EQ(events->front(), "6:p+5");
}

TEST_F(MachineServiceTest, AWatcherFollowsToTheEnd) {
  Append(EventKind::kStarted, "a");
  Lines seen;
  // Each event is appended once the one before has arrived, so nothing of it was there when the call began.
  const absl::Status status = client_->WatchEvents({}, kLong, [&](const v1::WatchEventsResponse& response) {
    seen.push_back(v1::Event::Kind_Name(response.event().kind()));
    if (seen.size() == 1) {
      EXPECT_TRUE(client_->PauseMachine().ok());
    }
    if (seen.size() == 2) controller_.EndMachine(EventKind::kPowerOff, "the guest powered off");
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, (Lines{"KIND_STARTED", "KIND_PAUSED", "KIND_POWER_OFF"}));
  EXPECT_EQ(client_->GetMachine()->end_reason(), "the guest powered off");
}

TEST_F(MachineServiceTest, TheLastEventArrivesWhileTheServerGoes) {
  Append(EventKind::kStarted, "a");
  std::promise<void> watching;
  Lines seen;
  auto watcher = std::async(std::launch::async, [&] {
    return client_->WatchEvents({}, kLong, [&](const v1::WatchEventsResponse& response) {
      seen.push_back(v1::Event::Kind_Name(response.event().kind()));
      if (seen.size() == 1) watching.set_value();
      return true;
    });
  });
  ASSERT_EQ(watching.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready) << "no first event";
  controller_.EndMachine(EventKind::kPanic, "");
  server_.reset();
  const absl::Status status = watcher.get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, (Lines{"KIND_STARTED", "KIND_PANIC"}));
}

TEST_F(MachineServiceTest, AServerThatGoesBeforeTheMachineIsUnavailable) {
  Append(EventKind::kStarted, "a");
  Print("x");
  std::promise<void> watching;
  std::promise<void> reading;
  auto watcher = std::async(std::launch::async, [&] {
    return client_->WatchEvents({}, kLong, [&](const auto&) {
      watching.set_value();
      return true;
    });
  });
  auto reader = std::async(std::launch::async, [&] {
    v1::ReadConsoleRequest request;
    request.set_follow(true);
    return client_->ReadConsole(request, kLong, [&](const auto&) {
      reading.set_value();
      return true;
    });
  });
  ASSERT_EQ(watching.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready) << "no event";
  ASSERT_EQ(reading.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready) << "no console";
  server_.reset();
  EXPECT_EQ(watcher.get().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(reader.get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(MachineServiceTest, AWatcherMayGoOrRunOutOfTime) {
  Append(EventKind::kStarted, "a");
  EXPECT_EQ(client_->WatchEvents({}, kLong, [](const auto&) { return false; }).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client_->WatchEvents({}, absl::Milliseconds(200), [](const auto&) { return true; }).code(),
            absl::StatusCode::kDeadlineExceeded);
  std::string text;
  EXPECT_EQ(ReadConsole(0, true, &text, absl::Milliseconds(200)).code(), absl::StatusCode::kDeadlineExceeded);
}

// As many streams as there may be, which are open when this returns, and end when it goes.
template <typename Open>
class Streams {
 public:
  Streams(size_t count, const Open& open) {
    for (size_t i = 0; i < count; ++i) {
      std::promise<void> begun;
      auto future = begun.get_future();
      ends_.push_back(std::async(std::launch::async, [&open, begun = std::move(begun)]() mutable { open(&begun); }));
      EXPECT_EQ(future.wait_for(std::chrono::minutes(1)), std::future_status::ready) << "stream " << i;
    }
  }

 private:
  std::vector<std::future<void>> ends_;
};

TEST_F(MachineServiceTest, SixteenStreamsOfEachKindAreEnough) {
  Append(EventKind::kStarted, "a");
  Print("x");
  v1::ReadConsoleRequest follow;
  follow.set_follow(true);
  const auto watch = [this](std::promise<void>* begun) {
    EXPECT_TRUE(client_
                    ->WatchEvents({}, kLong,
                                  [begun](const v1::WatchEventsResponse& response) {
                                    if (response.event().sequence() == 1) begun->set_value();
                                    return true;
                                  })
                    .ok());
  };
  const auto read = [this, &follow](std::promise<void>* begun) {
    EXPECT_TRUE(client_
                    ->ReadConsole(follow, kLong,
                                  [begun](const v1::ReadConsoleResponse& response) {
                                    if (response.offset() == 0) begun->set_value();
                                    return true;
                                  })
                    .ok());
  };
  const Streams watchers(kMaxLogStreams, watch);
  EXPECT_EQ(Events({}).status().code(), absl::StatusCode::kResourceExhausted);
  std::string text;
  EXPECT_TRUE(ReadConsole(0, false, &text).ok()) << "one kind does not take the other's places";
  const Streams readers(kMaxLogStreams, read);
  EXPECT_EQ(ReadConsole(0, false, &text).code(), absl::StatusCode::kResourceExhausted);
  controller_.EndMachine(EventKind::kPowerOff, "");
}

TEST_F(MachineServiceTest, PlacesOfStreamsComeFree) {
  Append(EventKind::kStarted, "a");
  for (size_t i = 0; i < 3 * kMaxLogStreams; ++i) ASSERT_TRUE(Events({}).ok()) << i;
}

TEST_F(MachineServiceTest, TheConsoleFromAnOffset) {
  std::string text;
  EXPECT_TRUE(ReadConsole(0, false, &text).ok());
  EXPECT_EQ(text, "");
  Print("boot\r\n\xff\x1b[2J");
  EXPECT_TRUE(ReadConsole(0, false, &text).ok());
  EXPECT_EQ(text, "boot\r\n\xff\x1b[2J") << "bytes, as they are";
  text.clear();
  EXPECT_TRUE(ReadConsole(4, false, &text).ok());
  EXPECT_EQ(text, "\r\n\xff\x1b[2J");
  EXPECT_TRUE(ReadConsole(11, false, &text).ok());
  EXPECT_EQ(ReadConsole(12, false, &text).code(), absl::StatusCode::kOutOfRange);
}

TEST_F(MachineServiceTest, WhatTheConsoleHasLostIsSeenByTheOffset) {
  Print(std::string(100, 'a') + std::string(ConsoleLog::kCapacity, 'b'));
  std::vector<std::pair<uint64_t, size_t>> pieces;
  ASSERT_TRUE(client_
                  ->ReadConsole({}, kLong,
                                [&pieces](const v1::ReadConsoleResponse& response) {
                                  EXPECT_EQ(response.data(), std::string(response.data().size(), 'b'));
                                  pieces.emplace_back(response.offset(), response.data().size());
                                  return true;
                                })
                  .ok());
  ASSERT_FALSE(pieces.empty());
  uint64_t at = 100;
  for (const auto& [offset, size] : pieces) {
    EXPECT_EQ(offset, at);
    at += size;
  }
  EXPECT_EQ(at, 100 + ConsoleLog::kCapacity);
}

TEST_F(MachineServiceTest, TheConsoleIsFollowedToTheEnd) {
  Print("a");
  std::string text;
  v1::ReadConsoleRequest request;
  request.set_follow(true);
  const absl::Status status = client_->ReadConsole(request, kLong, [&](const v1::ReadConsoleResponse& response) {
    EXPECT_EQ(response.offset(), text.size());
    text += response.data();
    if (text == "a") Print("b");
    if (text == "ab") {
      Print("c");
      controller_.EndMachine(EventKind::kPowerOff, "");
    }
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(text, "abc");
}

TEST_F(MachineServiceTest, SharesAreNotHotPlugged) {
  const absl::Status add = client_->AddShare({}).status();
  EXPECT_EQ(add.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(std::string(add.message()).find("ACPI tables at boot"), std::string::npos) << add;
  EXPECT_NE(std::string(add.message()).find("mount --bind"), std::string::npos) << add;
  const absl::Status remove = client_->RemoveShare({}).status();
  EXPECT_EQ(remove.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(std::string(remove.message()).find("unmount"), std::string::npos) << remove;
}

}  // namespace
}  // namespace daxvmm::control
