// A small command-line parser: a table of flags, their help text made from the same table, and errors of one line that
// name the flag at fault.
#ifndef DAXVMM_BASE_COMMAND_LINE_H_
#define DAXVMM_BASE_COMMAND_LINE_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace daxvmm {

struct FlagSpec {
  std::string name;     // without dashes; one letter is spelled "-o", more "--output"
  std::string metavar;  // "SIZE"; empty: a switch that takes no value
  std::string help;     // one or more lines; the help text indents them
  // Takes the value ("" for a switch). An error is reported as "--name: message".
  std::function<absl::Status(absl::string_view value)> set;
  // The value may be left out ("" then), and is given as "--name=value" only.
  bool value_is_optional = false;
};

// Handles "--name value", "--name=value" and "-n value", calls the setters in order, and gives back what is no flag.
// All that follows "--" is no flag; a lone "-" is none either. INVALID_ARGUMENT for an unknown flag (with the nearest
// one, if one is near), a missing or a needless value, or a setter's error.
absl::StatusOr<std::vector<std::string>> ParseFlags(std::span<const FlagSpec> flags,
                                                    std::span<const char* const> arguments);

// "--output FORMAT", "-o FORMAT", "--watch[=SECONDS]", "--force".
std::string FlagTerm(const FlagSpec& flag);

// The flags, each with its metavar, and its help indented below.
std::string DescribeFlags(std::span<const FlagSpec> flags);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_COMMAND_LINE_H_
