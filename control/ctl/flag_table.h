// The flags of daxvmmctl.
#ifndef DAXVMM_CONTROL_CTL_FLAG_TABLE_H_
#define DAXVMM_CONTROL_CTL_FLAG_TABLE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "control/ctl/invocation.h"

namespace daxvmm::control {

// What a value may be, for completion.
enum class Values { kAny, kWords, kShares, kPaths, kPolicyNames, kHostFiles };

struct FlagRow {
  std::string name;                 // without the dashes
  std::string value_name;           // empty: takes no value
  std::vector<CommandId> only_for;  // empty: every command takes it
  std::string help;
  std::function<absl::Status(absl::string_view value, Invocation* line)> set;
  Values values = Values::kAny;
  std::vector<std::string> words = {};  // of kWords
  bool value_is_optional = false;       // as in FlagSpec
};

// Every flag, in the order of the help. A name may come twice with different commands: that of a command stands above
// the one of all.
const std::vector<FlagRow>& Flags();

// The row that `name` means for `command`; nullptr if that does not take it.
const FlagRow* FlagOf(const std::string& name, CommandId command);

// The parts that Flags() is made of.
std::vector<FlagRow> CommonFlags();
std::vector<FlagRow> PolicyFlags();
std::vector<FlagRow> ListFlags();
std::vector<FlagRow> MachineFlags();

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_FLAG_TABLE_H_
