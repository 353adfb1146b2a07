#include "control/ctl/view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace daxvmm::control {
namespace {

bool IsSet(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

size_t TerminalWidth() {
  uint32_t columns = 0;
  const char* const variable = std::getenv("COLUMNS");
  if (variable != nullptr && absl::SimpleAtoi(variable, &columns) && columns > 0) return columns;
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool WantsColor(Coloring coloring, bool terminal) {
  if (coloring != Coloring::kAuto) return coloring == Coloring::kAlways;
  const char* const kind = std::getenv("TERM");
  return terminal && !IsSet("NO_COLOR") && (kind == nullptr || std::strcmp(kind, "dumb") != 0);
}

}  // namespace

View ViewOf(const Invocation& line, absl::Time now) {
  View view = {.wide = line.format == OutputFormat::kWide, .headings = !line.no_headers, .now = now};
  view.terminal = isatty(STDOUT_FILENO) == 1;
  view.color = WantsColor(line.color, view.terminal);
  view.width = view.terminal && !view.wide ? TerminalWidth() : 0;
  return view;
}

std::string Paint(absl::string_view text, Tone tone, bool color) {
  if (!color || text.empty()) return std::string(text);
  switch (tone) {
    case Tone::kPlain:
      return std::string(text);
    case Tone::kGood:
      return absl::StrCat("\x1b[32m", text, "\x1b[0m");
    case Tone::kWait:
      return absl::StrCat("\x1b[33m", text, "\x1b[0m");
    case Tone::kBad:
      return absl::StrCat("\x1b[31m", text, "\x1b[0m");
    case Tone::kDim:
      return absl::StrCat("\x1b[2m", text, "\x1b[0m");
    case Tone::kStrong:
      return absl::StrCat("\x1b[1m", text, "\x1b[0m");
  }
  return std::string(text);
}

}  // namespace daxvmm::control
