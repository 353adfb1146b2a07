// Ring 4: the whole machine, with guests of a few instructions: its states, and the calls that move it between them.
// Whether the guest runs is seen by what it prints.
#include "vmm/machine.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/boot/test_kernels.h"

namespace daxvmm::vmm {
namespace {

using control::MachineState;

constexpr std::chrono::seconds kDeadline{60};

// x86-64 code at ring 0.
// mov dx, 0x3f8; mov al, 'x'; loop: out dx, al; jmp loop
const std::string kPrintForEver("\x66\xba\xf8\x03\xb0\x78\xee\xeb\xfd", 9);
// mov dx, 0x600; mov al, 0x34; out dx, al; loop: jmp loop
const std::string kPowerOff("\x66\xba\x00\x06\xb0\x34\xee\xeb\xfe", 9);

class MachineTest : public testing::Test {
 protected:
  ~MachineTest() override { machine_.reset(); }

  void Make(const std::string& code, unsigned cpus = 1, std::function<void()> output = [] {}) {
    if (access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/kvm for this user";
    std::vector<boot::ElfPiece> pieces = boot::MakeElfPieces();
    const Elf64_Ehdr header = boot::MakeElfHeader();
    pieces[0].content.replace(header.e_entry - pieces[0].header.p_paddr, code.size(), code);
    MachineConfig config;
    config.kernel = testing::TempDir() + "/kernel";
    std::ofstream(config.kernel, std::ios::binary) << boot::MakeElf(header, pieces);
    config.cpus = cpus;
    config.memory = MiB(64);
    config.shutdown_timeout = std::chrono::seconds(3600);
    config.policy_file = "policy.textproto";
    auto machine =
        Machine::Create(config, {.output = [output](std::span<const uint8_t>) { output(); }, .input_room = [] {}});
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
  }
  void MakeAndStart(const std::string& code, unsigned cpus = 1) {
    Make(code, cpus);
    if (machine_ == nullptr) return;
    ASSERT_TRUE(machine_->Start().ok());
  }

  MachineState State() const { return machine_->GetMachine().state; }
  uint64_t Printed() const { return machine_->console().size(); }
  void AwaitPrinting() {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    for (const uint64_t before = Printed(); Printed() == before; std::this_thread::yield()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the guest prints nothing";
    }
  }
  void ExpectStill() {
    // A character that is just being printed may still come; a guest that runs prints one in microseconds.
    const uint64_t before = Printed();
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (std::chrono::steady_clock::now() < until) ASSERT_LE(Printed(), before + 1) << "the guest runs on";
  }
  GuestEnd AwaitEnd() {
    pollfd wait = {.fd = machine_->end_event().fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&wait, 1, 60'000), 1) << "the machine did not end";
    return machine_->end().value_or(GuestEnd{});
  }
  std::vector<std::string> Events() const {
    std::vector<std::string> seen;
    control::EventLog::Place place;
    for (;;) {
      const auto entry = machine_->events().Next({}, &place);
      if (!entry.event.has_value()) return seen;
      seen.push_back(absl::StrCat(static_cast<int>(entry.event->kind), " ", entry.event->message));
    }
  }

  std::unique_ptr<Machine> machine_;
};

TEST_F(MachineTest, OneThatWaitsRunsNothingBeforeItIsStarted) {
  Make(kPrintForEver, 2);
  if (machine_ == nullptr) return;
  EXPECT_EQ(State(), MachineState::kCreated);
  EXPECT_EQ(machine_->StartMachine().code(), absl::StatusCode::kFailedPrecondition) << "its threads are not there yet";
  ASSERT_TRUE(machine_->Start(Machine::StartMode::kWait).ok());
  EXPECT_EQ(State(), MachineState::kCreated);
  ExpectStill();
  EXPECT_EQ(Printed(), 0u);
  machine_->ReportVcpus();
  EXPECT_EQ(machine_->PauseMachine().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(machine_->ResumeMachine().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(machine_->GetMachine().started.has_value());
  ASSERT_TRUE(machine_->StartMachine().ok());
  EXPECT_TRUE(machine_->GetMachine().started.has_value());
  AwaitPrinting();
  EXPECT_EQ(machine_->StartMachine().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(MachineTest, PausesAndResumes) {
  MakeAndStart(kPrintForEver, 2);
  if (machine_ == nullptr) return;
  AwaitPrinting();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(machine_->PauseMachine().ok());
    ASSERT_TRUE(machine_->PauseMachine().ok());
    EXPECT_EQ(State(), MachineState::kPaused);
    ExpectStill();
    machine_->ReportVcpus();
    ASSERT_TRUE(machine_->ResumeMachine().ok());
    ASSERT_TRUE(machine_->ResumeMachine().ok());
    EXPECT_EQ(State(), MachineState::kRunning);
    AwaitPrinting();
  }
  machine_->Stop("enough");
  EXPECT_EQ(State(), MachineState::kEnded);
  EXPECT_EQ(machine_->GetMachine().end_reason, "enough");
  EXPECT_EQ(machine_->PauseMachine().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Events(), (std::vector<std::string>{"1 2 CPUs, 64 MiB", "2 ", "3 ", "2 ", "3 ", "2 ", "3 ", "9 enough"}));
}

TEST_F(MachineTest, ConsoleThatNobodyTakesDoesNotHoldUpAPause) {
  // Lives as long as the guest may print.
  struct Reader {
    std::mutex mu;
    std::condition_variable changed;
    bool blocked = false;
    bool released = false;
    void Release() {
      std::unique_lock lock(mu);
      released = true;
      changed.notify_all();
    }
  };
  const auto reader = std::make_shared<Reader>();
  Make(kPrintForEver, 1, [reader] {
    std::unique_lock lock(reader->mu);
    reader->blocked = true;
    reader->changed.notify_all();
    reader->changed.wait(lock, [&] { return reader->released; });
  });
  if (machine_ == nullptr) return;
  ASSERT_TRUE(machine_->Start().ok());
  {
    std::unique_lock lock(reader->mu);
    EXPECT_TRUE(reader->changed.wait_for(lock, kDeadline, [&] { return reader->blocked; })) << "nothing was printed";
  }
  EXPECT_TRUE(machine_->PauseMachine().ok());
  EXPECT_EQ(State(), MachineState::kPaused);
  reader->Release();
  ExpectStill();
  EXPECT_TRUE(machine_->ResumeMachine().ok());
  AwaitPrinting();
}

TEST_F(MachineTest, HaltsAndGoesWhilePaused) {
  MakeAndStart(kPrintForEver, 2);
  if (machine_ == nullptr) return;
  AwaitPrinting();
  ASSERT_TRUE(machine_->PauseMachine().ok());
  machine_->Halt();
  EXPECT_EQ(State(), MachineState::kEnded);
  EXPECT_EQ(machine_->ResumeMachine().code(), absl::StatusCode::kFailedPrecondition);
  machine_->Halt();
  MakeAndStart(kPrintForEver);
  ASSERT_TRUE(machine_->PauseMachine().ok());
  machine_.reset();
}

TEST_F(MachineTest, EndsWhilePaused) {
  MakeAndStart(kPrintForEver);
  if (machine_ == nullptr) return;
  ASSERT_TRUE(machine_->PauseMachine().ok());
  machine_->Stop("from the console");
  EXPECT_EQ(AwaitEnd().kind, GuestEndKind::kStopped);
  EXPECT_EQ(State(), MachineState::kEnded);
}

TEST_F(MachineTest, APauseMeetsTheGuestsEnd) {
  int paused = 0;
  for (int i = 0; i < 20; ++i) {
    MakeAndStart(kPowerOff);
    if (machine_ == nullptr) return;
    const absl::Status pause = machine_->PauseMachine();
    if (pause.ok()) {
      ++paused;
      const absl::Status resume = machine_->ResumeMachine();
      EXPECT_TRUE(resume.ok() || resume.code() == absl::StatusCode::kFailedPrecondition) << resume;
    } else {
      EXPECT_EQ(pause.code(), absl::StatusCode::kFailedPrecondition) << pause;
    }
    EXPECT_EQ(AwaitEnd().kind, GuestEndKind::kPowerOff) << i;
    EXPECT_EQ(machine_->GetMachine().end_reason, "the guest powered off");
    machine_.reset();
  }
  RecordProperty("paused_before_the_end", paused);
}

TEST_F(MachineTest, ManyCallersAtOnce) {
  MakeAndStart(kPrintForEver, 2);
  if (machine_ == nullptr) return;
  std::atomic<bool> done{false};
  std::vector<std::thread> callers;
  const auto allowed = [](const absl::Status& status) {
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kFailedPrecondition) << status;
  };
  for (int t = 0; t < 2; ++t) {
    callers.emplace_back([&] {
      while (!done) allowed(machine_->PauseMachine());
    });
    callers.emplace_back([&] {
      while (!done) allowed(machine_->ResumeMachine());
    });
  }
  callers.emplace_back([&] {
    while (!done) State();
  });
  for (int i = 0; i < 200; ++i) machine_->ReportVcpus();
  // Comes through while others pause and resume: it is the last word.
  const auto asked = machine_->ShutdownMachine({.timeout = absl::Hours(1), .requester = "test"});
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(State(), MachineState::kShuttingDown);
  AwaitPrinting();
  machine_->Stop("enough");
  done = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(State(), MachineState::kEnded);
}

TEST_F(MachineTest, AShutdownOfWhatNeverRanIsAtOnce) {
  Make(kPrintForEver);
  if (machine_ == nullptr) return;
  ASSERT_TRUE(machine_->Start(Machine::StartMode::kWait).ok());
  const auto asked = machine_->ShutdownMachine({.timeout = absl::Hours(1), .requester = "uid 7"});
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_LE(*asked, absl::Now());
  const GuestEnd end = AwaitEnd();
  EXPECT_EQ(end.kind, GuestEndKind::kStopped);
  EXPECT_EQ(end.message, "ended before it was started by uid 7");
  EXPECT_EQ(Printed(), 0u);
  EXPECT_EQ(machine_->ShutdownMachine({}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(MachineTest, AShutdownResumesWhatIsPausedAndItsDeadlineMoves) {
  MakeAndStart(kPrintForEver);
  if (machine_ == nullptr) return;
  AwaitPrinting();
  ASSERT_TRUE(machine_->PauseMachine().ok());
  const auto first = machine_->ShutdownMachine({.requester = "uid 7"});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(*first, absl::Now() + absl::Minutes(50)) << "the machine's own time";
  EXPECT_EQ(machine_->GetMachine().force_at, *first);
  AwaitPrinting();
  EXPECT_EQ(machine_->PauseMachine().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(machine_->ResumeMachine().code(), absl::StatusCode::kFailedPrecondition);
  // This guest does not know what a power button is.
  ASSERT_TRUE(machine_->ShutdownMachine({.timeout = absl::Milliseconds(10)}).ok());
  const GuestEnd end = AwaitEnd();
  EXPECT_EQ(end.kind, GuestEndKind::kStopped);
  EXPECT_EQ(end.message, "the guest did not power off within 0.01 s");
  EXPECT_EQ(Events(), (std::vector<std::string>{
                          "1 1 CPU, 64 MiB", "2 ", "3 for the shutdown", "4 asked for by uid 7; the guest has 3600 s",
                          "4 asked for; the guest has 0.01 s", "9 the guest did not power off within 0.01 s"}));
}

TEST_F(MachineTest, ForceIsNow) {
  MakeAndStart(kPrintForEver);
  if (machine_ == nullptr) return;
  ASSERT_TRUE(machine_->PauseMachine().ok());
  ASSERT_TRUE(machine_->ShutdownMachine({.force = true, .requester = "uid 7"}).ok());
  EXPECT_EQ(AwaitEnd().message, "ended by force by uid 7");
}

TEST_F(MachineTest, ThePolicyMakesEvents) {
  Make(kPrintForEver);
  if (machine_ == nullptr) return;
  ASSERT_TRUE(machine_->SetPolicyFromFile(dax::DefaultPolicy()).ok());
  ASSERT_TRUE(machine_->SetPolicy(dax::DefaultPolicy(), {.force = true, .requester = "uid 7"}).ok());
  machine_->ReportPolicyFile(absl::InvalidArgumentError("policy.textproto:3: wrong"));
  machine_->ReportPolicyFile(absl::OkStatus());
  const std::vector<std::string> events = Events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].find("13 1 rule"), 0u) << events[0];
  EXPECT_NE(events[0].find("; from policy.textproto"), std::string::npos) << events[0];
  EXPECT_NE(events[1].find("; asked for by uid 7"), std::string::npos) << events[1];
  EXPECT_EQ(events[2], "14 policy.textproto:3: wrong");
}

}  // namespace
}  // namespace daxvmm::vmm
