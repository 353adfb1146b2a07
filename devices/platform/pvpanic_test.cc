#include "devices/platform/pvpanic.h"

#include <array>

#include "base/log.h"
#include "gtest/gtest.h"

namespace daxvmm::devices {
namespace {

class PvpanicTest : public testing::Test {
 protected:
  PvpanicTest() {
    SetLogSink([](LogLevel, const char*, void* lines) { ++*static_cast<int*>(lines); }, &log_lines_);
  }
  ~PvpanicTest() override { SetLogSink(nullptr, nullptr); }
  void Write(uint64_t offset, uint8_t value) { device_.Write(offset, std::array<uint8_t, 1>{value}); }

  int log_lines_ = 0;
  int panics_ = 0;
  Pvpanic device_{[this] { ++panics_; }};
};

TEST_F(PvpanicTest, NamesTheEventsThatItKnows) {
  std::array<uint8_t, 1> data{};
  device_.Read(0, data);
  EXPECT_EQ(data[0], 0x03);
  std::array<uint8_t, 2> wide{};
  device_.Read(0, wide);
  EXPECT_EQ(wide, (std::array<uint8_t, 2>{0x03, 0xff}));
  device_.Read(1, data);
  EXPECT_EQ(data[0], 0xff);
}

TEST_F(PvpanicTest, APanicIsReported) {
  Write(0, 0x01);
  EXPECT_EQ(panics_, 1);
  EXPECT_EQ(log_lines_, 0) << "whoever asked to be told says what there is to say";
}

TEST_F(PvpanicTest, ACrashKernelIsOnlyLogged) {
  Write(0, 0x02);
  EXPECT_EQ(panics_, 0);
  EXPECT_EQ(log_lines_, 1);
}

TEST_F(PvpanicTest, UnknownEventsAreIgnored) {
  Write(0, 0x00);
  Write(0, 0xfc);
  Write(1, 0x01);
  EXPECT_EQ(panics_, 0);
  EXPECT_EQ(log_lines_, 0);
}

TEST_F(PvpanicTest, AGuestCannotFloodTheLog) {
  for (int i = 0; i < 10'000; ++i) Write(0, 0x02);
  EXPECT_LE(log_lines_, 20);
}

}  // namespace
}  // namespace daxvmm::devices
