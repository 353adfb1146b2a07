#include "control/ctl/top/check_terminal.h"

// Apart from the rest of the screen, since <term.h> makes macros of common words.
#define NCURSES_NOMACROS 1
#include <ncurses.h>
#include <term.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::control::top {
namespace {

constexpr absl::string_view kInstead = "; `daxvmmctl watch` and `daxvmmctl window` print lines instead";

}  // namespace

absl::Status CheckTerminal() {
  for (const auto& [fd, name] :
       {std::pair(STDIN_FILENO, "standard input"), std::pair(STDOUT_FILENO, "standard output")}) {
    if (isatty(fd) != 1) return absl::InvalidArgumentError(absl::StrCat("top: ", name, " is not a terminal", kInstead));
  }
  const char* const term = std::getenv("TERM");
  if (term == nullptr || *term == '\0')
    return absl::InvalidArgumentError(absl::StrCat("top: TERM is not set", kInstead));
  int error = 0;
  if (setupterm(term, STDOUT_FILENO, &error) != OK) {
    return absl::InvalidArgumentError(absl::StrCat("top: TERM: the terminal \"", term, "\" is not known", kInstead));
  }
  const char* const move = tigetstr("cup");
  const bool able = move != nullptr && move != reinterpret_cast<const char*>(-1);
  del_curterm(cur_term);
  if (!able) {
    return absl::InvalidArgumentError(
        absl::StrCat("top: TERM: the terminal \"", term, "\" cannot move its cursor", kInstead));
  }
  return absl::OkStatus();
}

}  // namespace daxvmm::control::top
