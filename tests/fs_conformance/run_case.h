// Runs one case, with the list of what is known not to hold.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_RUN_CASE_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_RUN_CASE_H_

#include "tests/fs_conformance/volume.h"

namespace daxvmm::conformance {

enum class Subject { kReference, kInProcess, kMounted };

// Whether the case makes sense on the subject: without a kernel in between, some do not.
bool Applies(const Case& test_case, Subject subject);

// Fails the current test as the case says, unless the difference is a known one: then the test is skipped with its
// reason, and fails if the case has passed, so that the list can only shrink. The reference has no known differences.
void RunCase(const Case& test_case, Subject subject, Volume& v);

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_RUN_CASE_H_
