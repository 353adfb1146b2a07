#include "base/man_page.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/version.h"

namespace daxvmm {
namespace {

// A backslash begins an escape of roff, and a bare hyphen may come out as one of typography, which no shell takes.
// `bold_quotes`: what stands in backquotes becomes bold, if there are two on the line.
std::string Escape(absl::string_view line, bool bold_quotes) {
  std::string out;
  bool bold = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '`' && bold_quotes && (bold || line.find('`', i + 1) != absl::string_view::npos)) {
      bold = !bold;
      out += bold ? "\\fB" : "\\fR";
      continue;
    }
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// A line of text, which is none of roff's requests.
std::string Line(absl::string_view line, bool bold_quotes) {
  const std::string escaped = Escape(line, bold_quotes);
  const bool request = !escaped.empty() && (escaped[0] == '.' || escaped[0] == '\'');
  return absl::StrCat(request ? "\\&" : "", escaped, "\n");
}

// An argument of a macro.
std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : Escape(text, /*bold_quotes=*/false)) {
    if (c == '"') {
      out += "\\(dq";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// `paragraph` is the request between paragraphs: .PP, or .IP below a term.
void AppendText(absl::string_view text, absl::string_view paragraph, std::string* out) {
  while (absl::EndsWith(text, "\n")) text.remove_suffix(1);
  if (text.empty()) return;
  bool literal = false;
  bool gap = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool is_literal = absl::StartsWith(line, " ") || absl::StrContains(line, "  ");
    if (literal && !is_literal) absl::StrAppend(out, ".fi\n");
    if (line.empty()) {
      gap = true;
      literal = false;
      continue;
    }
    if (gap || (literal && !is_literal)) absl::StrAppend(out, paragraph, "\n");
    if (is_literal && !literal) absl::StrAppend(out, ".nf\n");
    literal = is_literal;
    gap = false;
    absl::StrAppend(out, Line(line, !literal));
  }
  if (literal) absl::StrAppend(out, ".fi\n");
}

void AppendBody(const ManSection& section, std::string* out) {
  AppendText(section.text, ".PP", out);
  for (const ManItem& item : section.items) {
    absl::StrAppend(out, ".TP\n.B ", Line(item.term, /*bold_quotes=*/false));
    AppendText(item.text, ".IP", out);
  }
}

}  // namespace

std::string RenderManPage(const ManPage& page) {
  std::string out = absl::StrCat(".TH ", Quoted(absl::AsciiStrToUpper(page.name)), " 1 \"\" ",
                                 Quoted(absl::StrCat("daxvmm ", kVersion)), " \"User Commands\"\n",
                                 // Neither hyphenated nor padded: both spoil what is to be copied.
                                 ".nh\n.ad l\n.SH NAME\n", Escape(page.name, false), " \\- ",
                                 Escape(page.summary, /*bold_quotes=*/true), "\n.SH SYNOPSIS\n.nf\n");
  for (const std::string& line : page.synopsis) absl::StrAppend(&out, Line(line, /*bold_quotes=*/false));
  absl::StrAppend(&out, ".fi\n");
  for (const ManSection& section : page.sections) {
    absl::StrAppend(&out, ".SH ", Quoted(section.title), "\n");
    AppendBody(section, &out);
    for (const ManSection& below : section.subsections) {
      absl::StrAppend(&out, ".SS ", Quoted(below.title), "\n");
      AppendBody(below, &out);
    }
  }
  return out;
}

std::vector<ManItem> ManItems(std::span<const FlagSpec> flags) {
  std::vector<ManItem> items;
  for (const FlagSpec& flag : flags) items.push_back({FlagTerm(flag), flag.help});
  return items;
}

}  // namespace daxvmm
