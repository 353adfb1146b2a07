// Ring 4: a whole virtio-fs device driven by a running vCPU. Every register access is a real exit, every kick a real
// ioeventfd, every load from the window a real one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/virtio_fs_device.h"
#include "gtest/gtest.h"
#include "tests/fakes/virtio_driver.h"
#include "tests/microguest/micro_machine.h"
#include "vmm/virtio_slot.h"

namespace daxvmm::microguest {
namespace {

using fakes::BytesOf;
using fakes::BytesOfName;

constexpr uint64_t kChunk = kDaxRangeSize.raw();
constexpr uint64_t kPattern = 0x6464'6464'6464'6464;  // "dddddddd"

// The parameter: whether the machine has the in-kernel interrupt controller.
class DeviceTest : public testing::TestWithParam<bool> {
 protected:
  void Boot(unsigned cpus = 1, bool read_only = false) {
    directory_ = testing::TempDir() + "/share.XXXXXX";
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    auto machine = MicroMachine::Create({.cpus = cpus, .irqchip = GetParam(), .window_read_only = read_only});
    if (machine.status().code() == absl::StatusCode::kUnavailable) GTEST_SKIP() << machine.status().message();
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
    virtio_fs::VirtioFsOptions options;
    options.tag = "share";
    options.share.path = directory_;
    options.share.read_only = read_only;
    options.window = virtio_fs::WindowPlace{&machine_->window(), fakes::kWindowBase};
    auto device = virtio_fs::VirtioFsDevice::Create(options, &policy_);
    ASSERT_TRUE(device.ok()) << device.status();
    device_ = *std::move(device);
    auto slot = vmm::VirtioSlot::Create(0, device_.get(), &machine_->ram().memory(), &machine_->vm(), &machine_->mmio(),
                                        GetParam());
    ASSERT_TRUE(slot.ok()) << slot.status();
    slot_ = *std::move(slot);
    machine_->guard().Add({.name = "share",
                           .base = fakes::kWindowBase,
                           .size = machine_->window().size(),
                           .read_only = read_only,
                           .owner = device_->window()});
    ASSERT_TRUE(machine_->Start().ok());
    bus_ = std::make_unique<GuestBus>(machine_.get(), slot_->base());
    driver_ = std::make_unique<fakes::MmioDriver>(bus_.get(), &machine_->ram());
    const absl::Status probed = driver_->Probe();
    ASSERT_TRUE(probed.ok()) << probed;
    fuse_init_in init = {};
    init.major = 7;
    init.minor = 38;
    init.flags = 0x7ffffffb;  // as Linux 6.1 mounts with dax=inode
    init.flags2 = 0x0b;
    ASSERT_EQ(Ask(FUSE_INIT, 0, BytesOf(init), nullptr), 0);
  }

  void TearDown() override {
    // No vCPU may run when the device goes.
    if (machine_ != nullptr) machine_->Halt();
    slot_.reset();
    device_.reset();
    if (!directory_.empty()) {
      const std::string command = "rm -rf '" + directory_ + "'";
      EXPECT_EQ(system(command.c_str()), 0);
    }
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void MakeFile(const std::string& name, size_t size) {
    std::ofstream(Path(name), std::ios::binary) << std::string(size, 'd');
  }

  // One request over the ring; the guest's vCPU kicks, and waits for the used index by loads of its own. The reply's
  // errno; the payload goes to `reply` if that is not null.
  int Ask(uint32_t opcode, uint64_t node, const std::vector<std::byte>& body, std::vector<std::byte>* reply) {
    fuse_in_header header = {};
    header.len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.opcode = opcode;
    header.unique = unique_ += 2;
    header.nodeid = node;
    fakes::DriverQueue& queue = driver_->queue(1);
    const uint16_t used_before = queue.used_index();
    fakes::Request request{.out = fakes::Concatenate(BytesOf(header), body), .in_sizes = {4096}, .indirect = true};
    if (!queue.Add(request).has_value()) return -1;
    if (queue.Publish()) {
      EXPECT_TRUE(machine_->Store(slot_->base() + ByteCount(virtio::MmioTransport::kQueueNotifyOffset), 1, 4));
    }
    const GuestPhysAddr used_index = queue.config().device_area + ByteCount(offsetof(vring_used, idx));
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (machine_->Load(used_index, 2) == used_before) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "no answer to opcode " << opcode;
        return -1;
      }
    }
    const std::vector<fakes::Completion> completions = queue.Collect();
    if (completions.size() != 1) {
      ADD_FAILURE() << completions.size() << " answers";
      return -1;
    }
    fuse_out_header out = {};
    std::memcpy(&out, completions[0].in.data(), sizeof(out));
    EXPECT_EQ(out.unique, header.unique);
    if (reply != nullptr) reply->assign(completions[0].in.begin() + sizeof(out), completions[0].in.end());
    return -out.error;
  }

  fuse_entry_out Lookup(const std::string& name) {
    std::vector<std::byte> reply;
    EXPECT_EQ(Ask(FUSE_LOOKUP, FUSE_ROOT_ID, BytesOfName(name), &reply), 0) << name;
    fuse_entry_out entry = {};
    if (reply.size() >= sizeof(entry)) std::memcpy(&entry, reply.data(), sizeof(entry));
    return entry;
  }

  int SetupMapping(uint64_t node, uint64_t offset, uint64_t window_offset, uint64_t flags) {
    fuse_setupmapping_in in = {};
    in.fh = ~uint64_t{0};
    in.foffset = offset;
    in.len = kChunk;
    in.flags = flags;
    in.moffset = window_offset;
    return Ask(FUSE_SETUPMAPPING, node, BytesOf(in), nullptr);
  }

  int RemoveMapping(uint64_t node, uint64_t window_offset) {
    const fuse_removemapping_in in = {.count = 1};
    const fuse_removemapping_one one = {.moffset = window_offset, .len = kChunk};
    return Ask(FUSE_REMOVEMAPPING, node, BytesOf(in, one), nullptr);
  }

  std::optional<uint64_t> LoadWindow(uint64_t offset, unsigned cpu = 0) {
    return machine_->Load(fakes::kWindowBase + ByteCount(offset), 8, cpu);
  }

  void ExpectFaultThatNames(const std::string& text) {
    const std::optional<vmm::GuestEnd> end = machine_->AwaitEnd();
    ASSERT_TRUE(end.has_value()) << "the guest hangs";
    EXPECT_EQ(end->kind, vmm::GuestEndKind::kFault) << end->message;
    EXPECT_NE(end->message.find(text), std::string::npos) << end->message;
  }

  dax::PolicyStore policy_{dax::DefaultPolicy()};
  std::string directory_;
  std::unique_ptr<MicroMachine> machine_;
  std::unique_ptr<virtio_fs::VirtioFsDevice> device_;
  std::unique_ptr<vmm::VirtioSlot> slot_;
  std::unique_ptr<GuestBus> bus_;
  std::unique_ptr<fakes::MmioDriver> driver_;
  uint64_t unique_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Irqchip, DeviceTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "InKernel" : "None"; });

#define BOOT(...)                             \
  ASSERT_NO_FATAL_FAILURE(Boot(__VA_ARGS__)); \
  if (testing::Test::IsSkipped()) return

TEST_P(DeviceTest, TheWindowIsAnnouncedWhereItIs) {
  BOOT();
  const std::optional<virtio::SharedMemoryRegion> region = driver_->SharedMemory(0);
  ASSERT_TRUE(region.has_value());
  EXPECT_EQ(region->base, fakes::kWindowBase);
  EXPECT_EQ(region->size, machine_->window().size());
  EXPECT_FALSE(driver_->SharedMemory(1).has_value());
}

TEST_P(DeviceTest, SetupMappingShowsTheFileAndRemoveMappingTakesItAway) {
  BOOT();
  MakeFile("file", kChunk + 8192);
  const fuse_entry_out entry = Lookup("file");
  EXPECT_EQ(entry.attr.flags & FUSE_ATTR_DAX, unsigned{FUSE_ATTR_DAX});
  ASSERT_EQ(SetupMapping(entry.nodeid, kChunk, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  EXPECT_EQ(LoadWindow(4096), kPattern);
  ASSERT_EQ(RemoveMapping(entry.nodeid, 0), 0);
  EXPECT_EQ(LoadWindow(4096), std::nullopt);
  ExpectFaultThatNames("nothing behind it");
}

TEST_P(DeviceTest, AnUpgradeMakesTheSameMappingWritable) {
  BOOT();
  MakeFile("file", kChunk);
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, kChunk, FUSE_SETUPMAPPING_FLAG_READ), 0);
  EXPECT_EQ(LoadWindow(kChunk), kPattern);
  ASSERT_EQ(SetupMapping(node, 0, kChunk, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE), 0);
  ASSERT_TRUE(machine_->Store(fakes::kWindowBase + ByteCount(kChunk), 0x21'21'21'21'21'21'21'21));
  std::string start(8, '\0');
  std::ifstream(Path("file"), std::ios::binary).read(start.data(), 8);
  EXPECT_EQ(start, "!!!!!!!!");
}

TEST_P(DeviceTest, AReadOnlyShareCannotBeWrittenThroughItsWindow) {
  BOOT(1, /*read_only=*/true);
  MakeFile("file", kChunk);
  const uint64_t node = Lookup("file").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  EXPECT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE), EROFS);
  EXPECT_EQ(SetupMapping(node, 0, kChunk, FUSE_SETUPMAPPING_FLAG_WRITE), EROFS);
  EXPECT_EQ(device_->window()->stats().rejected, 2u);
  // A guest that stores all the same goes on, whatever the width and the offset, and changes nothing.
  ASSERT_EQ(LoadWindow(0), kPattern);
  for (uint64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(machine_->Store(fakes::kWindowBase + ByteCount(i * 4096), 0x2121'2121'2121'2121, 1u << (i % 4)));
  }
  EXPECT_EQ(machine_->guard().dropped_stores(fakes::kWindowBase), 8u);
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(LoadWindow(i * 4096), kPattern);
  std::ifstream file(Path("file"), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), std::string(kChunk, 'd'));
  // Where nothing is mapped a load still ends the guest, and a store is but one more.
  ASSERT_TRUE(machine_->Store(fakes::kWindowBase + ByteCount(kChunk), 1));
  EXPECT_EQ(machine_->guard().dropped_stores(fakes::kWindowBase), 9u);
  EXPECT_EQ(LoadWindow(kChunk), std::nullopt);
  ExpectFaultThatNames("nothing behind it");
}

TEST_P(DeviceTest, APageThatTheHostTruncatedAwayReadsAsZeros) {
  BOOT();
  MakeFile("log", kChunk);
  const uint64_t node = Lookup("log").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  ASSERT_EQ(LoadWindow(kChunk - 8), kPattern);
  ASSERT_EQ(truncate(Path("log").c_str(), 4096), 0);
  // Whether the guest touches the page before or after the watch repairs it, it must neither spin nor end.
  EXPECT_EQ(LoadWindow(kChunk - 8), 0u);
  EXPECT_EQ(LoadWindow(0), kPattern);
  EXPECT_EQ(device_->window()->stats().repairs, 1u);
}

TEST_P(DeviceTest, AVcpuThatReadsWhileTheFileIsTruncatedReadsOn) {
  BOOT(2);
  MakeFile("log", kChunk);
  const uint64_t node = Lookup("log").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  machine_->StartWatch(1, fakes::kWindowBase, ByteCount(kChunk), KiB(4), kPattern, 0);
  ASSERT_EQ(LoadWindow(0), kPattern);
  ASSERT_EQ(truncate(Path("log").c_str(), 65536), 0);
  ASSERT_EQ(LoadWindow(kChunk - 8), 0u);
  const auto result = machine_->FinishWatch(1);
  ASSERT_TRUE(result.has_value()) << "the guest ended";
  EXPECT_EQ(result->mismatches, 0u);
}

// An in-place write(2) inside the size that the guest was told: a store, to where the file no longer reaches.
TEST_P(DeviceTest, AStoreInsideTheSizeThatTheGuestWasToldReachesTheFile) {
  BOOT();
  MakeFile("database", kChunk);
  const uint64_t node = Lookup("database").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE), 0);
  ASSERT_EQ(truncate(Path("database").c_str(), 4096), 0);
  ASSERT_TRUE(machine_->Store(fakes::kWindowBase + ByteCount(65536), 0x2121'2121'2121'2121));
  EXPECT_EQ(LoadWindow(65536), 0x2121'2121'2121'2121u);
  std::ifstream file(Path("database"), std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  ASSERT_EQ(bytes.size(), 65536u + 4096);
  EXPECT_EQ(bytes.substr(65536, 9), std::string("!!!!!!!!") + '\0');
  EXPECT_EQ(bytes.substr(4095, 2), std::string("d") + '\0');
  EXPECT_EQ(device_->window()->stats().stores_past_end, 1u);
  EXPECT_EQ(device_->window()->stats().files_extended, 1u);
}

TEST_P(DeviceTest, AStoreToAReadOnlyMappingEndsTheGuestAndNamesTheFile) {
  BOOT();
  MakeFile("constant", kChunk);
  const uint64_t node = Lookup("constant").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  EXPECT_FALSE(machine_->Store(fakes::kWindowBase + ByteCount(8192), 1));
  ExpectFaultThatNames("/constant' (node ");
}

TEST_P(DeviceTest, AFileThatGrowsAgainIsThereAgain) {
  BOOT();
  MakeFile("log", kChunk);
  const uint64_t node = Lookup("log").nodeid;
  ASSERT_EQ(SetupMapping(node, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  ASSERT_EQ(LoadWindow(kChunk - 8), kPattern);
  ASSERT_EQ(truncate(Path("log").c_str(), 4096), 0);
  ASSERT_TRUE(device_->window()->AwaitStats([](const dax::WindowStats& stats) { return stats.repairs > 0; },
                                            std::chrono::steady_clock::now() + kDeadline));
  EXPECT_EQ(LoadWindow(0), kPattern) << "what is left of the file stays mapped";
  MakeFile("log", kChunk);
  // The reply that tells the guest of the new size comes after the pages are back.
  std::vector<std::byte> reply;
  ASSERT_EQ(Ask(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{}), &reply), 0);
  EXPECT_EQ(LoadWindow(kChunk - 8), kPattern);
}

TEST_P(DeviceTest, RemappingBetweenFilesUnderTwoVcpus) {
  BOOT(2);
  MakeFile("a", kChunk);
  std::ofstream(Path("b"), std::ios::binary) << std::string(kChunk, 'e');
  const uint64_t a = Lookup("a").nodeid;
  const uint64_t b = Lookup("b").nodeid;
  ASSERT_EQ(SetupMapping(a, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
  machine_->StartWatch(1, fakes::kWindowBase, ByteCount(kChunk), KiB(16), kPattern, 0x6565'6565'6565'6565);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(SetupMapping(i % 2 == 0 ? b : a, 0, 0, FUSE_SETUPMAPPING_FLAG_READ), 0);
    ASSERT_EQ(LoadWindow(0), i % 2 == 0 ? 0x6565'6565'6565'6565 : kPattern);
  }
  const auto result = machine_->FinishWatch(1);
  ASSERT_TRUE(result.has_value()) << "the guest ended";
  EXPECT_EQ(result->mismatches, 0u);
}

}  // namespace
}  // namespace daxvmm::microguest
