// Aligned columns for a terminal.
#ifndef DAXVMM_CONTROL_CTL_TEXT_TABLE_H_
#define DAXVMM_CONTROL_CTL_TEXT_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace daxvmm::control {

enum class Align { kLeft, kRight };

struct Column {
  std::string heading;
  Align align = Align::kLeft;
};

class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns; an empty cell shows as "-".
  void AddRow(std::vector<std::string> cells);
  // The heading and the rows, two spaces between columns, no space at the end of a line.
  std::string Render() const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Control characters as \xNN: a guest picks the names of its files, and a terminal obeys what it is shown.
// `text` is UTF-8.
std::string EscapeForTerminal(absl::string_view text);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_TEXT_TABLE_H_
