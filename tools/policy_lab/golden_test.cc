// The lab's table for the first seed, in short: a change of the policy, the model or the costs shows here. If it was
// meant, replace testdata/golden.txt by what the failure prints, and record docs/adaptive.json and
// docs/adaptive_curves.json anew.
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tools/policy_lab/lab.h"
#include "tools/policy_lab/workloads.h"

namespace daxvmm::lab {
namespace {

std::vector<LabResult> Results(uint64_t seed, uint32_t length_percent) {
  std::vector<LabResult> results;
  for (const WorkloadName& workload : kWorkloads) {
    const std::optional<Trace> trace = MakeWorkload(workload.name, {.seed = seed, .length_percent = length_percent});
    for (LabResult& result : RunAll(*trace, {"never", "always", "size", "adaptive"}, {})) {
      results.push_back(std::move(result));
    }
  }
  return results;
}

std::string Golden() {
  std::ifstream file("tools/policy_lab/testdata/golden.txt");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(GoldenTest, TheTableIsAsRecorded) {
  const std::vector<LabResult> results = Results(1, 5);
  const std::string table = FormatTable(results);
  EXPECT_EQ(table, Golden()) << "now:\n" << table;
}

TEST(GoldenTest, ARunRepeatsItself) { EXPECT_EQ(FormatTable(Results(5, 2)), FormatTable(Results(5, 2))); }

TEST(GoldenTest, AnotherSeedIsAnotherTrace) { EXPECT_NE(FormatTable(Results(5, 2)), FormatTable(Results(6, 2))); }

// What the policy is for.
TEST(GoldenTest, TheAdaptivePolicyIsNeverMuchWorseThanTheBestFixedOne) {
  const std::string goals = FormatGoals(Results(2, 15));
  EXPECT_EQ(goals.find("MISSES"), std::string::npos) << goals;
}

}  // namespace
}  // namespace daxvmm::lab
