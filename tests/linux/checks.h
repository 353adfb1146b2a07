// What the cases of ring 5 have in common.
#ifndef DAXVMM_TESTS_LINUX_CHECKS_H_
#define DAXVMM_TESTS_LINUX_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "tests/linux/machine.h"

namespace daxvmm::linux_test {

#define ASSERT_OK(expression)                                           \
  do {                                                                  \
    const absl::Status ok_status_ = (expression);                       \
    ASSERT_TRUE(ok_status_.ok()) << std::string(ok_status_.ToString()); \
  } while (false)

template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}

// Ends the program with status 2 if a flag lacks its value.
const Environment& TestEnvironment();

}  // namespace daxvmm::linux_test

#endif  // DAXVMM_TESTS_LINUX_CHECKS_H_
