// The flags of `policy`, and those that name one file.
#include <string>
#include <vector>

#include "base/status.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/flag_values.h"

namespace daxvmm::control {
namespace {

using Id = CommandId;

constexpr Choice<PolicyFormat> kPolicyFormats[] = {
    {"textproto", PolicyFormat::kTextproto}, {"text", PolicyFormat::kTextproto}, {"json", PolicyFormat::kJson}};

}  // namespace

std::vector<FlagRow> PolicyFlags() {
  return {
      {"policy-only",
       "",
       {Id::kPolicyGet},
       "with -o json: the policy alone, to be given to `policy set --file`",
       [](absl::string_view, Invocation* line) {
         line->policy_only = true;
         return absl::OkStatus();
       }},
      {"file",
       "FILE",
       {Id::kPolicySet},
       "take the policy from this file, in either form; - is standard input",
       [](absl::string_view value, Invocation* line) {
         line->policy_file.emplace();
         return SetText(value, &*line->policy_file);
       },
       Values::kHostFiles},
      {"format",
       "FORMAT",
       {Id::kPolicySet},
       "textproto or json, of --file; default: as the text begins",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->policy_format, ParseChoice<PolicyFormat>(value, kPolicyFormats));
         return absl::OkStatus();
       },
       Values::kWords,
       WordsOf<PolicyFormat>(kPolicyFormats)},
      {"dry-run",
       "",
       {Id::kPolicySet},
       "change nothing: check the policy, and show which live files it would make DAX and which no more",
       [](absl::string_view, Invocation* line) {
         line->dry_run = true;
         return absl::OkStatus();
       }},
      {"force",
       "",
       {Id::kPolicySet, Id::kPolicyEdit},
       "replace the policy of a watched file too, until that changes again",
       [](absl::string_view, Invocation* line) {
         line->force = true;
         return absl::OkStatus();
       }},
      {"yes",
       "",
       {Id::kPolicyEdit},
       "do not ask before the change is made",
       [](absl::string_view, Invocation* line) {
         line->yes = true;
         return absl::OkStatus();
       }},
      {"expected-generation",
       "N",
       {Id::kPolicySet, Id::kOverrideSet, Id::kOverrideClear},
       "refuse unless this is the generation in force (--expect-generation is the same)",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->expected_generation, ParseWholeNumber(value, "a generation"));
         return absl::OkStatus();
       }},
      {"expect-generation",
       "N",
       {Id::kPolicySet, Id::kOverrideSet, Id::kOverrideClear},
       "the same",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->expected_generation, ParseWholeNumber(value, "a generation"));
         return absl::OkStatus();
       }},
      {"etag",
       "ETAG",
       {Id::kPolicySet, Id::kOverrideSet, Id::kOverrideClear},
       "refuse unless this is the etag in force, as `policy get -o wide` and -o json show it: unlike a generation it "
       "is\n"
       "of this machine alone, and of no other run of it",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->etag); }},
      {"wait",
       "",
       {Id::kPolicySet, Id::kPolicyEdit, Id::kOverrideSet, Id::kOverrideClear},
       "wait until the guest has followed, at most --timeout; status 3 if it has not",
       [](absl::string_view, Invocation* line) {
         line->wait = true;
         return absl::OkStatus();
       }},
      {"share",
       "TAG",
       {Id::kFiles, Id::kWindow, Id::kMappings, Id::kWatch, Id::kTop, Id::kPolicyExplain, Id::kOverrideSet,
        Id::kOverrideClear, Id::kOverrideList},
       "this share; may be left out where a single file is named and the machine has one share only",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->share); },
       Values::kShares},
      {"node",
       "N",
       {Id::kPolicyExplain, Id::kOverrideSet, Id::kOverrideClear, Id::kMappings},
       "the file by its node id, as `files -o wide` shows it, instead of its path",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->node, ParseWholeNumber(value, "a node id"));
         return absl::OkStatus();
       }},
      {"dax",
       "YES|NO",
       {Id::kOverrideSet},
       "yes: the file is DAX; no: it is not. Required",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->dax, ParseYesNo(value));
         return absl::OkStatus();
       },
       Values::kWords,
       {"yes", "no"}},
      {"ttl",
       "TIME",
       {Id::kOverrideSet},
       "the override runs out after this long: 90s, 15m, 12h, 7d",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->ttl, ParseSpan(value));
         return absl::OkStatus();
       }},
      {"note",
       "TEXT",
       {Id::kOverrideSet},
       "free text, at most 256 bytes",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->note); }},
  };
}

}  // namespace daxvmm::control
