// How answers are shown: what the terminal and the command line want.
#ifndef DAXVMM_CONTROL_CTL_VIEW_H_
#define DAXVMM_CONTROL_CTL_VIEW_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "control/ctl/invocation.h"

namespace daxvmm::control {

struct View {
  bool wide = false;     // every column
  bool headings = true;  // the headings of tables, and the line above them
  bool color = false;
  bool terminal = false;  // standard output is one
  size_t width = 0;       // columns of the terminal; 0: nothing is left out or cut
  absl::Time now;         // what "3 min ago" counts from
};

// For standard output, with `now`. Colours are on if the command line says so, or on a terminal that is not dumb
// without NO_COLOR. The width is that of COLUMNS, else of the terminal; 0 if it is no terminal, and with `wide`.
View ViewOf(const Invocation& line, absl::Time now);

// What a text is to the reader.
enum class Tone {
  kPlain,
  kGood,    // as it should be
  kWait,    // on its way
  kBad,     // somebody has to look
  kDim,     // does not matter now
  kStrong,  // a heading
};

// `text` in the colour of its tone, if there are colours.
std::string Paint(absl::string_view text, Tone tone, bool color);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_VIEW_H_
