// Ring 4: a guest whose files the host truncates, extends and remaps while its vCPUs load from them and store to them.
// What happened is told by the window's counts, the file and the guest's end, not by the guest.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "devices/virtio_fs/dax/window.h"
#include "gtest/gtest.h"
#include "tests/microguest/micro_machine.h"

namespace daxvmm::microguest {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunk = kDaxRangeSize.raw();
constexpr uint64_t kPatternA = 0xaaaa'aaaa'aaaa'aaaa;
constexpr uint64_t kPatternB = 0xbbbb'bbbb'bbbb'bbbb;
constexpr uint64_t kRead = FUSE_SETUPMAPPING_FLAG_READ;
constexpr uint64_t kReadWrite = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE;

// Node n is the file n of the test's directory.
class Files final : public fuse::MappingSource {
 public:
  static std::string Path(uint64_t node) { return testing::TempDir() + "file" + std::to_string(node); }
  fuse::Result<UniqueFd> OpenForMapping(NodeId node, bool writable) override {
    UniqueFd fd(open(Path(node.raw()).c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!fd.valid()) return fuse::Errno::Last();
    return fd;
  }
};

struct Kind {
  const char* name;
  // With the in-kernel interrupt controller a page past a file's end makes KVM_RUN spin instead of failing.
  bool irqchip;
  // Where KVM emulates supervisor mode, what cannot be reached comes as an access to MMIO, with its address.
  bool supervisor;
};

class SurvivalTest : public testing::TestWithParam<Kind> {
 protected:
  void Boot(unsigned cpus = 1, bool read_only = false) {
    auto machine = MicroMachine::Create({.cpus = cpus,
                                         .irqchip = GetParam().irqchip,
                                         .supervisor = GetParam().supervisor,
                                         .window_read_only = read_only});
    if (machine.status().code() == absl::StatusCode::kUnavailable) GTEST_SKIP() << machine.status().message();
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
    auto window = dax::Window::Create(&machine_->window(), read_only);
    ASSERT_TRUE(window.ok()) << window.status();
    window_ = *std::move(window);
    machine_->guard().Add({.name = "share",
                           .base = fakes::kWindowBase,
                           .size = machine_->window().size(),
                           .read_only = read_only,
                           .owner = window_.get()});
    ASSERT_TRUE(machine_->Start().ok());
    MakeFile(1, kPatternA);
  }
  void TearDown() override {
    if (machine_ != nullptr) machine_->Halt();
    window_.reset();
    for (uint64_t node : {1, 2}) unlink(Files::Path(node).c_str());
  }

  static void MakeFile(uint64_t node, uint64_t pattern) {
    UniqueFd fd(open(Files::Path(node).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const std::vector<uint64_t> words(kChunk / 8, pattern);
    ASSERT_EQ(pwrite(fd.get(), words.data(), kChunk, 0), static_cast<ssize_t>(kChunk));
  }
  static void Truncate(uint64_t node, uint64_t size) {
    ASSERT_EQ(truncate(Files::Path(node).c_str(), static_cast<off_t>(size)), 0);
  }
  static uint64_t FileSize(uint64_t node) {
    struct stat st = {};
    EXPECT_EQ(stat(Files::Path(node).c_str(), &st), 0);
    return static_cast<uint64_t>(st.st_size);
  }
  static uint64_t FileWord(uint64_t node, uint64_t at) {
    UniqueFd fd(open(Files::Path(node).c_str(), O_RDONLY | O_CLOEXEC));
    uint64_t word = 0;
    EXPECT_EQ(pread(fd.get(), &word, sizeof(word), static_cast<off_t>(at)), 8);
    return word;
  }

  // The whole chunk at the window's chunk `slot`, by a guest that was told of all of it.
  int Map(uint64_t node, uint64_t slot, uint64_t flags, uint64_t told = kChunk) {
    const fuse_setupmapping_in in{
        .fh = ~uint64_t{0}, .foffset = 0, .len = kChunk, .flags = flags, .moffset = slot * kChunk};
    return window_->Setup(NodeId(node), in, files_, {.told_size = ByteCount(told)}).value();
  }
  int Remove(uint64_t slot) {
    const fuse_removemapping_one one{.moffset = slot * kChunk, .len = kChunk};
    return window_->Remove(NodeId(1), std::span(&one, 1)).value();
  }
  GuestPhysAddr At(uint64_t offset) const { return fakes::kWindowBase + ByteCount(offset); }

  void ExpectEnd(const std::vector<std::string>& texts) {
    const std::optional<vmm::GuestEnd> end = machine_->AwaitEnd();
    ASSERT_TRUE(end.has_value()) << "the guest hangs";
    EXPECT_EQ(end->kind, vmm::GuestEndKind::kFault) << end->message;
    EXPECT_EQ(vmm::ExitStatus(end->kind), 5);
    for (const std::string& text : texts) EXPECT_NE(end->message.find(text), std::string::npos) << end->message;
  }

  Files files_;
  std::unique_ptr<MicroMachine> machine_;
  std::unique_ptr<dax::Window> window_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, SurvivalTest,
                         testing::Values(Kind{"User", false, false}, Kind{"UserWithIrqchip", true, false},
                                         Kind{"Supervisor", false, true}, Kind{"SupervisorWithIrqchip", true, true}),
                         [](const auto& info) { return info.param.name; });

#define BOOT(...)                             \
  ASSERT_NO_FATAL_FAILURE(Boot(__VA_ARGS__)); \
  if (testing::Test::IsSkipped()) return

TEST_P(SurvivalTest, AnUnmappedPageEndsTheGuestAndSaysWhere) {
  BOOT();
  EXPECT_EQ(machine_->Load(At(kChunk + kPage)), std::nullopt);
  ExpectEnd({"share 'share', offset 0x201000 of the DAX window: nothing is mapped there"});
}

TEST_P(SurvivalTest, AStoreToAnUnmappedPageEndsTheGuest) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  ASSERT_TRUE(machine_->Store(At(0), kPatternB));
  ASSERT_EQ(Remove(0), 0);
  EXPECT_FALSE(machine_->Store(At(0), kPatternA));
  ExpectEnd({"offset 0x0 of the DAX window: nothing is mapped there"});
  EXPECT_EQ(FileWord(1, 0), kPatternB);
}

TEST_P(SurvivalTest, APagePastTheEndReadsAsZerosAndThenAsTheFileAgain) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kRead), 0);
  for (uint64_t round = 0; round < 20; ++round) {
    ASSERT_EQ(machine_->Load(At(kChunk - 8)), kPatternA) << round;
    Truncate(1, kPage * (round % 3));
    ASSERT_EQ(machine_->Load(At(kChunk - 8)), 0u) << round;
    ASSERT_EQ(machine_->Load(At(0)), round % 3 != 0 ? kPatternA : 0) << round;
    MakeFile(1, kPatternA);
    window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  }
  EXPECT_EQ(window_->stats().stores_past_end, 0u);
  EXPECT_GE(window_->stats().repairs, 20u);
}

TEST_P(SurvivalTest, APageThatTheGuestWasNeverToldOfIsNoHang) {
  BOOT();
  Truncate(1, 100);
  ASSERT_EQ(Map(1, 0, kReadWrite, 100), 0);
  // The host grows the file and shrinks it before anyone could tell the guest: that is known to be past the end.
  window_->FileSizeSeen(NodeId(1), ByteCount(3 * kPage));
  EXPECT_EQ(machine_->Load(At(2 * kPage)), 0u);
  EXPECT_EQ(machine_->Load(At(0)), kPatternA);
}

// No truncation and no size told: a guest's own fault. It sees zeros, or with the in-kernel interrupt controller turns
// on the page; the growth of the file lets it go on either way.
TEST_P(SurvivalTest, APageBeyondAnythingThatTheGuestWasTold) {
  BOOT();
  Truncate(1, 100);
  ASSERT_EQ(Map(1, 0, kRead, 100), 0);
  machine_->StartWatch(0, At(kPage), ByteCount(8), ByteCount(8), kPatternA, 0);
  MakeFile(1, kPatternA);
  window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  const auto result = machine_->FinishWatch(0);
  ASSERT_TRUE(result.has_value()) << machine_->AwaitEnd()->message;
  EXPECT_EQ(result->mismatches, 0u);
  EXPECT_EQ(machine_->Load(At(kPage)), kPatternA);

  ASSERT_EQ(Map(1, 0, kRead), 0);
  Truncate(1, 100);
  ASSERT_EQ(Remove(0), 0);
  ASSERT_EQ(Map(1, 0, kRead, 100), 0);
  machine_->StartWatch(0, At(kPage), ByteCount(8), ByteCount(8), kPatternA, 0);
  // Whatever it does there, its vCPU can be stopped.
  machine_->Halt();
}

TEST_P(SurvivalTest, AStoreToAReadOnlyMappingEndsTheGuestAndNamesTheFile) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kRead), 0);
  ASSERT_EQ(machine_->Load(At(kPage)), kPatternA);
  EXPECT_FALSE(machine_->Store(At(kPage), kPatternB));
  ExpectEnd({"share 'share'", "offset 0x1000", "byte 4096 of '" + Files::Path(1) + "'", "read-only"});
  EXPECT_EQ(FileWord(1, kPage), kPatternA);
}

TEST_P(SurvivalTest, AStorePastTheTruncatedEndLandsInTheFile) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  ASSERT_EQ(machine_->Load(At(5 * kPage)), kPatternA);
  Truncate(1, kPage);
  ASSERT_TRUE(machine_->Store(At(5 * kPage + 16), kPatternB));
  EXPECT_EQ(FileSize(1), 6 * kPage);
  EXPECT_EQ(FileWord(1, 5 * kPage + 16), kPatternB);
  EXPECT_EQ(FileWord(1, 5 * kPage), 0u);
  EXPECT_EQ(FileWord(1, kPage - 8), kPatternA);
  EXPECT_EQ(machine_->Load(At(5 * kPage + 16)), kPatternB);
  const dax::WindowStats stats = window_->stats();
  EXPECT_EQ(stats.stores_past_end, 1u);
  EXPECT_EQ(stats.files_extended, 1u);
}

TEST_P(SurvivalTest, ByWhateverInstruction) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  uint64_t stores = 0;
  for (unsigned i = 0; i < kMailboxStores; ++i) {
    // KVM's emulator knows few vector instructions.
    if (i == kStoreMovups && GetParam().supervisor) continue;
    ++stores;
    MakeFile(1, kPatternA);
    Truncate(1, kPage);
    const uint64_t at = (10 + i) * kPage + 64;
    ASSERT_TRUE(machine_->StoreBy(static_cast<MailboxStore>(i), At(at), kPatternB))
        << "store " << i << ": " << machine_->AwaitEnd()->message;
    EXPECT_EQ(FileWord(1, at), kPatternB) << "store " << i;
    EXPECT_EQ(FileSize(1), (11 + i) * kPage) << "store " << i;
  }
  EXPECT_EQ(window_->stats().files_extended, stores);
}

TEST_P(SurvivalTest, AStoreAcrossTwoPages) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  // Both pages gone, and only the second.
  for (const uint64_t size : {kPage, 5 * kPage}) {
    MakeFile(1, kPatternA);
    Truncate(1, size);
    ASSERT_TRUE(machine_->Store(At(5 * kPage - 4), kPatternB)) << size;
    EXPECT_EQ(FileSize(1), 6 * kPage);
    EXPECT_EQ(FileWord(1, 5 * kPage - 4), kPatternB);
  }
}

TEST_P(SurvivalTest, AStorePastWhatTheGuestWasToldEndsIt) {
  BOOT();
  Truncate(1, kPage);
  ASSERT_EQ(Map(1, 0, kReadWrite, 2 * kPage), 0);
  ASSERT_EQ(machine_->Load(At(kPage)), 0u);
  ASSERT_TRUE(machine_->Store(At(kPage), kPatternB));
  EXPECT_EQ(FileSize(1), 2 * kPage);
  // The host makes the page known, so that it is a repair page and not one that was never there.
  Truncate(1, 4 * kPage);
  (void)window_->LookAtFiles();
  Truncate(1, kPage);
  EXPECT_FALSE(machine_->Store(At(3 * kPage), kPatternB));
  ExpectEnd({"share 'share'", "byte 12288 of '" + Files::Path(1) + "'", "never told of more than 8192 bytes"});
  EXPECT_EQ(FileSize(1), kPage);
}

TEST_P(SurvivalTest, CodeInTheWindowIsNotLostEither) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  // ret; then, on a page of its own, code that is truncated away: zeros are "add %al, (%rax)", with RAX wherever it is,
  // so only what is still there is run.
  ASSERT_TRUE(machine_->Store(At(0), 0xc3, 1));
  Truncate(1, kPage);
  ASSERT_EQ(machine_->Load(At(kPage)), 0u);
  ASSERT_TRUE(machine_->Call(At(0)));
}

TEST_P(SurvivalTest, StoresToAReadOnlyShareAreDroppedAsBefore) {
  BOOT(1, /*read_only=*/true);
  ASSERT_EQ(Map(1, 0, kRead), 0);
  Truncate(1, kPage);
  ASSERT_EQ(machine_->Load(At(kPage)), 0u);
  ASSERT_TRUE(machine_->Store(At(kPage), kPatternB));
  EXPECT_EQ(machine_->guard().dropped_stores(fakes::kWindowBase), 1u);
  EXPECT_EQ(machine_->Load(At(kPage)), 0u);
  EXPECT_EQ(FileSize(1), kPage);
}

TEST_P(SurvivalTest, VcpusLoadWhileTheHostTruncatesAndExtends) {
  BOOT(2);
  ASSERT_EQ(Map(1, 0, kRead), 0);
  // The host's holes read as zeros, as the repair pages do.
  for (unsigned cpu : {0u, 1u}) machine_->StartWatch(cpu, At(0), ByteCount(kChunk), KiB(16), kPatternA, 0);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  uint64_t rounds = 0;
  for (; std::chrono::steady_clock::now() < until; ++rounds) {
    Truncate(1, kPage * (rounds % 400));
    if (rounds % 7 == 0) MakeFile(1, kPatternA);
    Truncate(1, kChunk);
    window_->FileSizeSeen(NodeId(1), ByteCount(kChunk));
  }
  for (unsigned cpu : {0u, 1u}) {
    const auto result = machine_->FinishWatch(cpu);
    ASSERT_TRUE(result.has_value()) << "the guest ended: " << machine_->AwaitEnd()->message;
    EXPECT_EQ(result->mismatches, 0u);
    EXPECT_GT(result->passes, 0u);
  }
  EXPECT_EQ(window_->stats().stores_past_end, 0u) << "a load passed for a store";
  EXPECT_EQ(window_->stats().files_extended, 0u);
}

TEST_P(SurvivalTest, VcpusStoreWhileTheHostTruncatesExtendsAndRemaps) {
  BOOT(2);
  MakeFile(2, kPatternB);
  ASSERT_EQ(Map(1, 0, kReadWrite), 0);
  ASSERT_EQ(Map(2, 1, kReadWrite), 0);
  const uint64_t turns = GetParam().supervisor ? 20'000 : 20'000'000;
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  machine_->StartCount(0, At(100 * kPage), turns);
  machine_->StartCount(1, At(kChunk + 7 * kPage), turns);
  for (uint64_t i = 0; !machine_->Answered(0) || !machine_->Answered(1); ++i) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the vCPUs did not get done, or ended";
    Truncate(1, kPage * (i % 200));
    if (i % 3 == 0) Truncate(2, 0);
    ASSERT_EQ(Map(1, i % 5 == 0 ? 0 : 2, kReadWrite), 0);
    if (i % 11 == 0) Truncate(2, kChunk);
  }
  for (unsigned cpu : {0u, 1u}) {
    // A truncation between a store and its load takes the byte away; an end is what must not be.
    ASSERT_TRUE(machine_->FinishCount(cpu).has_value()) << machine_->AwaitEnd()->message;
  }
  EXPECT_GT(window_->stats().files_extended, 0u);
  // In peace, what is stored stays.
  ASSERT_TRUE(machine_->Store(At(100 * kPage), kPatternA));
  EXPECT_EQ(FileWord(1, 100 * kPage), kPatternA);
}

// Becoming writable takes one step: the other vCPU reads through it all the while.
TEST_P(SurvivalTest, AnUpgradeLeavesNoGap) {
  BOOT(2);
  ASSERT_EQ(Map(1, 0, kRead), 0);
  machine_->StartWatch(1, At(0), ByteCount(kChunk), KiB(16), kPatternA, kPatternB);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(Map(1, 0, kRead), 0);
    ASSERT_EQ(Map(1, 0, kReadWrite), 0);
    ASSERT_TRUE(machine_->Store(At(kPage * static_cast<uint64_t>(i)), kPatternB)) << i;
  }
  const auto result = machine_->FinishWatch(1);
  ASSERT_TRUE(result.has_value()) << machine_->AwaitEnd()->message;
  EXPECT_EQ(result->mismatches, 0u);
  EXPECT_GT(result->passes, 0u);
}

TEST_P(SurvivalTest, StoresThatNobodyCanServeDoNotTurnForEver) {
  BOOT();
  ASSERT_EQ(Map(1, 0, kRead), 0);
  Truncate(1, 0);
  ASSERT_EQ(machine_->Load(At(kPage)), 0u);
  EXPECT_FALSE(machine_->Store(At(kPage), kPatternB));
  ExpectEnd({"byte 4096 of '" + Files::Path(1) + "'", "cannot be written through this mapping"});
  EXPECT_EQ(window_->stats().stores_past_end, 1u);
}

}  // namespace
}  // namespace daxvmm::microguest
