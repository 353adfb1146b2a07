// Ring 4: what a running vCPU sees through the window.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/microguest/micro_machine.h"

namespace daxvmm::microguest {
namespace {

constexpr uint64_t kPatternA = 0xaaaa'aaaa'aaaa'aaaa;
constexpr uint64_t kPatternB = 0xbbbb'bbbb'bbbb'bbbb;

UniqueFd MakeFile(ByteCount size, uint64_t pattern) {
  UniqueFd fd(memfd_create("file", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size.raw())), 0);
  const std::vector<uint64_t> words(size.raw() / sizeof(uint64_t), pattern);
  EXPECT_EQ(pwrite(fd.get(), words.data(), size.raw(), 0), static_cast<ssize_t>(size.raw()));
  return fd;
}

// The parameter: whether the machine has the in-kernel interrupt controller.
class WindowTest : public testing::TestWithParam<bool> {
 protected:
  void Boot(MicroMachineOptions options) {
    options.irqchip = GetParam();
    auto machine = MicroMachine::Create(options);
    if (machine.status().code() == absl::StatusCode::kUnavailable) GTEST_SKIP() << machine.status().message();
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
    machine_->guard().Add({.name = "test",
                           .base = fakes::kWindowBase,
                           .size = machine_->window().size(),
                           .read_only = options.window_read_only,
                           .owner = nullptr});
    ASSERT_TRUE(machine_->Start().ok());
  }

  void Map(WindowOffset at, ByteCount length, const UniqueFd& file,
           memory::Protection protection = memory::Protection::kReadWrite) {
    const absl::Status status = machine_->window().Map(at, length, file.get(), FileOffset(0), protection);
    ASSERT_TRUE(status.ok()) << status;
  }

  void ExpectFault() {
    const std::optional<vmm::GuestEnd> end = machine_->AwaitEnd();
    ASSERT_TRUE(end.has_value()) << "the guest hangs";
    EXPECT_EQ(end->kind, vmm::GuestEndKind::kFault) << end->message;
    EXPECT_NE(end->message.find("nothing behind it"), std::string::npos) << end->message;
  }

  std::unique_ptr<MicroMachine> machine_;
};

INSTANTIATE_TEST_SUITE_P(Irqchip, WindowTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "InKernel" : "None"; });

#define BOOT(...)                               \
  ASSERT_NO_FATAL_FAILURE(Boot({__VA_ARGS__})); \
  if (testing::Test::IsSkipped()) return

TEST_P(WindowTest, ALoadSeesTheFilesBytes) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  const uint64_t mark = 0x0123'4567'89ab'cdef;
  ASSERT_EQ(pwrite(file.get(), &mark, sizeof(mark), 0x1fff00), 8);
  Map(WindowOffset(MiB(2).raw()), MiB(2), file);
  EXPECT_EQ(machine_->Load(fakes::kWindowBase + MiB(2)), kPatternA);
  EXPECT_EQ(machine_->Load(fakes::kWindowBase + MiB(2) + ByteCount(0x1fff00)), mark);
  EXPECT_EQ(machine_->Sum(fakes::kWindowBase + MiB(2), KiB(64), ByteCount(8)), kPatternA * (65536 / 8));
}

TEST_P(WindowTest, AHostWriteIsSeenByALaterLoad) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file);
  EXPECT_EQ(machine_->Load(fakes::kWindowBase + KiB(8)), kPatternA);
  ASSERT_EQ(pwrite(file.get(), &kPatternB, sizeof(kPatternB), 8192), 8);
  EXPECT_EQ(machine_->Load(fakes::kWindowBase + KiB(8)), kPatternB);
}

TEST_P(WindowTest, AStoreReachesTheFile) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file);
  ASSERT_TRUE(machine_->Store(fakes::kWindowBase + KiB(12), kPatternB));
  uint64_t word = 0;
  ASSERT_EQ(pread(file.get(), &word, sizeof(word), 12288), 8);
  EXPECT_EQ(word, kPatternB);
}

TEST_P(WindowTest, UnmappingTakesTheBytesAway) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file);
  ASSERT_EQ(machine_->Load(fakes::kWindowBase), kPatternA);
  ASSERT_TRUE(machine_->window().Unmap(WindowOffset(0), MiB(2)).ok());
  EXPECT_EQ(machine_->Load(fakes::kWindowBase), std::nullopt);
  ExpectFault();
}

TEST_P(WindowTest, APageThatWasNeverMappedEndsTheGuest) {
  BOOT();
  EXPECT_EQ(machine_->Load(fakes::kWindowBase + MiB(4)), std::nullopt);
  ExpectFault();
}

TEST_P(WindowTest, AStoreThroughAReadOnlyMappingEndsTheGuest) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file, memory::Protection::kReadOnly);
  ASSERT_EQ(machine_->Load(fakes::kWindowBase), kPatternA);
  EXPECT_FALSE(machine_->Store(fakes::kWindowBase, kPatternB));
  ExpectFault();
  uint64_t word = 0;
  ASSERT_EQ(pread(file.get(), &word, sizeof(word), 0), 8);
  EXPECT_EQ(word, kPatternA);
}

TEST_P(WindowTest, AReadOnlyMappingBecomesWritableUnderTheGuest) {
  BOOT();
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file, memory::Protection::kReadOnly);
  ASSERT_EQ(machine_->Load(fakes::kWindowBase), kPatternA);
  Map(WindowOffset(0), MiB(2), file, memory::Protection::kReadWrite);
  EXPECT_TRUE(machine_->Store(fakes::kWindowBase, kPatternB));
  EXPECT_EQ(machine_->Load(fakes::kWindowBase), kPatternB);
}

TEST_P(WindowTest, AStoreToTheWindowOfAReadOnlyShareIsDroppedAndCounted) {
  BOOT(.window_read_only = true);
  const UniqueFd file = MakeFile(MiB(2), kPatternA);
  Map(WindowOffset(0), MiB(2), file, memory::Protection::kReadOnly);
  ASSERT_EQ(machine_->Load(fakes::kWindowBase), kPatternA);
  ASSERT_TRUE(machine_->Store(fakes::kWindowBase, kPatternB));
  EXPECT_EQ(machine_->guard().dropped_stores(fakes::kWindowBase), 1u);
  EXPECT_EQ(machine_->Load(fakes::kWindowBase), kPatternA);
}

TEST_P(WindowTest, RemappingUnderRunningVcpusShowsOneFileOrTheOther) {
  BOOT(.cpus = 2);
  const UniqueFd a = MakeFile(MiB(2), kPatternA);
  const UniqueFd b = MakeFile(MiB(2), kPatternB);
  Map(WindowOffset(0), MiB(2), a);
  for (unsigned cpu : {0u, 1u}) {
    machine_->StartWatch(cpu, fakes::kWindowBase, MiB(2), KiB(64), kPatternA, kPatternB);
  }
  for (int i = 0; i < 500; ++i) {
    Map(WindowOffset(0), MiB(2), i % 2 == 0 ? b : a);
    // The new file is there for every load that begins now.
    if (i % 100 == 0) {
      const auto result = machine_->FinishWatch(0);
      ASSERT_TRUE(result.has_value());
      EXPECT_EQ(result->mismatches, 0u);
      EXPECT_EQ(machine_->Load(fakes::kWindowBase + KiB(64)), i % 2 == 0 ? kPatternB : kPatternA);
      machine_->StartWatch(0, fakes::kWindowBase, MiB(2), KiB(64), kPatternA, kPatternB);
    }
  }
  for (unsigned cpu : {0u, 1u}) {
    const auto result = machine_->FinishWatch(cpu);
    ASSERT_TRUE(result.has_value()) << "the guest ended";
    EXPECT_EQ(result->mismatches, 0u);
    EXPECT_GT(result->passes, 0u);
  }
}

TEST_P(WindowTest, WhatNoDeviceAnswersReadsAsOnes) {
  BOOT();
  EXPECT_EQ(machine_->Load(GuestPhysAddr(0xc000'0000), 4), 0xffff'ffffu);
  EXPECT_TRUE(machine_->Store(GuestPhysAddr(0xc000'0000), 1, 4));
  EXPECT_EQ(machine_->Load(GuestPhysAddr(0xc000'0000), 1), 0xffu);
}

TEST_P(WindowTest, AVcpuThatNeverExitsCanBeStopped) {
  BOOT(.cpus = 2);
  // Both vCPUs poll their mailboxes for ever, without an exit: the destructor must still get them out.
  machine_.reset();
}

}  // namespace
}  // namespace daxvmm::microguest
