#include "control/ctl/top/frame.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace daxvmm::control::top {

Line& Line::Add(absl::string_view text, Style style) {
  std::string cut = CutEnd(Printable(text, charset_), room(), charset_);
  if (cut.empty()) return *this;
  used_ += Columns(cut);
  if (!spans_.empty() && spans_.back().style == style) {
    spans_.back().text += cut;
  } else {
    spans_.push_back({std::move(cut), style});
  }
  return *this;
}

Line& Line::GoTo(int column) {
  const int missing = std::min(column, width_) - used_;
  return missing > 0 ? Add(std::string(missing, ' ')) : *this;
}

Line& Line::AtRight(absl::string_view text, Style style) {
  const int columns = Columns(Printable(text, charset_));
  const int start = width_ - columns;
  if (start < used_ + (used_ > 0 ? 1 : 0)) return *this;
  return GoTo(start).Add(text, style);
}

Line& Line::Fill(Style style) { return Add(std::string(std::max(0, room()), ' '), style); }

std::string Line::Text() const {
  std::string text;
  for (const Span& span : spans_) text += span.text;
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string Text(const Frame& frame) {
  std::string text;
  for (const Line& line : frame) absl::StrAppend(&text, line.Text(), "\n");
  return text;
}

}  // namespace daxvmm::control::top
