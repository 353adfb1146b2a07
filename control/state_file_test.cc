#include "control/state_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::HasSubstr;

constexpr char kBody[] = "generation: 7\npolicy {\n  default_outcome: OUTCOME_DAX\n}\n";

std::string WhyBad(absl::string_view file) {
  const auto body = UnframeState(file);
  EXPECT_EQ(body.status().code(), absl::StatusCode::kDataLoss) << file;
  return std::string(body.status().message());
}

TEST(StateFileTest, TheFormatStays) {
  EXPECT_EQ(FrameState("123456789"), "daxvmm-policy-state 1 0000000009 e3069283\n123456789");
  EXPECT_EQ(*UnframeState("daxvmm-policy-state 1 0000000009 e3069283\n123456789"), "123456789");
  EXPECT_EQ(*UnframeState(FrameState("")), "");
}

TEST(StateFileTest, EveryPrefixIsRefused) {
  const std::string file = FrameState(kBody);
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_THAT(WhyBad(absl::string_view(file).substr(0, length)), HasSubstr("torn")) << length;
  }
}

TEST(StateFileTest, EveryFlippedBitIsRefused) {
  const std::string file = FrameState(kBody);
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(UnframeState(flipped).ok()) << bit;
  }
}

// A write that was interrupted on a file system that had given the file its length already.
TEST(StateFileTest, EveryTailOfZeroesIsRefused) {
  const std::string file = FrameState(kBody);
  for (size_t length = 0; length < file.size(); ++length) {
    std::string zeroed = file;
    for (size_t i = length; i < zeroed.size(); ++i) zeroed[i] = '\0';
    EXPECT_FALSE(UnframeState(zeroed).ok()) << length;
  }
}

TEST(StateFileTest, SaysWhatIsWrong) {
  EXPECT_THAT(WhyBad(""), HasSubstr("empty"));
  EXPECT_THAT(WhyBad("#!/bin/sh\n"), HasSubstr("not a state file of daxvmm"));
  EXPECT_THAT(WhyBad("daxvmm-policy-state 2 whatever that is"), HasSubstr("of format 2"));
  EXPECT_THAT(WhyBad(FrameState(kBody) + "x"), HasSubstr("behind its end"));
  std::string edited = FrameState(kBody);
  edited.replace(edited.find("DAX"), 3, "dax");
  EXPECT_THAT(WhyBad(edited), HasSubstr("checksum"));
}

}  // namespace
}  // namespace daxvmm::control
