// A screen as a value: lines of styled text. What draws it knows ncurses, what makes it does not.
#ifndef DAXVMM_CONTROL_CTL_TOP_FRAME_H_
#define DAXVMM_CONTROL_CTL_TOP_FRAME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "control/ctl/top/glyphs.h"

namespace daxvmm::control::top {

enum class Ink : uint8_t { kPlain, kGood, kNotice, kBad, kTitle, kFaint, kFile };

struct Style {
  Ink ink = Ink::kPlain;
  uint8_t letter = 0;  // with kFile: which of the lettered files, from 0
  bool bold = false;
  bool reverse = false;

  bool operator==(const Style&) const = default;
};

struct Span {
  std::string text;  // as Printable() returns it
  Style style;
};

// One line, built from left to right. Never longer than its width.
class Line {
 public:
  Line(int width, Charset charset) : width_(width), charset_(charset) {}

  // Adds as much of `text` as there is room for; what is cut is marked. `text` is made printable.
  Line& Add(absl::string_view text, Style style = {});
  // Fills with spaces so that the next text begins at `column`, counted from 0.
  Line& GoTo(int column);
  // Places `text` at the right edge, or leaves it out if there is no room for it and a space before it.
  Line& AtRight(absl::string_view text, Style style = {});
  // Fills the rest of the line and gives its style to that.
  Line& Fill(Style style);

  int used() const { return used_; }
  int room() const { return width_ - used_; }
  const std::vector<Span>& spans() const { return spans_; }
  // Without styles, and without spaces at the end.
  std::string Text() const;

 private:
  int width_;
  int used_ = 0;
  Charset charset_;
  std::vector<Span> spans_;
};

using Frame = std::vector<Line>;

// All lines, each with a newline.
std::string Text(const Frame& frame);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_FRAME_H_
