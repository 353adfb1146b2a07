#include "base/command_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/suggest.h"

namespace daxvmm {
namespace {

std::string Spelled(const std::string& name) { return absl::StrCat(name.size() == 1 ? "-" : "--", name); }

const FlagSpec* Find(std::span<const FlagSpec> flags, absl::string_view spelled) {
  for (const FlagSpec& flag : flags) {
    if (Spelled(flag.name) == spelled) return &flag;
  }
  return nullptr;
}

std::string NoSuchFlag(std::span<const FlagSpec> flags, absl::string_view spelled) {
  std::vector<std::string> names;
  for (const FlagSpec& flag : flags) names.push_back(Spelled(flag.name));
  return absl::StrCat(spelled, ": there is no such flag", DidYouMean(spelled, names));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseFlags(std::span<const FlagSpec> flags,
                                                    std::span<const char* const> arguments) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    if (argument == "--") {
      rest.insert(rest.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      rest.emplace_back(argument);
      continue;
    }
    const size_t equals = argument[1] == '-' ? argument.find('=') : absl::string_view::npos;
    const absl::string_view spelled = argument.substr(0, equals);
    const FlagSpec* flag = Find(flags, spelled);
    if (flag == nullptr) return absl::InvalidArgumentError(NoSuchFlag(flags, spelled));
    absl::string_view value;
    if (flag->metavar.empty()) {
      if (equals != absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat(spelled, ": takes no value"));
      }
    } else if (equals != absl::string_view::npos) {
      value = argument.substr(equals + 1);
    } else if (flag->value_is_optional) {
      value = "";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(spelled, ": needs a value: ", flag->metavar));
    }
    if (absl::Status status = flag->set(value); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(spelled, ": ", status.message()));
    }
  }
  return rest;
}

std::string FlagTerm(const FlagSpec& flag) {
  const std::string name = Spelled(flag.name);
  if (flag.value_is_optional) return absl::StrCat(name, "[=", flag.metavar, "]");
  return absl::StrCat(name, flag.metavar.empty() ? "" : " ", flag.metavar);
}

std::string DescribeFlags(std::span<const FlagSpec> flags) {
  std::string text;
  for (const FlagSpec& flag : flags) {
    absl::StrAppend(&text, "  ", FlagTerm(flag), "\n");
    for (absl::string_view line : absl::StrSplit(flag.help, '\n')) absl::StrAppend(&text, "      ", line, "\n");
  }
  return text;
}

}  // namespace daxvmm
