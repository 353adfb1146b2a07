#include "devices/virtio/transport_core.h"

#include <linux/virtio_config.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/named_thread.h"
#include "devices/virtio/ring_abi.h"
#include "gtest/gtest.h"
#include "tests/fakes/echo_device.h"
#include "tests/fakes/virtio_driver.h"

namespace daxvmm::virtio {
namespace {

using fakes::DriverQueue;
using fakes::EchoDevice;
using fakes::FakeInterruptLine;
using fakes::GuestRam;

constexpr uint32_t kAck = VIRTIO_CONFIG_S_ACKNOWLEDGE;
constexpr uint32_t kDriver = VIRTIO_CONFIG_S_DRIVER;
constexpr uint32_t kFeaturesOk = VIRTIO_CONFIG_S_FEATURES_OK;
constexpr uint32_t kDriverOk = VIRTIO_CONFIG_S_DRIVER_OK;
constexpr uint32_t kNeedsReset = VIRTIO_CONFIG_S_NEEDS_RESET;
constexpr uint32_t kFailed = VIRTIO_CONFIG_S_FAILED;
constexpr uint64_t kVersion1 = uint64_t{1} << VIRTIO_F_VERSION_1;
constexpr uint64_t kDeviceFeatures = uint64_t{1} << 3 | uint64_t{1} << 40;
constexpr uint64_t kOffered =
    kDeviceFeatures | kVersion1 | uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC | uint64_t{1} << VIRTIO_RING_F_EVENT_IDX;

class TransportCoreTest : public ::testing::Test {
 protected:
  TransportCoreTest() { Make({.features = kDeviceFeatures}); }

  void Make(EchoDevice::Traits traits) {
    core_.reset();
    device_ = std::make_unique<EchoDevice>(std::move(traits));
    auto core = TransportCore::Create(device_.get(), &ram_.memory(), &line_);
    ASSERT_TRUE(core.ok()) << core.status();
    core_ = *std::move(core);
  }
  void AcceptFeatures(uint64_t features) {
    core_->SelectDriverFeatures(0);
    core_->SetDriverFeatures(static_cast<uint32_t>(features));
    core_->SelectDriverFeatures(1);
    core_->SetDriverFeatures(static_cast<uint32_t>(features >> 32));
  }
  void ToFeaturesOk(uint64_t features = kOffered) {
    core_->SetStatus(kAck);
    core_->SetStatus(kAck | kDriver);
    AcceptFeatures(features);
    core_->SetStatus(kAck | kDriver | kFeaturesOk);
  }
  std::unique_ptr<DriverQueue> SetUpQueue(uint16_t index, uint16_t size = 16) {
    auto queue = std::make_unique<DriverQueue>(&ram_, fakes::DriverQueueOptions{.size = size});
    WriteQueue(index, queue->config());
    return queue;
  }
  void WriteQueue(uint16_t index, const VirtqueueConfig& config) {
    core_->SelectQueue(index);
    core_->SetQueueSize(config.size);
    const auto write = [&](QueuePart part, GuestPhysAddr at) {
      core_->SetQueueAddressHigh(part, static_cast<uint32_t>(at.raw() >> 32));
      core_->SetQueueAddressLow(part, static_cast<uint32_t>(at.raw()));
    };
    write(QueuePart::kDescriptors, config.descriptors);
    write(QueuePart::kDriverArea, config.driver_area);
    write(QueuePart::kDeviceArea, config.device_area);
    core_->SetQueueReady(true);
  }
  void DriverOk() { core_->SetStatus(core_->status() | kDriverOk); }
  std::vector<std::byte> Echo(uint16_t index, DriverQueue* queue, const std::vector<std::byte>& bytes) {
    EXPECT_TRUE(queue->Add({.out = bytes, .in_sizes = {static_cast<uint32_t>(bytes.size())}}).has_value());
    if (queue->Publish()) core_->Notify(index);
    std::vector<fakes::Completion> done;
    EXPECT_TRUE(line_.signal().WaitUntil([&] {
      queue->WantInterrupts(true);
      if (done = queue->Collect(); !done.empty()) return true;
      return false;
    })) << "no answer";
    return done.empty() ? std::vector<std::byte>() : done[0].in;
  }

  GuestRam ram_;
  FakeInterruptLine line_;
  std::unique_ptr<EchoDevice> device_;
  std::unique_ptr<TransportCore> core_;
};

TEST_F(TransportCoreTest, OffersItsOwnFeaturesToo) {
  core_->SelectDeviceFeatures(0);
  EXPECT_EQ(core_->DeviceFeatures(), static_cast<uint32_t>(kOffered));
  core_->SelectDeviceFeatures(1);
  EXPECT_EQ(core_->DeviceFeatures(), static_cast<uint32_t>(kOffered >> 32));
  core_->SelectDeviceFeatures(2);
  EXPECT_EQ(core_->DeviceFeatures(), 0u);
  core_->SelectDeviceFeatures(~0u);
  EXPECT_EQ(core_->DeviceFeatures(), 0u);
}

TEST_F(TransportCoreTest, StatusGrowsInOrderOnly) {
  EXPECT_EQ(core_->status(), 0u);
  core_->SetStatus(kDriver);
  EXPECT_EQ(core_->status(), 0u) << "DRIVER before ACKNOWLEDGE";
  core_->SetStatus(kAck);
  core_->SetStatus(kAck | kFeaturesOk);
  EXPECT_EQ(core_->status(), kAck) << "FEATURES_OK before DRIVER";
  core_->SetStatus(kAck | kDriver);
  core_->SetStatus(kAck | kDriver | kDriverOk);
  EXPECT_EQ(core_->status(), kAck | kDriver) << "DRIVER_OK before FEATURES_OK";
  EXPECT_EQ(device_->activations(), 0);
  AcceptFeatures(kOffered);
  core_->SetStatus(kAck | kDriver | kFeaturesOk);
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk);
  core_->SetStatus(kAck);
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk) << "a driver clears no bit";
  core_->SetStatus(kAck | kDriver | kFeaturesOk | kNeedsReset);
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk) << "that bit is the device's";
  DriverOk();
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk | kDriverOk);
  EXPECT_EQ(device_->activations(), 1);
  DriverOk();
  EXPECT_EQ(device_->activations(), 1);
  EXPECT_EQ(line_.signal().count(), 0u);
}

TEST_F(TransportCoreTest, AllStepsInOneWrite) {
  AcceptFeatures(kVersion1);
  core_->SetStatus(kAck | kDriver | kFeaturesOk | kDriverOk);
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk | kDriverOk);
  core_->SetStatus(0);
  core_->SetStatus(kAck | kDriver | kFeaturesOk | kDriverOk);
  EXPECT_EQ(core_->status(), kAck | kDriver) << "no feature was accepted this time";
}

TEST_F(TransportCoreTest, RefusesFeatures) {
  const struct {
    uint64_t accepted;
    bool good;
  } cases[] = {
      {kVersion1, true},
      {kOffered, true},
      {kOffered & ~kVersion1, false},
      {0, false},
      {kVersion1 | uint64_t{1} << 4, false},
      {kVersion1 | uint64_t{1} << 63, false},
  };
  for (const auto& c : cases) {
    core_->SetStatus(0);
    ToFeaturesOk(c.accepted);
    EXPECT_EQ((core_->status() & kFeaturesOk) != 0, c.good) << std::hex << c.accepted;
  }
}

TEST_F(TransportCoreTest, RefusesFeaturesBeyondSixtyFour) {
  core_->SetStatus(kAck | kDriver);
  core_->SelectDriverFeatures(2);
  core_->SetDriverFeatures(0);
  AcceptFeatures(kOffered);
  core_->SelectDriverFeatures(7);
  core_->SetDriverFeatures(1);
  core_->SetStatus(kAck | kDriver | kFeaturesOk);
  EXPECT_EQ(core_->status(), kAck | kDriver);
  core_->SetStatus(0);
  ToFeaturesOk();
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk) << "forgotten by the reset";
}

TEST_F(TransportCoreTest, RefusedDriverMayTryFewerFeatures) {
  ToFeaturesOk(kOffered | 1);
  EXPECT_EQ(core_->status(), kAck | kDriver);
  AcceptFeatures(kOffered);
  core_->SetStatus(kAck | kDriver | kFeaturesOk);
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk);
  AcceptFeatures(kVersion1 | 1);  // too late: dropped
  DriverOk();
  EXPECT_EQ(core_->status() & (kDriverOk | kNeedsReset), kDriverOk);
}

TEST_F(TransportCoreTest, FailedLeavesOnlyReset) {
  core_->SetStatus(kAck);
  core_->SetStatus(kAck | kFailed);
  core_->SetStatus(kAck | kFailed | kDriver);
  EXPECT_EQ(core_->status(), kAck | kFailed);
  core_->SetStatus(0);
  ToFeaturesOk();
  EXPECT_EQ(core_->status(), kAck | kDriver | kFeaturesOk);
}

TEST_F(TransportCoreTest, QueueConfiguration) {
  ToFeaturesOk();
  core_->SelectQueue(1);
  EXPECT_EQ(core_->QueueSizeMax(), 128);
  EXPECT_FALSE(core_->QueueReady());
  for (const uint32_t absent : {2u, 65536u, 65537u, ~0u}) {
    core_->SelectQueue(absent);
    EXPECT_EQ(core_->QueueSizeMax(), 0) << absent;
    core_->SetQueueSize(8);
    core_->SetQueueAddressLow(QueuePart::kDescriptors, 1);
    core_->SetQueueReady(true);
    EXPECT_FALSE(core_->QueueReady()) << absent;
    core_->Notify(absent);
  }
  const auto queue = SetUpQueue(1);
  EXPECT_TRUE(core_->QueueReady());
  // A queue that is ready keeps its addresses.
  core_->SetQueueSize(3);
  core_->SetQueueAddressLow(QueuePart::kDescriptors, 0xffff'ffff);
  core_->SetQueueAddressHigh(QueuePart::kDeviceArea, 0xffff'ffff);
  DriverOk();
  EXPECT_EQ(core_->status() & (kDriverOk | kNeedsReset), kDriverOk);
  EXPECT_EQ(device_->active_queues(), 1u) << "queue 0 was not enabled";
  EXPECT_EQ(Echo(1, queue.get(), fakes::BytesOf(12345)), fakes::BytesOf(12345));
}

TEST_F(TransportCoreTest, QueueCanBeTakenBackBeforeDriverOk) {
  ToFeaturesOk();
  const auto queue = SetUpQueue(0);
  core_->SetQueueReady(false);
  EXPECT_FALSE(core_->QueueReady());
  DriverOk();
  EXPECT_EQ(device_->active_queues(), 0u);
  core_->SetQueueReady(true);
  EXPECT_FALSE(core_->QueueReady()) << "too late";
}

TEST_F(TransportCoreTest, BadQueueNeedsReset) {
  const auto good = std::make_unique<DriverQueue>(&ram_, fakes::DriverQueueOptions{.size = 16});
  const std::vector<std::pair<const char*, void (*)(VirtqueueConfig*)>> cases = {
      {"size 0", [](VirtqueueConfig* c) { c->size = 0; }},
      {"size 12", [](VirtqueueConfig* c) { c->size = 12; }},
      {"larger than the device allows", [](VirtqueueConfig* c) { c->size = 256; }},
      {"misaligned", [](VirtqueueConfig* c) { c->descriptors += ByteCount(4); }},
      {"not RAM", [](VirtqueueConfig* c) { c->device_area = GuestPhysAddr(uint64_t{1} << 40); }},
  };
  uint64_t pulses = 0;
  for (const auto& [what, change] : cases) {
    core_->SetStatus(0);
    ToFeaturesOk();
    VirtqueueConfig config = good->config();
    change(&config);
    WriteQueue(0, config);
    DriverOk();
    EXPECT_NE(core_->status() & kNeedsReset, 0u) << what;
    EXPECT_EQ(core_->pending_interrupts(), kInterruptConfig) << what;
    EXPECT_EQ(line_.signal().count(), ++pulses) << what;
  }
  EXPECT_EQ(device_->activations(), 0);
}

TEST_F(TransportCoreTest, HugeQueueSizeIsNotTruncated) {
  ToFeaturesOk();
  const auto queue = SetUpQueue(0);
  core_->SetQueueReady(false);
  core_->SetQueueSize(0x10010);  // 16 in the lower half
  core_->SetQueueReady(true);
  DriverOk();
  EXPECT_NE(core_->status() & kNeedsReset, 0u);
}

TEST_F(TransportCoreTest, DeviceThatCannotStartNeedsReset) {
  Make({.activation = absl::ResourceExhaustedError("no threads")});
  ToFeaturesOk(kVersion1);
  const auto queue = SetUpQueue(0);
  DriverOk();
  EXPECT_EQ(core_->status() & (kDriverOk | kNeedsReset), kDriverOk | kNeedsReset);
  EXPECT_EQ(core_->pending_interrupts(), kInterruptConfig);
  core_->SetStatus(0);
  EXPECT_EQ(core_->status(), 0u);
}

TEST_F(TransportCoreTest, WhoObservesNeedsResetIsToldOncePerReset) {
  int told = 0;
  core_->ObserveNeedsReset([&told] { ++told; });
  core_->SignalNeedsReset();
  core_->SignalNeedsReset();
  EXPECT_EQ(told, 1);
  core_->SetStatus(0);
  EXPECT_EQ(told, 1);
  core_->SignalNeedsReset();
  EXPECT_EQ(told, 2);
}

TEST_F(TransportCoreTest, NeedsResetIsSaidOnce) {
  core_->SignalNeedsReset();
  EXPECT_EQ(core_->status(), kNeedsReset);
  EXPECT_EQ(line_.signal().count(), 0u) << "nobody listens before DRIVER_OK";
  core_->SetStatus(0);
  ToFeaturesOk();
  DriverOk();
  core_->SignalNeedsReset();
  core_->SignalNeedsReset();
  EXPECT_EQ(line_.signal().count(), 1u);
  EXPECT_EQ(core_->pending_interrupts(), kInterruptConfig);
  core_->SetStatus(core_->status() & ~kNeedsReset);
  EXPECT_NE(core_->status() & kNeedsReset, 0u) << "only a reset takes it away";
}

TEST_F(TransportCoreTest, InterruptBitsAreAcknowledgedOneByOne) {
  ToFeaturesOk();
  DriverOk();
  core_->SignalUsed(QueueIndex(0));
  core_->SignalNeedsReset();
  EXPECT_EQ(core_->pending_interrupts(), kInterruptUsed | kInterruptConfig);
  core_->AcknowledgeInterrupts(kInterruptUsed);
  EXPECT_EQ(core_->pending_interrupts(), kInterruptConfig);
  core_->AcknowledgeInterrupts(~0u);
  EXPECT_EQ(core_->pending_interrupts(), 0u);
  core_->SignalUsed(QueueIndex(1));
  core_->SignalUsed(QueueIndex(1));
  EXPECT_EQ(line_.signal().count(), 4u) << "an edge each: the handler of the first may be past its look";
}

TEST_F(TransportCoreTest, BrokenRingInterruptsAndResetHeals) {
  ToFeaturesOk();
  auto queue = SetUpQueue(0);
  DriverOk();
  fakes::BreakRing(queue.get(), fakes::RingBreak::kSelfLoop);
  core_->Notify(0);
  ASSERT_TRUE(line_.signal().WaitUntil([&] { return (core_->status() & kNeedsReset) != 0; }));
  ASSERT_TRUE(line_.signal().WaitUntil([&] { return core_->pending_interrupts() == kInterruptConfig; }));
  core_->SetStatus(0);
  ToFeaturesOk();
  queue = SetUpQueue(0);
  DriverOk();
  EXPECT_EQ(Echo(0, queue.get(), fakes::BytesOf(7)), fakes::BytesOf(7));
}

TEST_F(TransportCoreTest, ResetForgetsEverything) {
  ToFeaturesOk();
  const auto queue = SetUpQueue(1);
  DriverOk();
  Echo(1, queue.get(), fakes::BytesOf(1));
  core_->SelectDeviceFeatures(1);
  const int resets = device_->resets();
  core_->SetStatus(0);
  EXPECT_EQ(device_->resets(), resets + 1);
  EXPECT_EQ(device_->active_queues(), 0u);
  EXPECT_EQ(core_->status(), 0u);
  EXPECT_EQ(core_->pending_interrupts(), 0u);
  EXPECT_EQ(core_->DeviceFeatures(), static_cast<uint32_t>(kOffered)) << "window 0 is selected again";
  core_->SelectQueue(1);
  EXPECT_FALSE(core_->QueueReady());
  EXPECT_FALSE(core_->kick(QueueIndex(1)).Drain()) << "no kick is left over";
}

// The worker that Reset waits for signals the driver meanwhile, in both ways: that must not wait for Reset.
TEST_F(TransportCoreTest, ResetWaitsForARequestInFlight) {
  std::atomic<bool> in_flight{false};
  std::atomic<bool> resetting{false};
  fakes::SignalCounter progress;
  device_->set_before_reply([&] {
    in_flight.store(true);
    progress.Raise();
    EXPECT_TRUE(progress.WaitUntil([&] { return resetting.load(); }));
    core_->SignalNeedsReset();
  });
  ToFeaturesOk();
  const auto queue = SetUpQueue(0);
  DriverOk();
  ASSERT_TRUE(queue->Add({.out = fakes::BytesOf(1), .in_sizes = {4}}).has_value());
  ASSERT_TRUE(queue->Publish());
  core_->Notify(0);
  ASSERT_TRUE(progress.WaitUntil([&] { return in_flight.load(); }));
  NamedThread vcpu("vcpu", [&] {
    resetting.store(true);
    progress.Raise();
    core_->SetStatus(0);
  });
  vcpu.Join();
  EXPECT_EQ(device_->answered(), 1u);
  EXPECT_EQ(core_->status(), 0u) << "what the worker set was before the reset";
  EXPECT_EQ(core_->pending_interrupts(), 0u);
}

TEST_F(TransportCoreTest, TakingBackAQueueInUseStopsTheDevice) {
  ToFeaturesOk();
  const auto queue = SetUpQueue(0);
  const auto other = SetUpQueue(1);
  DriverOk();
  core_->SelectQueue(0);
  core_->SetQueueReady(false);
  EXPECT_FALSE(core_->QueueReady());
  EXPECT_EQ(device_->active_queues(), 0u);
  EXPECT_NE(core_->status() & kNeedsReset, 0u);
}

TEST_F(TransportCoreTest, SharedMemory) {
  EXPECT_FALSE(core_->SharedMemory(0).has_value());
  Make({.shared_memory = SharedMemoryRegion{.id = 3, .base = GuestPhysAddr(GiB(4).raw()), .size = GiB(8)}});
  ASSERT_TRUE(core_->SharedMemory(3).has_value());
  EXPECT_EQ(core_->SharedMemory(3)->size, GiB(8));
  EXPECT_FALSE(core_->SharedMemory(0).has_value());
  EXPECT_FALSE(core_->SharedMemory(0x103).has_value()) << "ids have 8 bits";
}

TEST_F(TransportCoreTest, DestructionResetsTheDevice) {
  ToFeaturesOk();
  const auto queue = SetUpQueue(0);
  DriverOk();
  core_.reset();
  EXPECT_EQ(device_->active_queues(), 0u);
}

TEST_F(TransportCoreTest, CreateChecksTheDevice) {
  for (const uint16_t size : {0, 100, 65535}) {
    EchoDevice device({.queue_size_max = size});
    EXPECT_FALSE(TransportCore::Create(&device, &ram_.memory(), &line_).ok()) << size;
  }
}

// Several vCPUs hammer on the registers while workers run; for the thread sanitizer, and for deadlocks.
TEST_F(TransportCoreTest, ManyThreads) {
  const DriverQueue ring(&ram_, {.size = 16});
  std::vector<NamedThread> vcpus;
  for (int t = 0; t < 3; ++t) {
    vcpus.emplace_back("vcpu", [&, t] {
      for (int i = 0; i < 300; ++i) {
        if (t == 0) {
          core_->SetStatus(0);
          ToFeaturesOk();
          WriteQueue(0, ring.config());
          DriverOk();
        } else {
          core_->Notify(0);
          core_->SignalUsed(QueueIndex(0));
          if (i % 10 == 0) core_->SignalNeedsReset();
          core_->AcknowledgeInterrupts(core_->pending_interrupts());
          core_->SelectQueue(static_cast<uint32_t>(i % 3));
          core_->QueueReady();
          core_->SetQueueReady(false);
          core_->SetStatus(core_->status() | kAck);
        }
      }
    });
  }
  for (NamedThread& vcpu : vcpus) vcpu.Join();
  core_->SetStatus(0);
  EXPECT_EQ(core_->status(), 0u);
  EXPECT_EQ(core_->pending_interrupts(), 0u);
}

}  // namespace
}  // namespace daxvmm::virtio
