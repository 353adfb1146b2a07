// Requests and rings that no driver should send: each ends in an error, and the device goes on.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "devices/virtio_fs/queue_worker.h"
#include "tests/device/device_fixture.h"

namespace daxvmm::virtio_fs {
namespace {

using fakes::BytesOf;
using fakes::BytesOfName;

class HostileTest : public DeviceFixture {
 protected:
  void ExpectAlive() { EXPECT_EQ(Ask(FUSE_GETATTR, FUSE_ROOT_ID, BytesOf(fuse_getattr_in{})).error, 0); }
};

TEST_F(HostileTest, MalformedRequestsGetAnErrnoEach) {
  Mount();
  EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName("../etc")).error, EINVAL);
  EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName("..")).error, EINVAL);
  EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName(std::string(5000, 'n'))).error, ENAMETOOLONG);
  EXPECT_EQ(Ask(FUSE_LOOKUP, ~uint64_t{0}, BytesOfName("a")).error, ENOENT);
  EXPECT_EQ(Ask(FUSE_OPEN, FUSE_ROOT_ID, BytesOf(uint32_t{0})).error, EINVAL);
  EXPECT_EQ(Ask(9999, FUSE_ROOT_ID, {}).error, ENOSYS);
  EXPECT_EQ(Read(FUSE_ROOT_ID, 12345, 0, 100).error, EBADF);
  EXPECT_EQ(Ask(FUSE_REMOVEMAPPING, FUSE_ROOT_ID, BytesOf(uint32_t{0xffffffff})).error, EINVAL);
  ExpectAlive();
  EXPECT_FALSE(driver_->needs_reset());
}

TEST_F(HostileTest, ChainsWithoutAHeaderOrRoomAreGivenBack) {
  Mount();
  for (const fakes::Request& request : std::vector<fakes::Request>{
           {.out = std::vector<std::byte>(39)},
           {.out = std::vector<std::byte>(39), .in_sizes = {4096}},
           {.out = {}, .in_sizes = {4096}},
           {.out = BytesOf(fuse_in_header{.len = 40, .opcode = FUSE_STATFS, .unique = 2, .nodeid = 1}),
            .in_sizes = {15}},
           {.out = BytesOf(fuse_in_header{.len = 40, .opcode = FUSE_STATFS, .unique = 2, .nodeid = 1})},
       }) {
    const std::optional<fakes::Completion> completion = driver_->Run(1, request);
    ASSERT_TRUE(completion.has_value());
    EXPECT_EQ(completion->written, 0u);
  }
  ExpectAlive();
}

TEST_F(HostileTest, RandomRequestsLeaveItAlive) {
  Mount();
  MakeFile("file", KiB(64));
  Lookup("file");
  std::mt19937_64 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> body(random() % 120);
    for (std::byte& b : body) b = random() % 3 == 0 ? static_cast<std::byte>(random()) : std::byte{0};
    uint32_t opcode = static_cast<uint32_t>(random() % 56);
    if (opcode == FUSE_INIT || opcode == FUSE_DESTROY || opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET ||
        opcode == FUSE_INTERRUPT) {
      opcode = FUSE_LOOKUP;
    }
    Ask(opcode, random() % 4, body, static_cast<uint32_t>(random() % 300));
    ASSERT_FALSE(HasFailure()) << "round " << round << ", opcode " << opcode;
  }
  ExpectAlive();
  EXPECT_FALSE(driver_->needs_reset());
}

class BrokenRingTest : public DeviceFixture, public testing::WithParamInterface<fakes::RingBreak> {};

TEST_P(BrokenRingTest, AsksForAResetAndWorksAgainAfterIt) {
  Mount();
  MakeFile("file", KiB(64));
  ASSERT_EQ(SetupMapping(Lookup("file").nodeid, 0, 0, FUSE_SETUPMAPPING_FLAG_READ).error, 0);
  fakes::BreakRing(&driver_->queue(1), GetParam());
  driver_->Notify(1);
  ASSERT_TRUE(driver_->WaitNeedsReset()) << "the device did not notice";
  // The other queue and the registers do not hang.
  driver_->Notify(0);
  ASSERT_TRUE(driver_->Reset().ok());
  EXPECT_FALSE(WindowBytes(0, 1).has_value());
  ASSERT_TRUE(driver_->Probe().ok());
  EXPECT_FALSE(driver_->needs_reset());
  ASSERT_EQ(Init(kPerFileMount).error, 0);
  EXPECT_EQ(Lookup("file").attr.size, KiB(64).raw());
}

INSTANTIATE_TEST_SUITE_P(All, BrokenRingTest, testing::ValuesIn(fakes::kAllRingBreaks), [](const auto& info) {
  std::string name;
  for (const char c : std::string(fakes::RingBreakName(info.param))) {
    if (isalnum(static_cast<unsigned char>(c)) != 0) name += c;
  }
  return name;
});

TEST_F(HostileTest, ResetsInTheMiddleOfTraffic) {
  Mount();
  MakeFile("file", KiB(64));
  for (int round = 0; round < 50; ++round) {
    const uint64_t node = Lookup("file").nodeid;
    fuse_in_header header = {};
    header.len = sizeof(header) + sizeof(fuse_getattr_in);
    header.opcode = FUSE_GETATTR;
    header.nodeid = node;
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(driver_->queue(1).Add(
          {.out = BytesOf(header, fuse_getattr_in{}), .in_sizes = {16, sizeof(fuse_attr_out)}, .indirect = true}));
    }
    driver_->PublishAndNotify(1);
    ASSERT_TRUE(driver_->Reset().ok());
    EXPECT_EQ(device_->client_dax_mode(), fuse::ClientDaxMode::kNoSession);
    ASSERT_TRUE(driver_->Probe().ok());
    ASSERT_EQ(Init(kPerFileMount).error, 0);
  }
}

// Sanitizers need more memory than a test that takes it away leaves them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

[[noreturn]] void StartAWorkerWithoutRoomForItsStack() {
  const EventFd kick = *EventFd::Create();
  const auto counts = std::make_unique<fuse::RequestCounts>();
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_AS, &none);
  const auto worker = QueueWorker::Start("share", {QueueIndex(1), nullptr, &kick}, nullptr, counts.get(), nullptr);
  _exit(worker.status().code() == absl::StatusCode::kUnavailable ? 0 : 1);
}

TEST(QueueWorkerDeathTest, AHostWithoutAThreadToGiveIsAnErrorAndNoMore) {
  if (kSanitized) GTEST_SKIP() << "needs a process without a sanitizer";
  // Another process: here a thread that has ended may have left its stack to the next.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StartAWorkerWithoutRoomForItsStack(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace daxvmm::virtio_fs
