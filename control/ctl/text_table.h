// Aligned columns for a terminal.
#ifndef DAXVMM_CONTROL_CTL_TEXT_TABLE_H_
#define DAXVMM_CONTROL_CTL_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "control/ctl/view.h"

namespace daxvmm::control {

enum class Align { kLeft, kRight };

struct Column {
  std::string heading;
  Align align = Align::kLeft;
  // Left out where there is no room, the largest first; 0: never.
  int spare = 0;
  // Cut in its middle where there is no room.
  bool cut = false;
};

struct Cell {
  Cell(std::string text, Tone tone = Tone::kPlain) : text(std::move(text)), tone(tone) {}  // NOLINT: a text is a cell
  Cell(const char* text, Tone tone = Tone::kPlain) : text(text), tone(tone) {}             // NOLINT: so is this one

  std::string text;
  Tone tone;
};

// Used by one thread.
class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)), widths_(columns_.size(), 0) {}

  // As many cells as there are columns; an empty cell shows as "-". Control characters are shown as \xNN.
  void AddRow(std::vector<Cell> cells);
  // The rows that were added since the last call, with the headings above the first ones: two spaces between columns,
  // no space at the end of a line. What fits `view` is decided by the first call; columns become wider later, and never
  // narrower.
  std::string Render(const View& view);

 private:
  void Fit(size_t room);
  std::string Line(const std::vector<Cell>& cells, bool color) const;

  const std::vector<Column> columns_;
  std::vector<size_t> widths_;
  std::vector<bool> shown_;  // once something was rendered
  std::vector<std::vector<Cell>> rows_;
};

// Control characters as \xNN: a guest picks the names of its files, and a terminal obeys what it is shown.
// `text` is UTF-8.
std::string EscapeForTerminal(absl::string_view text);

// At most `width` characters: the beginning, a "…", and a longer end, since the end of a path is its name.
std::string CutMiddle(const std::string& text, size_t width);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_TEXT_TABLE_H_
