#include "control/ctl/list_printer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "control/ctl/output.h"

namespace daxvmm::control {
namespace {

// The lines of `text` that are not empty, each with `indent` in front.
std::string Indented(absl::string_view text, absl::string_view indent) {
  std::string out;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&out, out.empty() ? "" : "\n", indent, line);
  }
  return out;
}

}  // namespace

void ListPrinter::AddObject(const google::protobuf::Message& element) {
  if (runner_.json()) {
    absl::StrAppend(&pending_, any_ ? ",\n" : absl::StrCat("{\n \"", field_, "\": [\n"), Indented(Json(element), "  "));
  } else {
    absl::StrAppend(&pending_, field_, " {\n", Indented(TextFormat(element), "  "), "\n}\n");
  }
  any_ = true;
}

ExitCode ListPrinter::EndPage() {
  std::string out = runner_.for_programs() ? std::exchange(pending_, "") : table_.Render(runner_.view());
  if (!runner_.for_programs() && !begun_) out = Title(title_, runner_.view()) + out;
  begun_ = true;
  return out.empty() ? ExitCode::kOk : runner_.Print(out);
}

ExitCode ListPrinter::End(const google::protobuf::Message& rest) {
  if (!runner_.for_programs()) return ExitCode::kOk;
  if (!runner_.json()) return runner_.Print(TextFormat(rest));
  // The rest's own list is empty, and is the first thing in it.
  const std::string text = Json(rest);
  if (!any_) return runner_.Print(text);
  const std::string empty = absl::StrCat("{\n \"", field_, "\": []");
  absl::string_view tail = text;
  return runner_.Print(absl::ConsumePrefix(&tail, empty) ? absl::StrCat("\n ]", tail) : absl::StrCat("\n ]\n}\n"));
}

}  // namespace daxvmm::control
