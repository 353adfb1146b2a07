#include "devices/virtio_fs/dax/policy_change_text.h"

#include <string>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

Rule Named(const std::string& name) { return Rule{.name = name, .outcome = Outcome::kDax}; }

TEST(PolicyChangeText, SaysWhatIsDifferent) {
  const Policy from{.rules = {Named("a"), Named("b")}};
  EXPECT_EQ(DescribePolicyChange(from, from), "nothing");
  EXPECT_EQ(DescribePolicyChange(from, {.rules = {Named("b"), Named("a")}}), "rules (reordered)");
  EXPECT_EQ(DescribePolicyChange(from, {.rules = {Named("a"), Named("c"), Named("b")}}), "rules 2 -> 3 (added c)");
  Policy to = from;
  to.rules[0].executable = true;
  to.default_outcome = Outcome::kDax;
  to.enforcement = Enforcement::kDeny;
  EXPECT_EQ(DescribePolicyChange(from, to), "rules (changed a), default no-dax -> dax, enforcement advisory -> deny");
  EXPECT_EQ(DescribePolicyChange(from, {.rules = {Named("x")}}), "rules 2 -> 1 (added x; removed a, b)");
}

TEST(PolicyChangeText, NamesAFewOnly) {
  Policy many;
  for (int i = 0; i < 1000; ++i) many.rules.push_back(Named("r" + std::to_string(i)));
  EXPECT_EQ(DescribePolicyChange({}, many), "rules 0 -> 1000 (added r0, r1, r2 and 997 more)");
}

TEST(PolicyChangeText, Overrides) {
  Override one{.share_tag = "data", .file = "lib/a", .dax = true};
  EXPECT_EQ(DescribeOverrideChange(nullptr, &one), "override of data:lib/a: none -> dax");
  Override other = one;
  other.dax = false;
  other.expires_at = absl::FromUnixSeconds(0);
  EXPECT_EQ(DescribeOverrideChange(&one, &other), "override of data:lib/a: dax -> no-dax until 1970-01-01T00:00:00Z");
  one.file = NodeId(7);
  EXPECT_EQ(DescribeOverrideChange(&one, nullptr), "override of data:node 7: dax -> none");
  one.file = std::string(4000, 'x');
  EXPECT_LT(DescribeOverrideChange(&one, nullptr).size(), 400u);
}

}  // namespace
}  // namespace daxvmm::dax
