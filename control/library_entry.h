// What the entry points of the loaded libraries have in common: the library's side of control/library.h.
#ifndef DAXVMM_CONTROL_LIBRARY_ENTRY_H_
#define DAXVMM_CONTROL_LIBRARY_ENTRY_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace daxvmm::control {

// From now on this library's log lines go to the program, which says from which level on.
void ForwardLog(void (*log)(uint32_t level, const char* line), uint32_t level);

// Puts the message into `error`; the code, for the caller to return.
int FailWith(const absl::Status& status, char* error, size_t error_size);

// FAILED_PRECONDITION for a program of another build.
absl::Status OtherBuild(uint32_t version, uint32_t program_version);

// 0, or OtherBuild in `error`. The version stands first for ever, in all arguments: nothing else may be read before it
// is known.
template <typename Args>
int CheckBuild(const Args& args, uint32_t version, uint64_t layout, char* error, size_t error_size) {
  if (args.abi_version == version && args.layout == layout) return 0;
  return FailWith(OtherBuild(version, args.abi_version), error, error_size);
}

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_LIBRARY_ENTRY_H_
