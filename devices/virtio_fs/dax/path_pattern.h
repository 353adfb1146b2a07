// The path conditions of rules, as regular expressions of RE2 over bytes (Latin-1). Each matches a whole path, which is
// relative to the share, has no leading slash, and holds no empty, "." or ".." component.
//
// The language of globs. Names are bytes; upper and lower case differ; a dot at the start of a name is nothing special.
//   *        any number of bytes of one component, also none: "*" does not cross '/'
//   ?        one byte other than '/'
//   **       as a whole component: any number of components, also none. "**/x" is x at any depth, "lib/**" is lib and
//            all below it, "lib/**/x.so" is lib/x.so too. Nowhere else, and not within braces.
//   [...]    one byte of a class: bytes and ranges ("[a-z0-9_]"); '!' or '^' first negates; ']' first, and '-' first or
//            last, stand for themselves; '\' escapes. Never matches '/'.
//   {a,b}    one of the alternatives, which may be empty, contain '/' between other bytes, and nest 8 deep. A ','
//   outside
//            of braces stands for itself.
//   \x       x itself, whatever it is; not '/'.
// Anything else, newlines included, stands for itself; a lone ']' does.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm::dax {

inline constexpr size_t kMaxPatternBytes = 1024;
inline constexpr size_t kMaxPathBytes = 4096;  // PATH_MAX
inline constexpr size_t kMaxBraceDepth = 8;

// INVALID_ARGUMENT, which says what is wrong, unless `path` is 1 to `max_bytes` bytes of the form said above.
absl::Status ValidateRelativePath(absl::string_view path, size_t max_bytes);

// The length of the result is at most proportional to that of the argument. Pure; any thread. INVALID_ARGUMENT, which
// says what is wrong, for what is longer than kMaxPatternBytes or not in the language.
absl::StatusOr<std::string> GlobToRegex(absl::string_view glob);
// Everything below the directory, which is a path and not a glob; not the directory itself.
absl::StatusOr<std::string> SubtreeToRegex(absl::string_view directory);
// Names whose last dot is followed by exactly `extension`, which hence has no dot of its own.
absl::StatusOr<std::string> ExtensionToRegex(absl::string_view extension);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_PATH_PATTERN_H_
