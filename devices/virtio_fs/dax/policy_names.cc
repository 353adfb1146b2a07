#include "devices/virtio_fs/dax/policy_names.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/size_text.h"

namespace daxvmm::dax {
namespace {

Rule FilesOf(std::string name, ByteCount at_least) {
  Rule rule;
  rule.name = std::move(name);
  rule.size_at_least = at_least;
  rule.outcome = Outcome::kDax;
  return rule;
}

std::optional<Policy> WithDefault(Outcome outcome) { return Policy{.rules = {}, .default_outcome = outcome}; }

std::optional<Policy> FromSize(ByteCount threshold) { return Policy{.rules = {FilesOf("size", threshold)}}; }

std::optional<Policy> FromSizeText(absl::string_view text) {
  const absl::StatusOr<ByteCount> threshold = ParseSize(text);
  return threshold.ok() ? FromSize(*threshold) : std::nullopt;
}

// What many guests map at the same time, and what is mapped for long.
std::optional<Policy> ExecutablesAndLibraries() {
  Rule executables = FilesOf("executables", kDefaultSizeThreshold);
  executables.executable = true;
  // A library needs no execute bit.
  Rule libraries = FilesOf("libraries", kDefaultSizeThreshold);
  libraries.paths = {"**/*.so", "**/*.so.*"};
  return Policy{.rules = {std::move(executables), std::move(libraries)}};
}

struct Entry {
  PolicyName name;
  absl::string_view prefix;  // what stands in front of the argument; all of the name if it takes none
  // nullopt: `argument` is wrong.
  std::optional<Policy> (*make)(absl::string_view argument);
};

// The one table of names: parsing, errors and help come from it.
constexpr std::array<Entry, 7> kEntries = {{
    {{"never", "no file"}, "never", [](absl::string_view) { return WithDefault(Outcome::kNoDax); }},
    {{"always", "every regular file"}, "always", [](absl::string_view) { return WithDefault(Outcome::kDax); }},
    {{"size", "files of at least 32 KiB"}, "size", [](absl::string_view) { return FromSize(kDefaultSizeThreshold); }},
    {{"size:SIZE", "files of at least SIZE, as in size:64K"}, "size:", FromSizeText},
    {{"inode", "files whose persistent DAX hint is set (chattr +x)"},
     "inode",
     [](absl::string_view) { return WithDefault(Outcome::kFollowHint); }},
    {{"executables-and-libraries", "programs (some execute bit) and libraries (*.so, *.so.*) of at least 32 KiB"},
     "executables-and-libraries",
     [](absl::string_view) { return ExecutablesAndLibraries(); }},
    {{"adaptive", "files that are worth it by how the guest uses them"},
     "adaptive",
     [](absl::string_view) { return WithDefault(Outcome::kAdaptive); }},
}};

bool TakesArgument(const Entry& entry) { return entry.prefix != entry.name.spelling; }

}  // namespace

std::vector<PolicyName> PolicyNames() {
  std::vector<PolicyName> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  return names;
}

std::string PolicyNamesInWords() {
  std::string words;
  for (size_t i = 0; i < kEntries.size(); ++i) {
    const absl::string_view separator = i == 0 ? "" : i + 1 == kEntries.size() ? " or " : ", ";
    absl::StrAppend(&words, separator, kEntries[i].name.spelling);
  }
  return words;
}

absl::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDax:
      return "dax";
    case Outcome::kNoDax:
      return "no-dax";
    case Outcome::kFollowHint:
      return "follow-hint";
    case Outcome::kAdaptive:
      return "adaptive";
  }
  return "unknown";
}

absl::StatusOr<Policy> ParsePolicyName(absl::string_view text) {
  for (const Entry& entry : kEntries) {
    std::optional<Policy> policy;
    if (!TakesArgument(entry)) {
      if (text == entry.prefix) policy = entry.make("");
    } else if (absl::StartsWith(text, entry.prefix)) {
      policy = entry.make(text.substr(entry.prefix.size()));
    }
    if (policy.has_value()) return *std::move(policy);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown policy \"", text, "\": must be ", PolicyNamesInWords(), " (SIZE as in 65536, 64K or 1M)"));
}

Policy DefaultPolicy() { return *FromSize(kDefaultSizeThreshold); }

}  // namespace daxvmm::dax
