// The flags of `machine` and `events`.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/flag_values.h"
#include "control/ctl/output.h"

namespace daxvmm::control {
namespace {

using Id = CommandId;

// As the contract names them: a new kind needs no line here.
std::vector<std::string> KindWords() {
  std::vector<std::string> words;
  for (int kind = v1::Event::Kind_MIN + 1; kind <= v1::Event::Kind_MAX; ++kind) {
    if (v1::Event::Kind_IsValid(kind)) words.push_back(EventKindText(static_cast<v1::Event::Kind>(kind)));
  }
  return words;
}

absl::StatusOr<v1::Event::Kind> ParseKind(absl::string_view word) {
  for (int kind = v1::Event::Kind_MIN + 1; kind <= v1::Event::Kind_MAX; ++kind) {
    if (!v1::Event::Kind_IsValid(kind)) continue;
    if (word == EventKindText(static_cast<v1::Event::Kind>(kind))) return static_cast<v1::Event::Kind>(kind);
  }
  return NoSuchChoice(word, KindWords());
}

}  // namespace

std::vector<FlagRow> MachineFlags() {
  return {
      {"timeout",
       "SECONDS",
       {Id::kMachineShutdown},
       "how long the guest may take before it is ended by force, 0 to 86400; default: what --shutdown-timeout of\n"
       "daxvmm says",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->shutdown_timeout, ParseSeconds(value, 0, 86400));
         return absl::OkStatus();
       }},
      {"force",
       "",
       {Id::kMachineShutdown},
       "do not ask the guest: end it at once",
       [](absl::string_view, Invocation* line) {
         line->force = true;
         return absl::OkStatus();
       }},
      {"wait",
       "",
       {Id::kMachineShutdown},
       "wait until the machine has ended, and show what happens meanwhile",
       [](absl::string_view, Invocation* line) {
         line->wait = true;
         return absl::OkStatus();
       }},
      {"follow",
       "",
       {Id::kEvents, Id::kMachineConsole},
       "go on with what is to come, until the machine ends",
       [](absl::string_view, Invocation* line) {
         line->follow = true;
         return absl::OkStatus();
       }},
      {"since",
       "TIME",
       {Id::kEvents},
       "only events of the last 90s, 15m, 12h or 7d",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->events.since, ParseSpan(value));
         return absl::OkStatus();
       }},
      {"after",
       "N",
       {Id::kEvents},
       "only events behind the one with this number",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->events.after, ParseWholeNumber(value, "the number of an event"));
         return absl::OkStatus();
       }},
      {"kind",
       "KIND",
       {Id::kEvents},
       "only events of this kind: " + JoinChoices(KindWords()) + ".\nMay be given again, or as a list with commas",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         for (const absl::string_view word : absl::StrSplit(value, ',')) {
           ASSIGN_OR_RETURN(const v1::Event::Kind kind, ParseKind(word));
           line->events.kinds.push_back(kind);
         }
         return absl::OkStatus();
       },
       Values::kWords,
       KindWords()},
      {"offset",
       "N",
       {Id::kMachineConsole},
       "begin with this byte of all that the console has shown, from 0",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->offset, ParseWholeNumber(value, "an offset"));
         return absl::OkStatus();
       }},
      {"escape",
       "",
       {Id::kMachineConsole},
       "show control characters but tab and newline as \\xNN: a guest may write what a terminal obeys",
       [](absl::string_view, Invocation* line) {
         line->escape = true;
         return absl::OkStatus();
       }},
  };
}

}  // namespace daxvmm::control
