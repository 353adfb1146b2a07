#include "devices/virtio_fs/dax/policy_names.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

using ::testing::HasSubstr;

TEST(PolicyNamesTest, EachIsUnderstoodAndMakesAValidPolicyOfItsOwn) {
  std::vector<Policy> policies;
  for (const PolicyName& name : PolicyNames()) {
    const std::string text = absl::StrReplaceAll(name.spelling, {{"SIZE", "64K"}});
    const absl::StatusOr<Policy> policy = ParsePolicyName(text);
    ASSERT_TRUE(policy.ok()) << policy.status();
    EXPECT_TRUE(Validate(*policy).ok()) << Validate(*policy);
    for (const Policy& other : policies) EXPECT_NE(*policy, other) << name.spelling;
    policies.push_back(*policy);
    EXPECT_FALSE(name.meaning.empty());
    EXPECT_THAT(PolicyNamesInWords(), HasSubstr(std::string(name.spelling)));
  }
  EXPECT_EQ(policies.size(), 7u);
}

TEST(PolicyNamesTest, TheListInWordsIsWhatErrorsSay) {
  EXPECT_EQ(PolicyNamesInWords(), "never, always, size, size:SIZE, inode, executables-and-libraries or adaptive");
  EXPECT_THAT(std::string(ParsePolicyName("sometimes").status().message()), HasSubstr(PolicyNamesInWords()));
}

TEST(PolicyNamesTest, OutcomesHaveNames) {
  std::set<absl::string_view> names;
  for (const Outcome outcome : {Outcome::kDax, Outcome::kNoDax, Outcome::kFollowHint, Outcome::kAdaptive}) {
    names.insert(OutcomeName(outcome));
  }
  EXPECT_EQ(names, (std::set<absl::string_view>{"dax", "no-dax", "follow-hint", "adaptive"}));
}

}  // namespace
}  // namespace daxvmm::dax
