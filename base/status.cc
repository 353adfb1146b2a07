#include "base/status.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace daxvmm {

absl::Status ErrnoStatus(int err, absl::string_view what) {
  return absl::Status(absl::ErrnoToStatusCode(err), absl::StrCat(what, ": ", strerror(err)));
}

}  // namespace daxvmm
