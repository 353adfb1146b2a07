// The flags that every command takes.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/flag_values.h"

namespace daxvmm::control {
namespace {

// A day: longer is a mistake, and far from where a duration stops to fit gRPC's.
constexpr double kMaxTimeoutSeconds = 86400;
constexpr double kMinTimeoutSeconds = 0.001;

constexpr Choice<OutputFormat> kFormats[] = {{"table", OutputFormat::kTable},
                                             {"wide", OutputFormat::kWide},
                                             {"json", OutputFormat::kJson},
                                             {"text", OutputFormat::kText},
                                             {"textproto", OutputFormat::kText}};
constexpr Choice<Coloring> kColorings[] = {
    {"auto", Coloring::kAuto}, {"always", Coloring::kAlways}, {"never", Coloring::kNever}};

absl::Status SetOutput(absl::string_view value, Invocation* line) {
  ASSIGN_OR_RETURN(line->format, ParseChoice<OutputFormat>(value, kFormats));
  return absl::OkStatus();
}

}  // namespace

std::vector<FlagRow> CommonFlags() {
  return {
      {"control",
       "SOCKET",
       {},
       "the machine's control socket; or, with the three flags below, HOST:PORT. Default: $DAXVMM_CONTROL",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->socket); },
       Values::kHostFiles},
      {"tls-ca",
       "FILE",
       {},
       "what the server's certificate must be signed by, in PEM; default $DAXVMM_TLS_CA",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->tls_ca); },
       Values::kHostFiles},
      {"tls-cert",
       "FILE",
       {},
       "our own certificate, in PEM; default $DAXVMM_TLS_CERT",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->tls_cert); },
       Values::kHostFiles},
      {"tls-key",
       "FILE",
       {},
       "and its key; default $DAXVMM_TLS_KEY",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->tls_key); },
       Values::kHostFiles},
      {"output",
       "FORMAT",
       {},
       "table (default), wide (all columns), json (protobuf's JSON mapping of the reply; one object a line for what\n"
       "goes on), or text (the same in protobuf's text format; textproto is another name for it)",
       &SetOutput,
       Values::kWords,
       WordsOf<OutputFormat>(kFormats)},
      {"o", "FORMAT", {}, "the same", &SetOutput, Values::kWords, WordsOf<OutputFormat>(kFormats)},
      {"no-headers",
       "",
       {},
       "tables without their headings and the line above them",
       [](absl::string_view, Invocation* line) {
         line->no_headers = true;
         return absl::OkStatus();
       }},
      {"color",
       "WHEN",
       {},
       "auto (default: on a terminal, unless NO_COLOR is set), always or never",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->color, ParseChoice<Coloring>(value, kColorings));
         return absl::OkStatus();
       },
       Values::kWords,
       WordsOf<Coloring>(kColorings)},
      {"timeout",
       "SECONDS",
       {},
       "give up after this long; default 10. What goes on by itself (`watch`, `events --follow` and the like) goes on\n"
       "until it is done, unless this is given",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->timeout, ParseSeconds(value, kMinTimeoutSeconds, kMaxTimeoutSeconds));
         return absl::OkStatus();
       }},
      {"help",
       "",
       {},
       "show this help, or that of the command",
       [](absl::string_view, Invocation* line) {
         line->help = true;
         return absl::OkStatus();
       }},
      {"version",
       "",
       {},
       "show the version",
       [](absl::string_view, Invocation* line) {
         line->version = true;
         return absl::OkStatus();
       }},
      {"man",
       "",
       {CommandId::kHelp},
       "the manual page, in roff",
       [](absl::string_view, Invocation* line) {
         line->man = true;
         return absl::OkStatus();
       }},
  };
}

const std::vector<FlagRow>& Flags() {
  static const auto* const kFlags = [] {
    auto* all = new std::vector<FlagRow>();
    for (auto part : {PolicyFlags(), ListFlags(), MachineFlags(), CommonFlags()}) {
      all->insert(all->end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    }
    return all;
  }();
  return *kFlags;
}

const FlagRow* FlagOf(const std::string& name, CommandId command) {
  const FlagRow* found = nullptr;
  for (const FlagRow& row : Flags()) {
    if (row.name != name) continue;
    if (std::find(row.only_for.begin(), row.only_for.end(), command) != row.only_for.end()) return &row;
    if (row.only_for.empty()) found = &row;
  }
  return found;
}

}  // namespace daxvmm::control
