#include "base/error_reason.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ErrorReason, IsCarriedBesideTheText) {
  const absl::Status status =
      WithReason(absl::AbortedError("text"), "STALE", {{"a", "1"}, {"b", std::string(99, 'b')}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(std::string(status.message()), "text");
  EXPECT_EQ(ReasonOf(status), "STALE");
  EXPECT_THAT(FactsOfReason(status), ElementsAre(Pair("a", "1"), Pair("b", std::string(99, 'b'))));
}

TEST(ErrorReason, TheFirstOneStays) {
  absl::Status status = WithReason(absl::AbortedError("text"), "STALE", {{"a", "1"}});
  status = WithReason(std::move(status), "OTHER", {{"b", "2"}});
  EXPECT_EQ(ReasonOf(status), "STALE");
  EXPECT_THAT(FactsOfReason(status), ElementsAre(Pair("a", "1")));
}

TEST(ErrorReason, NoneWithoutOneOrWithoutAnError) {
  EXPECT_EQ(ReasonOf(absl::AbortedError("text")), "");
  EXPECT_THAT(FactsOfReason(absl::AbortedError("text")), IsEmpty());
  EXPECT_TRUE(WithReason(absl::OkStatus(), "STALE").ok());
  EXPECT_EQ(ReasonOf(WithReason(absl::OkStatus(), "STALE")), "");
}

}  // namespace
}  // namespace daxvmm
