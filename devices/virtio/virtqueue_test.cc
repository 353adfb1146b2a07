#include "devices/virtio/virtqueue.h"

#include <poll.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/event_fd.h"
#include "base/named_thread.h"
#include "gtest/gtest.h"
#include "memory/iov_cursor.h"
#include "tests/fakes/virtio_driver.h"

namespace daxvmm::virtio {
namespace {

using fakes::Buffer;
using fakes::BytesOf;
using fakes::Completion;
using fakes::DriverQueue;
using fakes::DriverQueueOptions;
using fakes::GuestRam;
using fakes::GuestRamOptions;

std::vector<std::byte> Pattern(size_t size, int seed = 1) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + i * 7);
  return bytes;
}

class VirtqueueTest : public ::testing::Test {
 protected:
  // Driver and device of one queue.
  void Start(const DriverQueueOptions& options = DriverQueueOptions(),
             const GuestRamOptions& ram_options = GuestRamOptions()) {
    driver_.reset();
    ram_ = std::make_unique<GuestRam>(ram_options);
    driver_ = std::make_unique<DriverQueue>(ram_.get(), options);
    auto queue = Virtqueue::Create(driver_->config(), &ram_->memory());
    ASSERT_TRUE(queue.ok()) << queue.status();
    queue_ = *std::move(queue);
  }

  // What the device reads of a chain.
  std::vector<std::byte> Out(const DescriptorChain& chain) {
    std::vector<std::byte> bytes(chain.readable.TotalBytes());
    memory::IovReader reader(chain.readable);
    EXPECT_TRUE(reader.Read(bytes));
    return bytes;
  }

  // Runs `count` small chains through the queue, to move the indices on.
  void Turn(int count) {
    const Buffer buffer{ram_->Allocate(ByteCount(8)), 8, false};
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(driver_->AddBuffers(std::span(&buffer, 1)).has_value());
      driver_->Publish();
      ASSERT_TRUE(queue_->Pop(&chain_));
      queue_->Push(chain_, 0);
      ASSERT_EQ(driver_->Collect().size(), 1u);
    }
    queue_->ShouldSignal();
  }
  // Pushes `count` more without asking whether to signal.
  void PushMany(int count) {
    const Buffer buffer{ram_->Allocate(ByteCount(8)), 8, false};
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(driver_->AddBuffers(std::span(&buffer, 1)).has_value());
      driver_->Publish();
      ASSERT_TRUE(queue_->Pop(&chain_));
      queue_->Push(chain_, 0);
      driver_->Collect();
    }
  }

  std::unique_ptr<GuestRam> ram_;
  std::unique_ptr<DriverQueue> driver_;
  std::unique_ptr<Virtqueue> queue_;
  DescriptorChain chain_;
};

TEST_F(VirtqueueTest, EmptyRingYieldsNothing) {
  Start();
  EXPECT_FALSE(queue_->Pop(&chain_));
  EXPECT_EQ(queue_->fault(), QueueFault::kNone);
  EXPECT_FALSE(queue_->ShouldSignal());
}

TEST_F(VirtqueueTest, RequestAndReply) {
  for (const bool indirect : {false, true}) {
    Start();
    const auto out = Pattern(100);
    const auto head = driver_->Add({.out = out, .out_cuts = {40, 0, 1}, .in_sizes = {16, 0, 50}, .indirect = indirect});
    ASSERT_TRUE(head.has_value());
    EXPECT_FALSE(queue_->Pop(&chain_)) << "not published yet";
    driver_->Publish();
    ASSERT_TRUE(queue_->Pop(&chain_));
    EXPECT_EQ(chain_.head, *head);
    EXPECT_EQ(Out(chain_), out);
    EXPECT_EQ(chain_.writable.TotalBytes(), 66u);
    EXPECT_FALSE(queue_->Pop(&chain_)) << "one chain, one pop";

    memory::IovWriter writer(chain_.writable);
    const auto in = Pattern(20, 9);
    ASSERT_TRUE(writer.Write(in));
    queue_->Push(chain_, 20);
    const std::vector<Completion> done = driver_->Collect();
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].head, *head);
    EXPECT_EQ(done[0].written, 20u);
    EXPECT_EQ(done[0].in, in);
  }
}

TEST_F(VirtqueueTest, CompletesOutOfOrder) {
  Start();
  std::vector<uint16_t> heads;
  for (int i = 0; i < 3; ++i) heads.push_back(*driver_->Add({.out = Pattern(4, i), .in_sizes = {4}}));
  driver_->Publish();
  DescriptorChain chains[3];
  for (DescriptorChain& chain : chains) ASSERT_TRUE(queue_->Pop(&chain));
  for (int i : {2, 0, 1}) queue_->Push(chains[i], static_cast<uint32_t>(i));
  const auto done = driver_->Collect();
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[0].head, heads[2]);
  EXPECT_EQ(done[1].head, heads[0]);
  EXPECT_EQ(done[2].head, heads[1]);
}

TEST_F(VirtqueueTest, ChainAsLongAsTheQueue) {
  Start({.size = 16});
  for (const bool indirect : {false, true}) {
    std::vector<uint32_t> cuts(16, 2);
    ASSERT_TRUE(driver_->Add({.out = Pattern(32), .out_cuts = cuts, .indirect = indirect}).has_value());
    driver_->Publish();
    ASSERT_TRUE(queue_->Pop(&chain_)) << QueueFaultName(queue_->fault());
    EXPECT_EQ(Out(chain_), Pattern(32));
    queue_->Push(chain_, 0);
    ASSERT_EQ(driver_->Collect().size(), 1u);
  }
  // One more than that, in a table that is big enough.
  ASSERT_TRUE(
      driver_->Add({.out = Pattern(34), .out_cuts = std::vector<uint32_t>(17, 2), .indirect = true}).has_value());
  driver_->Publish();
  EXPECT_FALSE(queue_->Pop(&chain_));
  EXPECT_EQ(queue_->fault(), QueueFault::kChainTooLong);
}

// virtio 1.2, 2.7.5.3.2: direct descriptors, then one that refers to a table; its WRITE flag means nothing.
TEST_F(VirtqueueTest, DirectThenIndirect) {
  Start();
  const GuestPhysAddr data = ram_->Allocate(ByteCount(16));
  ram_->Write(data, Pattern(16));
  const GuestPhysAddr table = ram_->Allocate(ByteCount(32));
  const vring_desc entries[] = {{data.raw() + 4, 4, VRING_DESC_F_NEXT, 1}, {data.raw() + 8, 8, VRING_DESC_F_WRITE, 0}};
  ram_->Write(table, BytesOf(entries));
  driver_->WriteDescriptor(5, {data.raw(), 4, VRING_DESC_F_NEXT, 9});
  driver_->WriteDescriptor(9, {table.raw(), 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0});
  driver_->WriteAvailSlot(0, 5);
  driver_->StoreAvailIndex(1);
  ASSERT_TRUE(queue_->Pop(&chain_)) << QueueFaultName(queue_->fault());
  EXPECT_EQ(chain_.head, 5);
  EXPECT_EQ(Out(chain_), Pattern(8));
  EXPECT_EQ(chain_.writable.TotalBytes(), 8u);
}

TEST_F(VirtqueueTest, IndirectTableAnywhere) {
  Start();
  const GuestPhysAddr data = ram_->Allocate(ByteCount(16));
  ram_->Write(data, Pattern(16));
  const vring_desc entries[] = {
      {data.raw(), 4, VRING_DESC_F_NEXT, 2}, {data.raw() + 8, 8, 0, 0}, {data.raw() + 4, 4, VRING_DESC_F_NEXT, 1}};
  const GuestPhysAddr misaligned = ram_->Allocate(ByteCount(64)) + ByteCount(3);
  // The second entry is half in one region, half in the other.
  const GuestPhysAddr straddling = ram_->Straddling(ByteCount(sizeof(entries)));
  uint16_t index = 0;
  for (const GuestPhysAddr table : {misaligned, straddling}) {
    ram_->Write(table, BytesOf(entries));
    driver_->WriteDescriptor(0, {table.raw(), sizeof(entries), VRING_DESC_F_INDIRECT, 0});
    driver_->WriteAvailSlot(index, 0);
    driver_->StoreAvailIndex(++index);
    ASSERT_TRUE(queue_->Pop(&chain_)) << QueueFaultName(queue_->fault());
    EXPECT_EQ(Out(chain_), Pattern(16));
  }
}

TEST_F(VirtqueueTest, BuffersAcrossRegionsAndInTheWindow) {
  std::vector<std::byte> window(4096);
  Start({}, {.window_host = window.data(), .window_size = ByteCount(window.size())});
  const GuestPhysAddr straddling = ram_->Straddling(ByteCount(1000));
  ram_->Write(straddling, Pattern(1000));
  const Buffer buffers[] = {{straddling, 1000, false}, {fakes::kWindowBase + ByteCount(96), 4000, true}};
  ASSERT_TRUE(driver_->AddBuffers(buffers).has_value());
  driver_->Publish();
  ASSERT_TRUE(queue_->Pop(&chain_)) << QueueFaultName(queue_->fault());
  EXPECT_EQ(chain_.readable.iov.size(), 2u);
  EXPECT_EQ(Out(chain_), Pattern(1000));
  EXPECT_TRUE(chain_.readable.all_ram);
  ASSERT_EQ(chain_.writable.iov.size(), 1u);
  EXPECT_EQ(chain_.writable.iov[0].iov_base, window.data() + 96);
  EXPECT_EQ(chain_.writable.iov[0].iov_len, 4000u);
  EXPECT_FALSE(chain_.writable.all_ram);
}

TEST_F(VirtqueueTest, IndicesWrap) {
  Start({.size = 8});
  for (int i = 0; i < 70000; ++i) {
    const uint32_t value = static_cast<uint32_t>(i);
    ASSERT_TRUE(driver_->Add({.out = BytesOf(value), .in_sizes = {4}}).has_value());
    driver_->Publish();
    ASSERT_TRUE(queue_->Pop(&chain_)) << i;
    ASSERT_EQ(Out(chain_), BytesOf(value));
    memory::IovWriter writer(chain_.writable);
    ASSERT_TRUE(writer.WriteObject(value));
    queue_->Push(chain_, 4);
    const auto done = driver_->Collect();
    ASSERT_EQ(done.size(), 1u);
    ASSERT_EQ(done[0].in, BytesOf(value));
  }
}

TEST_F(VirtqueueTest, FullRingIsNotAJump) {
  Start({.size = 8});
  Turn(65533);
  const Buffer buffer{ram_->Allocate(ByteCount(8)), 8, false};
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(driver_->AddBuffers(std::span(&buffer, 1)).has_value());
  driver_->Publish();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(queue_->Pop(&chain_)) << i;
  EXPECT_FALSE(queue_->Pop(&chain_));
  EXPECT_EQ(queue_->fault(), QueueFault::kNone);
}

// virtio 1.2, 2.7.7.2: an interrupt if the used index passes used_event, that is if the entry used_event was just
// filled. Here used_event lies `offset` entries behind the last call, of which `pushed` were filled since. The second
// round takes the index over its end.
TEST_F(VirtqueueTest, SignalsByUsedEvent) {
  for (const int start : {0, 65300}) {
    Start({.size = 16});
    Turn(start);
    for (int pushed = 0; pushed <= 8; ++pushed) {
      for (int offset = -3; offset <= 10; ++offset) {
        const uint16_t base = driver_->used_index();
        driver_->SetUsedEvent(static_cast<uint16_t>(base + offset));
        PushMany(pushed);
        const bool expected = offset >= 0 && offset < pushed;
        EXPECT_EQ(queue_->ShouldSignal(), expected) << "base " << base << " pushed " << pushed << " offset " << offset;
        EXPECT_FALSE(queue_->ShouldSignal()) << "nothing new";
      }
    }
    if (start != 0) {
      EXPECT_LT(driver_->used_index(), start);
    }
  }
}

TEST_F(VirtqueueTest, SignalsAfterAFullLapWithoutAsking) {
  Start({.size = 8});
  driver_->SetUsedEvent(40000);
  PushMany(65536);
  EXPECT_TRUE(queue_->ShouldSignal());
  EXPECT_FALSE(queue_->ShouldSignal());
}

TEST_F(VirtqueueTest, SignalsByFlagWithoutEventIdx) {
  Start({.event_idx = false});
  driver_->SetUsedEvent(7);  // means nothing
  PushMany(1);
  EXPECT_TRUE(queue_->ShouldSignal());
  EXPECT_FALSE(queue_->ShouldSignal()) << "nothing new";
  driver_->WantInterrupts(false);
  PushMany(1);
  EXPECT_FALSE(queue_->ShouldSignal());
  driver_->WantInterrupts(true);
  PushMany(1);
  EXPECT_TRUE(queue_->ShouldSignal());
}

TEST_F(VirtqueueTest, AsksForKicks) {
  for (const bool event_idx : {false, true}) {
    SCOPED_TRACE(event_idx);
    Start({.size = 16, .event_idx = event_idx});
    const Buffer buffer{ram_->Allocate(ByteCount(8)), 8, false};
    const auto publish = [&] {
      EXPECT_TRUE(driver_->AddBuffers(std::span(&buffer, 1)).has_value());
      return driver_->Publish();
    };
    EXPECT_TRUE(publish()) << "kicks are on at first";
    queue_->DisableKicks();
    EXPECT_FALSE(publish());
    EXPECT_TRUE(queue_->EnableKicks()) << "two chains wait that no kick will announce";
    queue_->DisableKicks();
    ASSERT_TRUE(queue_->Pop(&chain_));
    ASSERT_TRUE(queue_->Pop(&chain_));
    EXPECT_FALSE(queue_->EnableKicks());
    if (event_idx) {
      EXPECT_EQ(driver_->avail_event(), 2);
      EXPECT_EQ(driver_->used_flags(), 0);
    }
    EXPECT_TRUE(publish());
  }
}

TEST_F(VirtqueueTest, CreateChecksTheRing) {
  Start();
  const VirtqueueConfig good = driver_->config();
  const auto refused = [&](const VirtqueueConfig& config) {
    return Virtqueue::Create(config, &ram_->memory()).status().code() == absl::StatusCode::kInvalidArgument;
  };
  const auto with = [&](auto change) {
    VirtqueueConfig config = good;
    change(config);
    return config;
  };
  EXPECT_FALSE(refused(good));
  for (const uint16_t size : {0, 3, 65, 65535}) {
    EXPECT_TRUE(refused(with([&](auto& c) { c.size = size; }))) << size;
  }
  EXPECT_FALSE(refused(with([&](auto& c) {
    c.size = 32768;
    c.descriptors = c.driver_area = c.device_area = GuestPhysAddr(0x1000);
  }))) << "parts that overlap are the driver's own trouble";
  EXPECT_TRUE(refused(with([](auto& c) { c.descriptors += ByteCount(8); })));
  EXPECT_TRUE(refused(with([](auto& c) { c.driver_area += ByteCount(1); })));
  EXPECT_TRUE(refused(with([](auto& c) { c.device_area += ByteCount(2); })));
  const GuestPhysAddr end = ram_->end_of_ram();
  EXPECT_FALSE(refused(with([&](auto& c) { c.descriptors = end - ByteCount(64 * 16); })));
  EXPECT_TRUE(refused(with([&](auto& c) { c.descriptors = end - ByteCount(63 * 16); })));
  EXPECT_FALSE(refused(with([&](auto& c) { c.driver_area = end - ByteCount(6 + 64 * 2); })));
  EXPECT_TRUE(refused(with([&](auto& c) { c.driver_area = end - ByteCount(4 + 64 * 2); })));
  EXPECT_FALSE(refused(with([&](auto& c) { c.device_area = end - ByteCount(8 + 64 * 8); })));
  EXPECT_TRUE(refused(with([&](auto& c) { c.device_area = end - ByteCount(4 + 64 * 8); })));
  EXPECT_TRUE(refused(with([](auto& c) { c.descriptors = GuestPhysAddr(~uint64_t{15}); })));
  EXPECT_TRUE(refused(with([&](auto& c) { c.driver_area = ram_->Straddling(ByteCount(64)); })));
  std::vector<std::byte> window(4096);
  Start({}, {.window_host = window.data(), .window_size = ByteCount(window.size())});
  EXPECT_TRUE(refused(with([](auto& c) { c.descriptors = fakes::kWindowBase; }))) << "a ring must never fault";
}

// Both ends suppress notifications as much as they may, and both sleep: a notification too few stops the test.
TEST_F(VirtqueueTest, NoNotificationIsLostBetweenThreads) {
  for (const bool event_idx : {false, true}) {
    SCOPED_TRACE(event_idx);
    Start({.size = 8, .event_idx = event_idx});
    auto kick = EventFd::Create();
    auto stop = EventFd::Create();
    ASSERT_TRUE(kick.ok() && stop.ok());
    fakes::SignalCounter interrupts;
    NamedThread device("device", [&] {
      for (;;) {
        do {
          queue_->DisableKicks();
          while (queue_->Pop(&chain_)) {
            queue_->Push(chain_, 0);
            if (queue_->ShouldSignal()) interrupts.Raise();
          }
        } while (queue_->EnableKicks());
        pollfd fds[] = {{kick->fd(), POLLIN, 0}, {stop->fd(), POLLIN, 0}};
        poll(fds, 2, -1);
        if (fds[1].revents != 0) return;
        kick->Drain();
      }
    });
    const Buffer buffer{ram_->Allocate(ByteCount(8)), 8, false};
    constexpr int kChains = 30000;
    int added = 0;
    int done = 0;
    while (done < kChains) {
      for (int burst = 1 + added % 5; burst > 0 && added < kChains; --burst) {
        if (driver_->AddBuffers(std::span(&buffer, 1)).has_value()) ++added;
      }
      if (driver_->Publish()) kick->Signal();
      const bool came = interrupts.WaitUntil([&] {
        driver_->WantInterrupts(false);
        int now = 0;
        do {
          now += static_cast<int>(driver_->Collect().size());
        } while (driver_->WantInterrupts(true));
        done += now;
        return now > 0;
      });
      if (!came) break;
    }
    stop->Signal();
    device.Join();
    EXPECT_EQ(done, kChains) << "of " << added << " added; an interrupt or a kick was lost";
    EXPECT_EQ(queue_->fault(), QueueFault::kNone);
  }
}

}  // namespace
}  // namespace daxvmm::virtio
