// Sizes as people write them.
#ifndef DAXVMM_BASE_SIZE_TEXT_H_
#define DAXVMM_BASE_SIZE_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace daxvmm {

// "4096", "512K", "64M", "2G", "1T", each also with "iB" behind the letter, in either case; powers of 1024.
// INVALID_ARGUMENT for anything else and for more than 2^63 - 1 bytes.
absl::StatusOr<ByteCount> ParseSize(absl::string_view text);

// The same value in the largest unit that divides it: "2 MiB", "1536 KiB", "17 B".
std::string FormatSize(ByteCount size);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_SIZE_TEXT_H_
