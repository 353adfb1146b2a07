#include "tests/docs/commands.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace daxvmm::docs_test {
namespace {

constexpr char kEnd = '\x01';

// White space as one blank, numbers as 0, ages as now.
std::string Form(absl::string_view line) {
  std::string form;
  for (size_t i = 0; i < line.size();) {
    const auto c = static_cast<unsigned char>(line[i]);
    if (absl::ascii_isspace(c)) {
      while (i < line.size() && absl::ascii_isspace(static_cast<unsigned char>(line[i]))) ++i;
      form += ' ';
      continue;
    }
    if (!absl::ascii_isdigit(c)) {
      form += line[i++];
      continue;
    }
    const auto digits = [&] {
      while (i < line.size() && absl::ascii_isdigit(static_cast<unsigned char>(line[i]))) ++i;
    };
    digits();
    if (i + 1 < line.size() && line[i] == '.' && absl::ascii_isdigit(static_cast<unsigned char>(line[i + 1]))) {
      ++i;
      digits();
    }
    form += '0';
  }
  // How long ago something was depends on the test's speed.
  form = absl::StrReplaceAll(form, {{"0 s ago", "now"}, {"0 min ago", "now"}});
  return std::string(absl::StripAsciiWhitespace(form));
}

bool LineHasForm(const std::string& line, const std::string& shown) {
  const std::string have = Form(line);
  const std::vector<std::string> pieces = absl::StrSplit(Form(shown), "...");
  if (pieces.size() == 1) return have == pieces[0];
  absl::string_view rest = have;
  // A blank before or after the dots stands for nothing where the dots do.
  const auto piece = [&pieces](size_t i) { return absl::StripAsciiWhitespace(pieces[i]); };
  if (!absl::ConsumePrefix(&rest, piece(0))) return false;
  for (size_t i = 1; i + 1 < pieces.size(); ++i) {
    const size_t at = rest.find(piece(i));
    if (at == absl::string_view::npos) return false;
    rest.remove_prefix(at + piece(i).size());
  }
  return absl::EndsWith(rest, piece(pieces.size() - 1));
}

bool HasFormFrom(const std::vector<std::string>& lines, size_t line, const std::vector<std::string>& shown, size_t at) {
  if (at == shown.size()) return line == lines.size();
  if (absl::StripAsciiWhitespace(shown[at]) == "...") {
    for (size_t next = line; next <= lines.size(); ++next) {
      if (HasFormFrom(lines, next, shown, at + 1)) return true;
    }
    return false;
  }
  return line < lines.size() && LineHasForm(lines[line], shown[at]) && HasFormFrom(lines, line + 1, shown, at + 1);
}

}  // namespace

std::vector<Block> FindBlocks(absl::string_view document) {
  std::vector<Block> blocks;
  Block block;
  std::string mark;
  bool inside = false;
  bool in_command = false;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(document, '\n')) {
    ++number;
    if (absl::StartsWith(line, "```")) {
      if (inside && (!block.commands.empty() || !block.mark.empty())) blocks.push_back(block);
      inside = !inside;
      block = {.line = number, .mark = inside ? mark : ""};
      mark.clear();
      in_command = false;
    } else if (!inside) {
      absl::string_view text = line;
      mark = absl::ConsumePrefix(&text, "<!-- test: ") && absl::ConsumeSuffix(&text, " -->") ? std::string(text) : "";
    } else if (absl::StartsWith(line, "$ ")) {
      block.commands.push_back({.line = number, .text = std::string(line.substr(2))});
      in_command = true;
    } else if (in_command && absl::StartsWith(line, "> ")) {
      absl::StrAppend(&block.commands.back().text, "\n", line.substr(2));
    } else if (!block.commands.empty()) {
      block.commands.back().output.emplace_back(line);
      in_command = false;
    }
  }
  return blocks;
}

bool HasForm(const std::vector<std::string>& lines, const std::vector<std::string>& shown) {
  return HasFormFrom(lines, 0, shown, 0);
}

std::string ScriptOf(const std::vector<Command>& commands) {
  std::string script = "exec 2>&1\n__status=0\n";
  for (const Command& command : commands) {
    // So that a command may ask for $?, the status of the one before it.
    absl::StrAppend(&script, "(exit $__status)\n", command.text, "\n__status=$?\nprintf '\\n\\001%d\\n' $__status\n");
  }
  return script;
}

std::vector<Outcome> SplitOutput(absl::string_view printed) {
  std::vector<Outcome> outcomes;
  Outcome one;
  for (absl::string_view line : absl::StrSplit(printed, '\n')) {
    if (line.empty() || line[0] != kEnd) {
      one.output.emplace_back(line);
      continue;
    }
    if (!absl::SimpleAtoi(line.substr(1), &one.status)) one.status = -1;
    // The line that the mark begins with a newline of its own for.
    while (!one.output.empty() && one.output.back().empty()) one.output.pop_back();
    outcomes.push_back(one);
    one = {};
  }
  return outcomes;
}

}  // namespace daxvmm::docs_test
