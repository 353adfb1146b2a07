// Drivers that break the rules. Nothing they write may crash the device, loop it, or let it touch anything but guest
// memory.
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "base/named_thread.h"
#include "devices/virtio/virtqueue.h"
#include "gtest/gtest.h"
#include "tests/fakes/virtio_driver.h"

namespace daxvmm::virtio {
namespace {

using fakes::Buffer;
using fakes::DriverQueue;
using fakes::DriverQueueOptions;
using fakes::GuestRam;
using fakes::GuestRamOptions;
using fakes::RingBreak;

// Every byte of a chain must be guest memory that the device may use so.
::testing::AssertionResult InsideGuestMemory(const memory::IoVecs& buffers, bool for_writing,
                                             const memory::GuestMemory& memory) {
  for (const iovec& piece : buffers.iov) {
    const auto* start = static_cast<const std::byte*>(piece.iov_base);
    bool found = false;
    for (const memory::Region& region : memory.regions()) {
      found = found || (start >= region.host && start < region.host + region.size.raw() &&
                        piece.iov_len <= static_cast<size_t>(region.host + region.size.raw() - start) &&
                        (region.writable || !for_writing));
    }
    if (!found) return ::testing::AssertionFailure() << piece.iov_base << " + " << piece.iov_len;
  }
  return ::testing::AssertionSuccess();
}

std::unique_ptr<Virtqueue> MakeQueue(const DriverQueue& driver, const GuestRam& ram) {
  auto queue = Virtqueue::Create(driver.config(), &ram.memory());
  EXPECT_TRUE(queue.ok()) << queue.status();
  return *std::move(queue);
}

class BrokenRingTest : public ::testing::TestWithParam<std::tuple<RingBreak, bool>> {};

TEST_P(BrokenRingTest, IsAFaultAndStaysOne) {
  const auto [how, event_idx] = GetParam();
  GuestRam ram;
  DriverQueue driver(&ram, {.size = 8, .event_idx = event_idx});
  auto queue = MakeQueue(driver, ram);
  DescriptorChain chain;
  fakes::BreakRing(&driver, how);
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_EQ(queue->fault(), fakes::ExpectedFault(how))
      << QueueFaultName(queue->fault()) << " instead of " << QueueFaultName(fakes::ExpectedFault(how));
  // Even if the ring is fine again.
  driver.Reset();
  ASSERT_TRUE(driver.AddBuffers(std::vector<Buffer>{{ram.Allocate(ByteCount(8)), 8, false}}).has_value());
  driver.Publish();
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_FALSE(queue->EnableKicks()) << "the worker would go round for ever";
  EXPECT_EQ(queue->fault(), fakes::ExpectedFault(how));
}

TEST_P(BrokenRingTest, AfterGoodChainsThoseStillCome) {
  const auto [how, event_idx] = GetParam();
  if (how == RingBreak::kAvailIndexBackwards || how == RingBreak::kAvailIndexJump) {
    GTEST_SKIP() << "an index out of bounds says nothing about which entries are good";
  }
  GuestRam ram;
  DriverQueue driver(&ram, {.size = 8, .event_idx = event_idx});
  auto queue = MakeQueue(driver, ram);
  // In a table, so that the descriptors that BreakRing writes are not this chain's.
  const Buffer buffer = {ram.Allocate(ByteCount(8)), 8, false};
  const vring_desc entry = {buffer.at.raw(), 8, 0, 0};
  const GuestPhysAddr table = ram.Allocate(ByteCount(16));
  ram.Write(table, fakes::BytesOf(entry));
  driver.WriteDescriptor(7, {table.raw(), 16, VRING_DESC_F_INDIRECT, 0});
  driver.WriteAvailSlot(0, 7);
  driver.StoreAvailIndex(1);
  fakes::BreakRing(&driver, how);
  DescriptorChain chain;
  if (how != RingBreak::kLongLoop) {  // which writes over descriptor 7
    EXPECT_TRUE(queue->Pop(&chain));
    EXPECT_EQ(chain.head, 7);
  }
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_EQ(queue->fault(), fakes::ExpectedFault(how));
}

INSTANTIATE_TEST_SUITE_P(All, BrokenRingTest,
                         ::testing::Combine(::testing::ValuesIn(fakes::kAllRingBreaks), ::testing::Bool()),
                         [](const auto& info) {
                           return std::string(fakes::RingBreakName(std::get<0>(info.param))) +
                                  (std::get<1>(info.param) ? "EventIdx" : "");
                         });

TEST(HostileVirtqueueTest, IndirectThatWasNotNegotiated) {
  GuestRam ram;
  DriverQueue driver(&ram, {.indirect = false});
  auto queue = MakeQueue(driver, ram);
  ASSERT_TRUE(driver.Add({.out = std::vector<std::byte>(8), .indirect = true}).has_value());
  driver.Publish();
  DescriptorChain chain;
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_EQ(queue->fault(), QueueFault::kBadIndirect);
}

TEST(HostileVirtqueueTest, FourGiBAndNotAByteMore) {
  GuestRam ram;  // of 16 MiB
  DriverQueue driver(&ram, {.size = 512});
  std::vector<Buffer> buffers(256, {GuestPhysAddr(0), 16 << 20, true});
  DescriptorChain chain;
  auto queue = MakeQueue(driver, ram);
  ASSERT_TRUE(driver.AddBuffers(buffers, true).has_value());
  driver.Publish();
  EXPECT_TRUE(queue->Pop(&chain));
  EXPECT_EQ(chain.writable.TotalBytes(), uint64_t{1} << 32);

  // Counted over both directions.
  buffers.insert(buffers.begin(), {GuestPhysAddr(0), 1, false});
  ASSERT_TRUE(driver.AddBuffers(buffers, true).has_value());
  driver.Publish();
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_EQ(queue->fault(), QueueFault::kTooManyBytes);
}

TEST(HostileVirtqueueTest, ReadOnlyWindow) {
  std::vector<std::byte> window(4096);
  GuestRam ram({.window_host = window.data(), .window_size = ByteCount(window.size()), .window_writable = false});
  DriverQueue driver(&ram, {});
  auto queue = MakeQueue(driver, ram);
  DescriptorChain chain;
  Buffer buffer = {fakes::kWindowBase, 4096, false};
  ASSERT_TRUE(driver.AddBuffers(std::span(&buffer, 1)).has_value());
  driver.Publish();
  EXPECT_TRUE(queue->Pop(&chain)) << "reading is allowed";
  buffer.device_writes = true;
  ASSERT_TRUE(driver.AddBuffers(std::span(&buffer, 1)).has_value());
  driver.Publish();
  EXPECT_FALSE(queue->Pop(&chain));
  EXPECT_EQ(queue->fault(), QueueFault::kBadAddress);
}

// The same head three times: three requests that share their buffers, each answered.
TEST(HostileVirtqueueTest, DuplicateHeadsAreHarmless) {
  GuestRam ram;
  DriverQueue driver(&ram, {});
  auto queue = MakeQueue(driver, ram);
  const auto head = driver.Add({.out = std::vector<std::byte>(8), .in_sizes = {8}});
  ASSERT_TRUE(head.has_value());
  driver.AddHeadAgain(*head);
  driver.AddHeadAgain(*head);
  driver.Publish();
  DescriptorChain chains[3];
  for (DescriptorChain& chain : chains) {
    ASSERT_TRUE(queue->Pop(&chain));
    EXPECT_EQ(chain.head, *head);
  }
  for (const DescriptorChain& chain : chains) queue->Push(chain, 8);
  EXPECT_EQ(driver.Collect().size(), 3u);
  EXPECT_EQ(queue->fault(), QueueFault::kNone);
}

TEST(HostileVirtqueueTest, OverlappingRingParts) {
  GuestRam ram;
  VirtqueueConfig config;
  config.size = 8;
  config.event_idx = config.indirect = true;
  config.descriptors = config.driver_area = config.device_area = ram.Allocate(ByteCount(256));
  auto queue = Virtqueue::Create(config, &ram.memory());
  ASSERT_TRUE(queue.ok());
  DescriptorChain chain;
  std::byte* ring = ram.Host(config.descriptors, ByteCount(256));
  ring[2] = std::byte{1};  // the available index, and part of the first descriptor's address
  for (int i = 0; i < 100; ++i) {
    if ((*queue)->Pop(&chain)) (*queue)->Push(chain, 0);
    (*queue)->ShouldSignal();
    (*queue)->EnableKicks();
  }
}

// Rings filled with values that are often nearly right.
class RingScribbler {
 public:
  RingScribbler(DriverQueue* driver, uint32_t seed) : driver_(driver), random_(seed) {
    table_ = driver->ram().Allocate(ByteCount(kTableEntries * sizeof(vring_desc)));
  }

  vring_desc Descriptor() {
    const uint64_t end = driver_->ram().end_of_ram().raw();
    const uint64_t addresses[] = {0,
                                  0x1000 + Below(0x10000),
                                  end - Below(64),
                                  MiB(8).raw() - Below(4096),
                                  fakes::kWindowBase.raw() + Below(8192),
                                  random_(),
                                  ~uint64_t{0} - Below(64),
                                  table_.raw()};
    const uint32_t lengths[] = {0,
                                16,
                                static_cast<uint32_t>(16 * Below(kTableEntries + 2)),
                                static_cast<uint32_t>(Below(8192)),
                                ~uint32_t{0},
                                static_cast<uint32_t>(random_())};
    const uint16_t indices[] = {static_cast<uint16_t>(Below(driver_->size())), static_cast<uint16_t>(random_())};
    return {Often(addresses[1], addresses[Below(std::size(addresses))]),
            Often(lengths[3], lengths[Below(std::size(lengths))]),
            // Only rarely bits that mean nothing.
            static_cast<uint16_t>(Below(10) == 0 ? random_() : Below(8) & (Below(3) == 0 ? 7 : 3)),
            Often(indices[0], indices[1])};
  }
  void FillTable() {
    for (uint16_t i = 0; i < driver_->size(); ++i) driver_->WriteDescriptor(i, Descriptor());
    vring_desc entries[kTableEntries];
    for (vring_desc& entry : entries) entry = Descriptor();
    driver_->ram().Write(table_, fakes::BytesOf(entries));
  }
  void FillAvail() {
    for (uint16_t i = 0; i < driver_->size(); ++i) {
      driver_->WriteAvailSlot(i,
                              Often(static_cast<uint16_t>(Below(driver_->size())), static_cast<uint16_t>(random_())));
    }
  }
  uint64_t Below(uint64_t n) { return random_() % n; }
  uint64_t Any() { return random_(); }

 private:
  static constexpr size_t kTableEntries = 12;
  template <typename T>
  T Often(T good, T other) {
    return Below(4) != 0 ? good : other;
  }

  DriverQueue* const driver_;
  std::mt19937_64 random_;
  GuestPhysAddr table_;
};

TEST(HostileVirtqueueTest, RandomRingsStayInsideGuestMemory) {
  std::vector<std::byte> window(8192);
  GuestRam ram({.window_host = window.data(), .window_size = ByteCount(window.size()), .window_writable = false});
  DriverQueue driver(&ram, {.size = 16});
  RingScribbler scribbler(&driver, 20260101);
  DescriptorChain chain;
  int popped = 0;
  int faults[8] = {};
  for (int round = 0; round < 20000; ++round) {
    driver.Reset();
    scribbler.FillTable();
    scribbler.FillAvail();
    auto queue = MakeQueue(driver, ram);
    const uint16_t published = static_cast<uint16_t>(scribbler.Below(19));
    driver.StoreAvailIndex(published);
    int in_this_round = 0;
    while (queue->Pop(&chain)) {
      ASSERT_LE(++in_this_round, published);
      ASSERT_TRUE(InsideGuestMemory(chain.readable, false, ram.memory())) << "round " << round;
      ASSERT_TRUE(InsideGuestMemory(chain.writable, true, ram.memory())) << "round " << round;
      queue->Push(chain, static_cast<uint32_t>(scribbler.Any()));
      queue->ShouldSignal();
    }
    popped += in_this_round;
    ++faults[static_cast<int>(queue->fault())];
  }
  // The generator is worth something only while it reaches everything.
  EXPECT_GT(popped, 1000);
  for (int fault = 0; fault < 8; ++fault) {
    if (static_cast<QueueFault>(fault) == QueueFault::kTooManyBytes) continue;  // would take a bigger guest
    EXPECT_GT(faults[fault], 10) << QueueFaultName(static_cast<QueueFault>(fault));
  }
}

// A ring that changes between two reads of the device, and during them.
TEST(HostileVirtqueueTest, RingThatChangesAllTheTime) {
  GuestRam ram;
  DriverQueue driver(&ram, {.size = 16});
  // Words of both rings and the table, written while the device reads them.
  auto* table = reinterpret_cast<uint64_t*>(ram.Host(driver.config().descriptors, ByteCount(16 * 16)));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> written{0};
  NamedThread scribble("scribble", [&] {
    std::mt19937_64 random(7);
    RingScribbler scribbler(&driver, 8);
    while (!stop.load()) {
      const size_t index = random() % 16;
      const vring_desc descriptor = scribbler.Descriptor();
      uint64_t words[2];
      std::memcpy(words, &descriptor, sizeof(words));
      std::atomic_ref<uint64_t>(table[2 * index]).store(words[0], std::memory_order_relaxed);
      std::atomic_ref<uint64_t>(table[2 * index + 1]).store(words[1], std::memory_order_relaxed);
      driver.WriteAvailSlot(static_cast<uint16_t>(random()), static_cast<uint16_t>(random() % 17));
      driver.StoreAvailIndex(static_cast<uint16_t>(random() % 18));
      driver.SetUsedEvent(static_cast<uint16_t>(random()));
      written.fetch_add(1);
    }
  });
  DescriptorChain chain;
  int popped = 0;
  bool inside = true;
  // Both sides must have had their turns, however the host schedules them.
  const auto deadline = std::chrono::steady_clock::now() + fakes::kPatience;
  while (inside && (written.load() < 50000 || popped < 1000) && std::chrono::steady_clock::now() < deadline) {
    auto queue = MakeQueue(driver, ram);
    while (queue->Pop(&chain)) {
      ++popped;
      inside = inside && InsideGuestMemory(chain.readable, false, ram.memory()) &&
               InsideGuestMemory(chain.writable, true, ram.memory());
      queue->Push(chain, 1);
      queue->ShouldSignal();
    }
    queue->EnableKicks();
  }
  stop.store(true);
  scribble.Join();
  EXPECT_TRUE(inside);
  EXPECT_GE(popped, 1000) << "the device got nothing to walk within the deadline";
}

}  // namespace
}  // namespace daxvmm::virtio
