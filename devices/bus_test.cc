#include "devices/bus.h"

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"

namespace daxvmm::devices {
namespace {

// Notes each access; a read is filled with `answer`.
class FakeDevice : public BusDevice {
 public:
  explicit FakeDevice(uint8_t answer = 0) : answer_(answer) {}
  void Read(uint64_t offset, std::span<uint8_t> data) override {
    accesses.push_back(absl::StrFormat("r%u/%u", offset, data.size()));
    for (uint8_t& byte : data) byte = answer_;
  }
  void Write(uint64_t offset, std::span<const uint8_t> data) override {
    accesses.push_back(absl::StrFormat("w%u/%u=%u", offset, data.size(), data[0]));
  }
  std::vector<std::string> accesses;

 private:
  const uint8_t answer_;
};

using Accesses = std::vector<std::string>;

TEST(BusTest, GivesAnAccessToTheDeviceThatOwnsTheRange) {
  FakeDevice low(1);
  FakeDevice high(2);
  Bus bus;
  ASSERT_TRUE(bus.Attach(0x200, 0x10, &high).ok());
  ASSERT_TRUE(bus.Attach(0x100, 0x10, &low).ok());  // lower base attached later: look-up needs them sorted

  std::array<uint8_t, 4> data{};
  EXPECT_TRUE(bus.Read(0x104, data));
  EXPECT_EQ(data, (std::array<uint8_t, 4>{1, 1, 1, 1}));
  EXPECT_TRUE(bus.Read(0x200, data));
  EXPECT_EQ(data, (std::array<uint8_t, 4>{2, 2, 2, 2}));
  const std::array<uint8_t, 1> seven{7};
  EXPECT_TRUE(bus.Write(0x10f, seven));
  EXPECT_EQ(low.accesses, (Accesses{"r4/4", "w15/1=7"}));
  EXPECT_EQ(high.accesses, (Accesses{"r0/4"}));
}

TEST(BusTest, NobodyAnswersOutsideOfEveryRange) {
  FakeDevice device;
  Bus bus;
  std::array<uint8_t, 2> data{};
  EXPECT_FALSE(bus.Read(0, data)) << "an empty bus";
  ASSERT_TRUE(bus.Attach(0x100, 0x10, &device).ok());
  for (uint64_t address : {uint64_t{0}, uint64_t{0xff}, uint64_t{0x110}, std::numeric_limits<uint64_t>::max()}) {
    data = {0, 0};
    EXPECT_FALSE(bus.Read(address, data)) << address;
    EXPECT_EQ(data, (std::array<uint8_t, 2>{0xff, 0xff})) << address;
    EXPECT_FALSE(bus.Write(address, data)) << address;
  }
  EXPECT_EQ(device.accesses, Accesses{});
}

TEST(BusTest, AnAccessThatCrossesTheEndOfARangeReachesNoDevice) {
  FakeDevice first;
  FakeDevice second;
  Bus bus;
  ASSERT_TRUE(bus.Attach(0x100, 0x10, &first).ok());
  ASSERT_TRUE(bus.Attach(0x110, 0x10, &second).ok());
  std::array<uint8_t, 4> data{};
  EXPECT_FALSE(bus.Read(0x10d, data));
  EXPECT_EQ(data, (std::array<uint8_t, 4>{0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(bus.Write(0x10d, data));
  EXPECT_TRUE(bus.Read(0x10c, data));
  EXPECT_EQ(first.accesses, (Accesses{"r12/4"}));
  EXPECT_EQ(second.accesses, Accesses{});
}

TEST(BusTest, RefusesARangeThatOverlapsAnother) {
  FakeDevice device;
  Bus bus;
  ASSERT_TRUE(bus.Attach(0x100, 0x10, &device).ok());
  struct Case {
    uint64_t base;
    uint64_t size;
  };
  for (const Case& c : {Case{0x100, 0x10}, Case{0x100, 1}, Case{0x10f, 1}, Case{0xff, 2}, Case{0x10f, 2},
                        Case{0, 0x1000}, Case{0x104, 4}}) {
    EXPECT_EQ(bus.Attach(c.base, c.size, &device).code(), absl::StatusCode::kAlreadyExists) << c.base << "+" << c.size;
  }
  EXPECT_TRUE(bus.Attach(0xf0, 0x10, &device).ok()) << "touches, but does not overlap";
  EXPECT_TRUE(bus.Attach(0x110, 1, &device).ok()) << "touches, but does not overlap";
}

TEST(BusTest, RefusesAnEmptyRangeAndOneThatWraps) {
  FakeDevice device;
  Bus bus;
  EXPECT_EQ(bus.Attach(0x100, 0, &device).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(bus.Attach(~uint64_t{0}, 2, &device).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace daxvmm::devices
