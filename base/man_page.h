// Manual pages out of the same tables as the help texts.
#ifndef DAXVMM_BASE_MAN_PAGE_H_
#define DAXVMM_BASE_MAN_PAGE_H_

#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/command_line.h"

namespace daxvmm {

// All texts are those of a terminal: paragraphs stand between empty lines and are filled anew, a line that begins with
// a space, or has two in a row (a table), stays as it is, and what stands in `backquotes` is shown bold. Any byte but
// NUL may be in them; none is taken for a command of the formatter.

// A term, and below it what it means: a flag, an exit status.
struct ManItem {
  std::string term;
  std::string text;
};

struct ManSection {
  std::string title;
  std::string text;
  std::vector<ManItem> items;           // behind the text
  std::vector<ManSection> subsections;  // behind the items; theirs are not shown
};

// Of section 1, programs.
struct ManPage {
  std::string name;                   // "daxvmmctl"
  std::string summary;                // one line, without a full stop
  std::vector<std::string> synopsis;  // "daxvmmctl [FLAGS] COMMAND": a line each
  std::vector<ManSection> sections;   // behind NAME and SYNOPSIS
};

// The page in roff, for the macros man(7). The same page gives the same bytes: there is no date in it.
std::string RenderManPage(const ManPage& page);

// The flags as items: "--output FORMAT" and its help.
std::vector<ManItem> ManItems(std::span<const FlagSpec> flags);

}  // namespace daxvmm

#endif  // DAXVMM_BASE_MAN_PAGE_H_
