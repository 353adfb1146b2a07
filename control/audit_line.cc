#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "control/audit_log.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// The longest path of a host.
constexpr size_t kMaxText = 4096;

// A JSON string. Besides what JSON asks for, the control characters of terminals that UTF-8 has in two bytes.
std::string Quote(absl::string_view bytes) {
  std::string text = EscapeNonUtf8(bytes.substr(0, kMaxText));
  if (bytes.size() > kMaxText) text += "...";
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(text[++i]));
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

void AppendText(absl::string_view name, absl::string_view value, std::string* line) {
  if (!value.empty()) absl::StrAppend(line, ",\"", name, "\":", Quote(value));
}

void AppendNumber(absl::string_view name, uint64_t value, std::string* line) {
  if (value != 0) absl::StrAppend(line, ",\"", name, "\":", value);
}

}  // namespace

std::string AuditLine(const AuditEntry& entry, int64_t pid, uint64_t missing) {
  std::string line =
      absl::StrCat("{\"time\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", entry.time, absl::UTCTimeZone()), "\"");
  absl::StrAppend(&line, ",\"pid\":", pid);
  AppendText("action", entry.action, &line);
  AppendText("result", absl::StatusCodeToString(entry.result.code()), &line);
  AppendText("who", entry.who, &line);
  AppendText("source", entry.source, &line);
  AppendNumber("from_generation", entry.from_generation, &line);
  AppendNumber("to_generation", entry.to_generation, &line);
  AppendText("change", entry.change, &line);
  AppendText("summary", entry.summary, &line);
  AppendText("message", std::string(entry.result.message()), &line);
  AppendNumber("missing_before", missing, &line);
  return line + "}\n";
}

}  // namespace daxvmm::control
