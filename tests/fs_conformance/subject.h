// What the cases run against.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_SUBJECT_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_SUBJECT_H_

#include "tests/fs_conformance/volume.h"

namespace daxvmm::conformance {

enum class Subject { kReference, kInProcess };

// Whether the case makes sense on the subject: without a kernel in between, some do not.
inline bool Applies(const Case& test_case, Subject subject) {
  return subject != Subject::kInProcess || (test_case.needs & kKernel) == 0;
}

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_SUBJECT_H_
