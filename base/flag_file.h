// Flags in a file, for programs that are started by a service manager.
#ifndef DAXVMM_BASE_FLAG_FILE_H_
#define DAXVMM_BASE_FLAG_FILE_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/command_line.h"

namespace daxvmm {

// One flag a line, as "name = value", or "name" for a switch: the names of the command line, without dashes. The value
// is the rest of the line as it stands, without the blanks around it: no quotes, no escapes. Empty lines, and lines
// that begin with '#', are left out. Calls the setters in the file's order; INVALID_ARGUMENT as "LINE: name: reason" at
// the first that is wrong, with those before it done.
absl::Status ApplyFlagText(absl::string_view text, std::span<const FlagSpec> flags);

// The same of a file, a regular one of at most 1 MiB; errors begin with its path.
absl::Status ApplyFlagFile(const std::string& path, std::span<const FlagSpec> flags);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_FLAG_FILE_H_
