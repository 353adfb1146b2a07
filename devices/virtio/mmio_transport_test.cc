#include "devices/virtio/mmio_transport.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fakes/echo_device.h"
#include "tests/fakes/virtio_driver.h"

namespace daxvmm::virtio {
namespace {

using fakes::BytesOf;
using fakes::EchoDevice;
using fakes::FakeInterruptLine;
using fakes::GuestRam;
using fakes::MmioDriver;

constexpr GuestPhysAddr kShm{0x12'3456'7000};
constexpr ByteCount kShmSize{0x2'0020'0000};

std::vector<uint8_t> Config() {
  std::vector<uint8_t> config(40);
  for (size_t i = 0; i < config.size(); ++i) config[i] = static_cast<uint8_t>(i + 1);
  return config;
}

class MmioTransportTest : public ::testing::Test {
 protected:
  MmioTransportTest()
      : device_({.features = uint64_t{1} << 5,
                 .shared_memory = SharedMemoryRegion{.id = 0, .base = kShm, .size = kShmSize},
                 .config = Config()}) {
    auto transport = MmioTransport::Create(&device_, &ram_.memory(), &line_);
    EXPECT_TRUE(transport.ok()) << transport.status();
    transport_ = *std::move(transport);
    driver_ = std::make_unique<MmioDriver>(transport_.get(), &ram_, &line_.signal());
  }

  GuestRam ram_;
  FakeInterruptLine line_;
  EchoDevice device_;
  std::unique_ptr<MmioTransport> transport_;
  std::unique_ptr<MmioDriver> driver_;
};

// Each access that Linux 6.1 makes from virtio_mmio_probe to the first request, and what it must see.
TEST_F(MmioTransportTest, GoldenWalk) {
  const struct {
    char direction;
    uint32_t offset;
    uint32_t value;
  } walk[] = {
      {'r', 0x000, 0x74726976},                            // "virt"
      {'r', 0x004, 2},                                     // version
      {'r', 0x008, 26},                                    // virtio-fs
      {'r', 0x00c, 0x4d565844},                            // vendor
      {'w', 0x070, 0},                                     // reset
      {'r', 0x070, 0},          {'w', 0x070, 1},           // ACKNOWLEDGE
      {'r', 0x070, 1},          {'w', 0x070, 3},           // DRIVER
      {'w', 0x014, 1},          {'r', 0x010, 1},           // VERSION_1
      {'w', 0x014, 0},          {'r', 0x010, 0x30000020},  // EVENT_IDX, INDIRECT_DESC and the device's bit 5
      {'w', 0x024, 1},          {'w', 0x020, 1},          {'w', 0x024, 0},          {'w', 0x020, 0x30000000},
      {'r', 0x070, 3},          {'w', 0x070, 11},  // FEATURES_OK
      {'r', 0x070, 11},         {'r', 0x0fc, 0},   // configuration generation
      {'w', 0x030, 0},                             // queue 0
      {'r', 0x044, 0},          {'r', 0x034, 128},        {'w', 0x038, 128},        {'w', 0x080, 0x10000},
      {'w', 0x084, 0},          {'w', 0x090, 0x20000},    {'w', 0x094, 0},          {'w', 0x0a0, 0x30000},
      {'w', 0x0a4, 0},          {'w', 0x044, 1},          {'r', 0x044, 1},          {'w', 0x030, 1},  // queue 1
      {'r', 0x044, 0},          {'r', 0x034, 128},        {'w', 0x030, 2},  // there is no queue 2
      {'r', 0x034, 0},          {'w', 0x0ac, 0},                            // shared memory 0
      {'r', 0x0b0, 0x00200000}, {'r', 0x0b4, 0x2},        {'r', 0x0b8, 0x34567000}, {'r', 0x0bc, 0x12},
      {'w', 0x0ac, 1},  // and 1, which does not exist
      {'r', 0x0b0, 0xffffffff}, {'r', 0x0b4, 0xffffffff}, {'r', 0x0b8, 0xffffffff}, {'r', 0x0bc, 0xffffffff},
      {'w', 0x070, 15},                                                     // DRIVER_OK
      {'r', 0x070, 15},         {'r', 0x060, 0},          {'w', 0x050, 0},  // a kick with nothing in the ring
      {'r', 0x060, 0},          {'w', 0x070, 0},          {'r', 0x070, 0},          {'w', 0x030, 0},
      {'r', 0x044, 0},
  };
  for (size_t i = 0; i < std::size(walk); ++i) {
    if (walk[i].direction == 'w') {
      driver_->WriteRegister(walk[i].offset, walk[i].value);
    } else {
      ASSERT_EQ(driver_->ReadRegister(walk[i].offset), walk[i].value)
          << "step " << i << std::hex << ", 0x" << walk[i].offset;
    }
  }
  EXPECT_EQ(device_.activations(), 1);
}

TEST_F(MmioTransportTest, RequestsThroughTheRegisters) {
  const absl::Status probe = driver_->Probe();
  ASSERT_TRUE(probe.ok()) << probe;
  for (uint32_t i = 0; i < 500; ++i) {
    const uint16_t queue = i % 2;
    const auto reply = driver_->Run(queue, {.out = BytesOf(i), .in_sizes = {1, 3}, .indirect = i % 3 == 0});
    ASSERT_TRUE(reply.has_value()) << i;
    ASSERT_EQ(reply->in, BytesOf(i));
  }
  EXPECT_EQ(driver_->TakeInterrupts(), kInterruptUsed);
  EXPECT_EQ(driver_->TakeInterrupts(), 0u);
}

TEST_F(MmioTransportTest, WithoutOptionalFeatures) {
  const absl::Status probe = driver_->Probe({.features = uint64_t{1} << VIRTIO_F_VERSION_1});
  ASSERT_TRUE(probe.ok()) << probe;
  EXPECT_FALSE(driver_->queue(0).config().event_idx);
  for (uint32_t i = 0; i < 100; ++i) {
    const auto reply = driver_->Run(0, {.out = BytesOf(i), .in_sizes = {4}});
    ASSERT_TRUE(reply.has_value()) << i;
    ASSERT_EQ(reply->in, BytesOf(i));
  }
}

TEST_F(MmioTransportTest, RefusesFeaturesThatWereNotOffered) {
  ASSERT_TRUE(driver_->Identify(26).ok());
  driver_->WriteFeaturesUnchecked(uint64_t{1} << VIRTIO_F_VERSION_1 | 1);
  driver_->AddStatus(VIRTIO_CONFIG_S_FEATURES_OK);
  EXPECT_EQ(driver_->status(), uint32_t{VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER});
}

TEST_F(MmioTransportTest, ResetWhileActiveThenAgain) {
  for (int round = 0; round < 20; ++round) {
    const absl::Status probe = driver_->Probe();
    ASSERT_TRUE(probe.ok()) << probe;
    ASSERT_TRUE(driver_->Run(1, {.out = BytesOf(round), .in_sizes = {4}}).has_value());
    // Requests are under way when the reset comes.
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(driver_->queue(1).Add({.out = BytesOf(i), .in_sizes = {4}}).has_value());
    driver_->PublishAndNotify(1);
    driver_->WriteRegister(VIRTIO_MMIO_STATUS, 0);
    const uint64_t answered = device_.answered();
    const uint64_t pulses = line_.signal().count();
    EXPECT_EQ(device_.active_queues(), 0u);
    driver_->Notify(1);
    EXPECT_EQ(device_.answered(), answered);
    EXPECT_EQ(line_.signal().count(), pulses);
    EXPECT_EQ(driver_->ReadRegister(VIRTIO_MMIO_INTERRUPT_STATUS), 0u);
  }
}

TEST_F(MmioTransportTest, EveryBrokenRingNeedsAResetAndIsHealedByIt) {
  for (const fakes::RingBreak how : fakes::kAllRingBreaks) {
    SCOPED_TRACE(fakes::RingBreakName(how));
    ASSERT_TRUE(driver_->Probe().ok());
    ASSERT_TRUE(driver_->Run(0, {.out = BytesOf(1), .in_sizes = {4}}).has_value());
    driver_->queue(1).Reset();
    fakes::BreakRing(&driver_->queue(1), how);
    driver_->Notify(1);
    EXPECT_TRUE(driver_->WaitNeedsReset());
  }
  ASSERT_TRUE(driver_->Probe().ok());
  EXPECT_TRUE(driver_->Run(1, {.out = BytesOf(1), .in_sizes = {4}}).has_value());
}

TEST_F(MmioTransportTest, ConfigurationSpaceInAnyWidth) {
  EXPECT_EQ(driver_->ReadConfigBytes(0, 40), Config());
  EXPECT_EQ(driver_->ReadConfig32(0x24), 0x28272625u);
  uint8_t two[2];
  transport_->Read(0x101, two);
  EXPECT_EQ(two[0], 2);
  EXPECT_EQ(two[1], 3);
  uint8_t eight[8];
  transport_->Read(0x100 + 36, eight);
  EXPECT_EQ(eight[3], 40);
  EXPECT_EQ(eight[4], 0) << "past the end";
  const uint8_t byte = 0xff;
  transport_->Write(0x100, std::span(&byte, 1));
  EXPECT_EQ(driver_->ReadConfigBytes(0, 1)[0], 1) << "nothing there can be written";
}

TEST_F(MmioTransportTest, BadAccessesReadZeroAndWriteNothing) {
  ASSERT_TRUE(driver_->Identify(26).ok());
  for (const uint64_t offset : {0, 1, 2, 4, 0x70, 0x34}) {
    for (const size_t size : {1, 2, 4, 8}) {
      if (size == 4 && offset % 4 == 0) continue;
      std::vector<uint8_t> bytes(size, 0xee);
      transport_->Read(offset, bytes);
      EXPECT_EQ(bytes, std::vector<uint8_t>(size)) << offset << " " << size;
    }
  }
  const uint8_t zeros[8] = {};
  transport_->Write(0x70, std::span(zeros, 1));
  transport_->Write(0x70, std::span(zeros, 8));
  EXPECT_EQ(driver_->status(), uint32_t{VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER});
  for (uint32_t offset = 0; offset < 0x100; offset += 4) {
    // Write-only registers, legacy ones and holes.
    static constexpr uint32_t kReadable[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x44,
                                             0x60, 0x70, 0xb0, 0xb4, 0xb8, 0xbc, 0xfc};
    if (std::find(std::begin(kReadable), std::end(kReadable), offset) != std::end(kReadable)) continue;
    EXPECT_EQ(driver_->ReadRegister(offset), 0u) << offset;
  }
  for (const uint32_t read_only : {0x00, 0x04, 0x08, 0x0c, 0x10, 0x34, 0x60, 0xfc, 0x28, 0x3c, 0x40, 0xc0}) {
    driver_->WriteRegister(read_only, 0xffffffff);
  }
  EXPECT_EQ(driver_->ReadRegister(0), 0x74726976u);
  EXPECT_EQ(driver_->status(), uint32_t{VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER});
}

TEST_F(MmioTransportTest, NotifySignalsTheQueuesOwnKick) {
  EXPECT_EQ(transport_->queue_count(), 2);
  driver_->Notify(1);
  EXPECT_FALSE(transport_->kick(QueueIndex(0)).Drain());
  EXPECT_TRUE(transport_->kick(QueueIndex(1)).Drain());
  for (const uint32_t absent : {2u, 0x10001u, ~0u}) driver_->WriteRegister(VIRTIO_MMIO_QUEUE_NOTIFY, absent);
  EXPECT_FALSE(transport_->kick(QueueIndex(0)).Drain());
  EXPECT_FALSE(transport_->kick(QueueIndex(1)).Drain());
}

}  // namespace
}  // namespace daxvmm::virtio
