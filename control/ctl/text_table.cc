#include "control/ctl/text_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"

namespace daxvmm::control {
namespace {

constexpr size_t kGap = 2;
// A cut column that has as much room is worth more than a spare one.
constexpr size_t kGoodWidth = 32;
constexpr size_t kLeastWidth = 8;

bool BeginsCharacter(char c) { return (c & 0xc0) != 0x80; }

// Code points; wide and combining characters are counted as one each.
size_t Width(const std::string& text) { return std::count_if(text.begin(), text.end(), BeginsCharacter); }

}  // namespace

std::string CutMiddle(const std::string& text, size_t width) {
  const size_t length = Width(text);
  if (length <= width || width == 0) return text;
  const size_t head = (width - 1) / 3;
  const size_t tail = width - 1 - head;
  std::string out;
  size_t at = 0;
  for (const char c : text) {
    at += BeginsCharacter(c) ? 1 : 0;
    if (at == head + 1 && BeginsCharacter(c)) out += "…";
    if (at <= head || at > length - tail) out += c;
  }
  return out;
}

void TextTable::AddRow(std::vector<Cell> cells) {
  CHECK(cells.size() == columns_.size());
  for (Cell& cell : cells) cell.text = cell.text.empty() ? "-" : EscapeForTerminal(cell.text);
  rows_.push_back(std::move(cells));
}

// Leaves out columns, and then takes what is missing from the one that may be cut.
void TextTable::Fit(size_t room) {
  shown_.assign(columns_.size(), true);
  if (room == 0) return;
  size_t total = 0;
  size_t* cut = nullptr;
  for (size_t i = 0; i < columns_.size(); ++i) {
    total += widths_[i] + (i == 0 ? 0 : kGap);
    if (columns_[i].cut) cut = &widths_[i];
  }
  const size_t can_give = cut == nullptr ? 0 : *cut - std::min(*cut, kGoodWidth);
  while (total > room + can_give) {
    size_t most = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (shown_[i] && columns_[i].spare > 0 && (most == columns_.size() || columns_[i].spare > columns_[most].spare)) {
        most = i;
      }
    }
    if (most == columns_.size()) break;
    shown_[most] = false;
    total -= widths_[most] + kGap;
  }
  if (cut != nullptr && total > room) *cut -= std::min(total - room, *cut - std::min(*cut, kLeastWidth));
}

std::string TextTable::Line(const std::vector<Cell>& cells, bool color) const {
  std::string line;
  bool first = true;
  size_t owed = 0;  // spaces that come only if something follows them
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!shown_[i]) continue;
    const std::string text = columns_[i].cut && widths_[i] != 0 ? CutMiddle(cells[i].text, widths_[i]) : cells[i].text;
    const size_t padding = widths_[i] - std::min(widths_[i], Width(text));
    if (!first) owed += kGap;
    first = false;
    if (columns_[i].align == Align::kRight) owed += padding;
    absl::StrAppend(&line, std::string(owed, ' '), Paint(text, cells[i].tone, color));
    owed = columns_[i].align == Align::kRight ? 0 : padding;
  }
  return line + "\n";
}

std::string TextTable::Render(const View& view) {
  const bool begins = shown_.empty();
  std::vector<Cell> headings;
  for (size_t i = 0; i < columns_.size(); ++i) {
    headings.emplace_back(columns_[i].heading, Tone::kStrong);
    if (begins && view.headings) widths_[i] = Width(columns_[i].heading);
    for (const auto& row : rows_) {
      // A column that was cut once stays so.
      if (begins || !columns_[i].cut || view.width == 0) widths_[i] = std::max(widths_[i], Width(row[i].text));
    }
  }
  std::string out;
  if (begins) {
    Fit(view.width);
    if (view.headings) out = Line(headings, view.color);
  }
  for (const auto& row : rows_) out += Line(row, view.color);
  rows_.clear();
  return out;
}

std::string EscapeForTerminal(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too, in UTF-8 C2 80 to C2 9F.
    const bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", c);
    } else if (c1) {
      absl::StrAppendFormat(&out, "\\x%02x\\x%02x", c, static_cast<unsigned char>(text[++i]));
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace daxvmm::control
