#include "devices/platform/acpi_pm.h"

#include <array>
#include <string>

#include "gtest/gtest.h"

namespace daxvmm::devices {
namespace {

constexpr uint8_t kSoftOff = 5;
constexpr uint8_t kResetValue = 1;

class AcpiPmTest : public testing::Test {
 protected:
  void Write(uint64_t offset, uint8_t value) { pm_.Write(offset, std::array<uint8_t, 1>{value}); }
  uint8_t Read(uint64_t offset) {
    std::array<uint8_t, 1> data{};
    pm_.Read(offset, data);
    return data[0];
  }

  int power_offs_ = 0;
  int resets_ = 0;
  AcpiPm pm_{{.s5_sleep_type = kSoftOff,
              .reset_value = kResetValue,
              .power_off = [this] { ++power_offs_; },
              .reset = [this] { ++resets_; }}};
};

TEST_F(AcpiPmTest, SoftOffPowersOff) {
  // As Linux does it (acpi_hw_extended_sleep): first clear WAK_STS, then SLP_TYP and SLP_EN in one write.
  Write(AcpiPm::kSleepStatus, 0x80);
  EXPECT_EQ(power_offs_, 0);
  Write(AcpiPm::kSleepControl, kSoftOff << 2 | 0x20);
  EXPECT_EQ(power_offs_, 1);
  EXPECT_EQ(resets_, 0);
}

TEST_F(AcpiPmTest, WithoutSleepEnableNothingHappens) {
  Write(AcpiPm::kSleepControl, kSoftOff << 2);
  Write(AcpiPm::kSleepControl, static_cast<uint8_t>(~0x20));
  EXPECT_EQ(power_offs_, 0);
  EXPECT_EQ(Read(AcpiPm::kSleepStatus), 0);
}

TEST_F(AcpiPmTest, SleepTypeReadsBackAndSleepEnableReadsZero) {
  Write(AcpiPm::kSleepControl, kSoftOff << 2 | 0x20);
  EXPECT_EQ(Read(AcpiPm::kSleepControl), kSoftOff << 2);
  Write(AcpiPm::kSleepControl, 3 << 2);
  EXPECT_EQ(Read(AcpiPm::kSleepControl), 3 << 2);
}

TEST_F(AcpiPmTest, EveryOtherSleepTypeIsLeftAtOnce) {
  for (uint8_t type = 0; type < 8; ++type) {
    if (type == kSoftOff) continue;
    Write(AcpiPm::kSleepStatus, 0x80);
    EXPECT_EQ(Read(AcpiPm::kSleepStatus), 0);
    Write(AcpiPm::kSleepControl, static_cast<uint8_t>(type << 2 | 0x20));
    EXPECT_EQ(Read(AcpiPm::kSleepStatus), 0x80) << "a guest would poll for ever";
    Write(AcpiPm::kSleepStatus, 0x7f);
    EXPECT_EQ(Read(AcpiPm::kSleepStatus), 0x80) << "cleared by writing a one, and only so";
  }
  EXPECT_EQ(power_offs_, 0);
}

TEST_F(AcpiPmTest, OnlyTheResetValueResets) {
  for (int value = 0; value < 256; ++value) {
    if (value != kResetValue) Write(AcpiPm::kReset, static_cast<uint8_t>(value));
  }
  EXPECT_EQ(resets_, 0);
  Write(AcpiPm::kReset, kResetValue);
  EXPECT_EQ(resets_, 1);
  EXPECT_EQ(power_offs_, 0);
  EXPECT_EQ(Read(AcpiPm::kReset), 0);
}

TEST_F(AcpiPmTest, AWideAccessReachesEachRegisterAndNoMore) {
  pm_.Write(AcpiPm::kSleepStatus, std::array<uint8_t, 2>{0, kResetValue});
  EXPECT_EQ(resets_, 1);
  std::array<uint8_t, 4> data{};
  pm_.Read(AcpiPm::kSleepStatus, data);
  EXPECT_EQ(data, (std::array<uint8_t, 4>{0, 0, 0xff, 0xff}));
  pm_.Write(AcpiPm::kSize, std::array<uint8_t, 1>{kResetValue});
  EXPECT_EQ(resets_, 1);
}

}  // namespace
}  // namespace daxvmm::devices
