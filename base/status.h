// Helpers around absl::Status, the channel for errors of the host and of the operator.
#ifndef DAXVMM_BASE_STATUS_H_
#define DAXVMM_BASE_STATUS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm {

// "<what>: <text of err>", with the code that absl::ErrnoToStatus picks. Call it with errno at once after the failure.
absl::Status ErrnoStatus(int err, absl::string_view what);

#define DAXVMM_STATUS_CONCAT_(a, b) a##b
#define DAXVMM_STATUS_CONCAT(a, b) DAXVMM_STATUS_CONCAT_(a, b)

#define RETURN_IF_ERROR(expression)                           \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()); F returns a StatusOr.
#define ASSIGN_OR_RETURN(left, expression) \
  DAXVMM_ASSIGN_OR_RETURN_(DAXVMM_STATUS_CONCAT(statusor_, __LINE__), left, expression)
#define DAXVMM_ASSIGN_OR_RETURN_(tmp, left, expression) \
  auto tmp = (expression);                              \
  if (!tmp.ok()) return std::move(tmp).status();        \
  left = *std::move(tmp)

}  // namespace daxvmm

#endif  // DAXVMM_BASE_STATUS_H_
