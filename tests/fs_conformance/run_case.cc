#include "tests/fs_conformance/run_case.h"

#include <iterator>

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

namespace daxvmm::conformance {
namespace {

struct KnownDifference {
  Subject subject;
  const char* name;  // of the case
  const char* reason;
};

constexpr KnownDifference kKnownDifferences[] = {
    {Subject::kMounted, "", ""},
};

const char* ReasonOf(const Case& test_case, Subject subject) {
  for (const KnownDifference& known : kKnownDifferences) {
    if (known.subject == subject && test_case.name == known.name) return known.reason;
  }
  return nullptr;
}

}  // namespace

bool Applies(const Case& test_case, Subject subject) {
  return subject != Subject::kInProcess || (test_case.needs & kKernel) == 0;
}

void RunCase(const Case& test_case, Subject subject, Volume& v) {
  const char* const reason = ReasonOf(test_case, subject);
  if (reason == nullptr) {
    test_case.run(v);
    return;
  }
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    test_case.run(v);
  }
  bool failed = false;
  for (int i = 0; i < results.size(); ++i) failed |= results.GetTestPartResult(i).failed();
  if (failed) GTEST_SKIP() << "known difference: " << reason;
  ADD_FAILURE() << "passes, and stands on the list of known differences";
}

}  // namespace daxvmm::conformance
