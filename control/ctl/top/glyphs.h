// Text by the columns that it takes on a terminal.
//
// wcwidth() decides what takes how many, so the process has to have called setlocale(LC_CTYPE, ...) before. Any thread.
#ifndef DAXVMM_CONTROL_CTL_TOP_GLYPHS_H_
#define DAXVMM_CONTROL_CTL_TOP_GLYPHS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control::top {

// What the terminal can show.
enum class Charset { kAscii, kUtf8 };

// Of the process's locale; kAscii for everything that is not UTF-8.
Charset LocaleCharset();

// `text` with \xNN for every byte that does not belong on a screen: what is no UTF-8, control characters, characters
// that nobody sees (they reorder or hide what stands beside them), and with kAscii whatever is not ASCII.
std::string Printable(absl::string_view text, Charset charset);

// The functions below take what Printable() returns. A \xNN counts as one glyph: it is never cut apart, nor is a
// character from the accents that follow it.

int Columns(absl::string_view text);

// At most `columns` of it; what is cut off is replaced by a mark. The middle one is for paths: the name at the end
// stays whole where that is possible.
std::string CutEnd(absl::string_view text, int columns, Charset charset);
std::string CutMiddle(absl::string_view path, int columns, Charset charset);

// Exactly `columns`: cut at the end or filled with spaces.
std::string Fit(absl::string_view text, int columns, Align align, Charset charset);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_GLYPHS_H_
