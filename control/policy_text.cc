#include "control/policy_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status.h"
#include "control/json_message.h"
#include "control/json_reader.h"
#include "control/policy_codec.h"
#include "control/policy_file.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::TextFormat;

// The schema is three deep.
constexpr int kMaxTextDepth = 16;
// Errors repeat what the operator wrote: a message stays one readable line.
constexpr size_t kMaxWhat = 400;

absl::Status ErrorAt(absl::string_view name, int line, absl::string_view what) {
  std::string shown(what.substr(0, kMaxWhat));
  if (what.size() > kMaxWhat) shown += "...";
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, line > 0 ? absl::StrCat(":", line) : "", ": ", EscapeNonUtf8(shown)));
}

// Keeps the first error; what follows it is mostly noise.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!what_.empty()) return;
    line_ = line + 1;
    what_ = message;
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {}

  int line() const { return line_; }
  const std::string& what() const { return what_; }

 private:
  int line_ = 0;
  std::string what_;
};

// "rules[3]" as its name and 3; the index is -1 without brackets.
std::pair<std::string, int> SplitIndex(const std::string& step) {
  const size_t bracket = step.find('[');
  int index = -1;
  if (bracket == std::string::npos ||
      !absl::SimpleAtoi(absl::string_view(step).substr(bracket + 1, step.size() - bracket - 2), &index)) {
    return {step.substr(0, bracket), -1};
  }
  return {step.substr(0, bracket), index};
}

// The line of the field at `path`, or of the innermost message around it that has one; 0: none.
int LineInTextproto(const TextFormat::ParseInfoTree& root, const std::string& path) {
  const TextFormat::ParseInfoTree* tree = &root;
  const google::protobuf::Descriptor* type = v1::Policy::descriptor();
  int line = 0;
  for (const std::string& step : std::vector<std::string>(absl::StrSplit(path, '.'))) {
    if (tree == nullptr || type == nullptr) break;
    const auto [name, at_index] = SplitIndex(step);
    const FieldDescriptor* const field = type->FindFieldByName(name);
    if (field == nullptr) break;
    // The tree insists on an index for exactly those that are lists.
    const int index = field->is_repeated() ? std::max(at_index, 0) : -1;
    const int at = tree->GetLocation(field, index).line;
    if (at >= 0) line = at + 1;
    type = field->message_type();
    tree = type != nullptr ? tree->GetTreeForNested(field, index) : nullptr;
  }
  return line;
}

int LineInJson(const FieldLines& lines, std::string path) {
  for (;;) {
    if (const auto found = lines.find(path); found != lines.end()) return found->second;
    const size_t dot = path.rfind('.');
    const size_t bracket = path.rfind('[');
    const size_t end = dot == std::string::npos ? bracket : bracket == std::string::npos ? dot : std::max(dot, bracket);
    if (end == std::string::npos) return 0;
    path.resize(end);
  }
}

// Given the path of a field.
using LineFinder = std::function<int(const std::string&)>;

absl::StatusOr<dax::Policy> Decode(const v1::Policy& message, absl::string_view name, const LineFinder& line_of) {
  auto policy = DecodePolicy(message, "");
  if (policy.ok()) return policy;
  // Every message of the codec begins with the field.
  const std::string what(policy.status().message());
  return ErrorAt(name, line_of(what.substr(0, what.find(": "))), what);
}

absl::StatusOr<dax::Policy> ParseTextproto(absl::string_view text, absl::string_view name) {
  v1::Policy message;
  TextFormat::ParseInfoTree locations;
  FirstError error;
  TextFormat::Parser parser;
  parser.SetRecursionLimit(kMaxTextDepth);
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&locations);
  if (!parser.ParseFromString(std::string(text), &message)) {
    return ErrorAt(name, error.line(), error.what().empty() ? "not a daxvmm.v1.Policy in text format" : error.what());
  }
  return Decode(message, name, [&](const std::string& path) { return LineInTextproto(locations, path); });
}

// An error whose message begins with its line.
absl::Status WithName(absl::string_view name, const absl::Status& status) {
  const std::string message(status.message());
  const size_t colon = message.find(": ");
  int line = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(message.substr(0, colon), &line)) {
    return ErrorAt(name, 0, message);
  }
  return ErrorAt(name, line, message.substr(colon + 2));
}

absl::StatusOr<dax::Policy> ParseJson(absl::string_view text, absl::string_view name) {
  const auto value = ReadJson(text);
  if (!value.ok()) return WithName(name, value.status());
  v1::Policy message;
  FieldLines lines;
  if (const absl::Status filled = JsonToMessage(*value, &message, &lines); !filled.ok()) {
    const bool whole_reply =
        value->kind == JsonValue::Kind::kObject && !value->members.empty() && value->members[0].name == "policy";
    if (!whole_reply) return WithName(name, filled);
    return WithName(name, absl::InvalidArgumentError(absl::StrCat(
                              filled.message(), "; `policy get -o json --policy-only` prints a policy alone")));
  }
  return Decode(message, name, [&](const std::string& path) {
    const int line = LineInJson(lines, path);
    return line > 0 ? line : value->line;
  });
}

}  // namespace

PolicyFormat RecognizePolicyFormat(absl::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != absl::string_view::npos && (text[first] == '{' || text[first] == '[');
  return json ? PolicyFormat::kJson : PolicyFormat::kTextproto;
}

absl::StatusOr<dax::Policy> ParsePolicyText(absl::string_view text, absl::string_view name,
                                            std::optional<PolicyFormat> format) {
  if (text.size() > kMaxPolicyFileBytes) return ErrorAt(name, 0, "larger than 1 MiB");
  return format.value_or(RecognizePolicyFormat(text)) == PolicyFormat::kJson ? ParseJson(text, name)
                                                                             : ParseTextproto(text, name);
}

std::string FormatPolicyText(const v1::Policy& policy, PolicyFormat format) {
  std::string text;
  if (format == PolicyFormat::kTextproto) {
    TextFormat::Printer printer;
    printer.SetUseUtf8StringEscaping(true);
    CHECK(printer.PrintToString(policy, &text)) << "a policy has no text";
    return text;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(policy, &text, options);
  CHECK(status.ok()) << "a policy has no JSON: " << status.ToString();
  return text;
}

}  // namespace daxvmm::control
