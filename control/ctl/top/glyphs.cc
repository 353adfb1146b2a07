#include "control/ctl/top/glyphs.h"

#include <langinfo.h>
#include <wchar.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/text.h"

namespace daxvmm::control::top {
namespace {

struct Glyph {
  absl::string_view bytes;
  int columns = 0;
};

// The character at the start of `text`, which is UTF-8 and not empty.
absl::string_view FirstCharacter(absl::string_view text) {
  size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) ++length;
  return text.substr(0, length);
}

wchar_t CodePoint(absl::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first;
  auto point = static_cast<wchar_t>(first & (0x7f >> character.size()));
  for (const char c : character.substr(1)) point = (point << 6) | (static_cast<unsigned char>(c) & 0x3f);
  return point;
}

// Zero-width and directional formatting: a name with them can look like another one, or turn its line around.
bool IsInvisible(wchar_t point) {
  return (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2060 && point <= 0x206f) || point == 0xfeff || point == 0xad || point == 0x61c ||
         (point >= 0xe0000 && point <= 0xe0fff);
}

bool IsEscape(absl::string_view text) {
  return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[2])) &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[3]));
}

std::vector<Glyph> Glyphs(absl::string_view text) {
  std::vector<Glyph> glyphs;
  while (!text.empty()) {
    Glyph next;
    if (IsEscape(text)) {
      next = {text.substr(0, 4), 4};
    } else {
      const absl::string_view character = FirstCharacter(text);
      next = {character, std::max(0, wcwidth(CodePoint(character)))};
    }
    text.remove_prefix(next.bytes.size());
    if (next.columns == 0 && !glyphs.empty()) {
      Glyph& base = glyphs.back();
      base.bytes = absl::string_view(base.bytes.data(), base.bytes.size() + next.bytes.size());
    } else {
      glyphs.push_back(next);
    }
  }
  return glyphs;
}

int Sum(const std::vector<Glyph>& glyphs) {
  int columns = 0;
  for (const Glyph& glyph : glyphs) columns += glyph.columns;
  return columns;
}

// The longest start of `glyphs` that fits.
std::string Head(const std::vector<Glyph>& glyphs, int columns) {
  std::string out;
  for (const Glyph& glyph : glyphs) {
    columns -= glyph.columns;
    if (columns < 0) break;
    absl::StrAppend(&out, glyph.bytes);
  }
  return out;
}

// The longest end of `glyphs` that fits.
std::string Tail(const std::vector<Glyph>& glyphs, int columns) {
  size_t first = glyphs.size();
  while (first > 0 && glyphs[first - 1].columns <= columns) columns -= glyphs[--first].columns;
  std::string out;
  for (size_t i = first; i < glyphs.size(); ++i) absl::StrAppend(&out, glyphs[i].bytes);
  return out;
}

// One column either way.
absl::string_view CutMark(Charset charset) { return charset == Charset::kUtf8 ? "\xe2\x80\xa6" : "~"; }

}  // namespace

Charset LocaleCharset() { return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? Charset::kUtf8 : Charset::kAscii; }

std::string Printable(absl::string_view text, Charset charset) {
  const std::string utf8 = EscapeNonUtf8(text);
  std::string out;
  out.reserve(utf8.size());
  for (absl::string_view rest = utf8; !rest.empty();) {
    const absl::string_view character = FirstCharacter(rest);
    rest.remove_prefix(character.size());
    const wchar_t point = CodePoint(character);
    const bool ascii = point >= 0x20 && point < 0x7f;
    if (ascii || (charset == Charset::kUtf8 && point >= 0xa0 && wcwidth(point) >= 0 && !IsInvisible(point))) {
      absl::StrAppend(&out, character);
      continue;
    }
    for (const char c : character) absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
  }
  return out;
}

int Columns(absl::string_view text) { return Sum(Glyphs(text)); }

std::string CutEnd(absl::string_view text, int columns, Charset charset) {
  const std::vector<Glyph> glyphs = Glyphs(text);
  if (Sum(glyphs) <= columns) return std::string(text);
  if (columns <= 0) return "";
  return absl::StrCat(Head(glyphs, columns - 1), CutMark(charset));
}

std::string CutMiddle(absl::string_view path, int columns, Charset charset) {
  const std::vector<Glyph> glyphs = Glyphs(path);
  if (Sum(glyphs) <= columns) return std::string(path);
  if (columns <= 0) return "";
  const int room = columns - 1;  // beside the mark
  const size_t slash = path.rfind('/');
  const int name = slash == absl::string_view::npos ? Sum(glyphs) : Columns(path.substr(slash));
  const int tail = name <= room ? name : room - room / 3;
  const std::string end = Tail(glyphs, tail);
  // A wide character that does not fit leaves a column, which the start may use.
  return absl::StrCat(Head(glyphs, room - Columns(end)), CutMark(charset), end);
}

std::string Fit(absl::string_view text, int columns, Align align, Charset charset) {
  const std::string cut = CutEnd(text, columns, charset);
  const std::string padding(std::max(0, columns - Columns(cut)), ' ');
  return align == Align::kRight ? padding + cut : cut + padding;
}

}  // namespace daxvmm::control::top
