#include "control/ctl/output.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/log.h"
#include "base/size_text.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

std::string Print(const google::protobuf::Message& message, bool one_line) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(one_line);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  CHECK(printer.PrintToString(message, &text));
  if (one_line) absl::StripTrailingAsciiWhitespace(&text);
  return text;
}

}  // namespace

std::string YesNo(bool value) { return value ? "yes" : "no"; }

Cell DaxCell(bool dax) { return {YesNo(dax), dax ? Tone::kGood : Tone::kDim}; }

std::string EnumText(int value, const std::string& name, absl::string_view prefix) {
  if (name.empty()) return absl::StrCat(value);
  absl::string_view view(name);
  if (view.size() > prefix.size() && view.substr(0, prefix.size()) == prefix) view.remove_prefix(prefix.size());
  return absl::StrReplaceAll(absl::AsciiStrToLower(view), {{"_", "-"}});
}

std::string EventKindText(v1::Event::Kind kind) { return EnumText(kind, v1::Event::Kind_Name(kind), "KIND_"); }

std::string SizeText(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

std::string RoughSizeText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", unit == 0 || value >= 100 || value == static_cast<uint64_t>(value) ? 0 : 1, value,
                         kUnits[unit]);
}

std::string DurationOf(const google::protobuf::Duration& duration) {
  return DurationText(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration message;
  absl::Duration rest;
  message.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return message;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

std::string SpanText(absl::Duration span) {
  const int64_t seconds = absl::ToInt64Seconds(span);
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 60 * 60) return absl::StrCat(seconds / 60, " min");
  if (seconds < 48 * 60 * 60) return absl::StrCat(seconds / 3600, " h");
  return absl::StrCat(seconds / 86400, " d");
}

std::string AgoText(absl::Time time, absl::Time now) {
  if (time > now + absl::Seconds(1)) return absl::StrCat("in ", SpanText(time - now));
  return now - time < absl::Seconds(1) ? "now" : absl::StrCat(SpanText(now - time), " ago");
}

std::string StateText(v1::Convergence convergence, const google::protobuf::Duration& attributes_left) {
  switch (convergence) {
    case v1::CONVERGENCE_CONVERGED:
      return "converged";
    case v1::CONVERGENCE_ATTRIBUTES_CACHED:
      return absl::StrCat("cached ", DurationOf(attributes_left));
    case v1::CONVERGENCE_CHANGES_ON_NEXT_USE:
      return "next use";
    case v1::CONVERGENCE_NOTICED_HELD_OPEN:
      return "held open";
    case v1::CONVERGENCE_NOTICED_STILL_HELD:
      return "still held";
    case v1::CONVERGENCE_UNKNOWN:
      return "unknown";
    default:
      return EnumText(convergence, v1::Convergence_Name(convergence), "CONVERGENCE_");
  }
}

Tone StateTone(v1::Convergence convergence) {
  switch (convergence) {
    case v1::CONVERGENCE_CONVERGED:
      return Tone::kGood;
    case v1::CONVERGENCE_CHANGES_ON_NEXT_USE:
      return Tone::kDim;
    case v1::CONVERGENCE_ATTRIBUTES_CACHED:
    case v1::CONVERGENCE_NOTICED_HELD_OPEN:
    case v1::CONVERGENCE_NOTICED_STILL_HELD:
      return Tone::kWait;
    default:
      return Tone::kPlain;
  }
}

std::string CountsLine(const v1::WatchConvergenceResponse& response) {
  std::string out;
  const auto add = [&out](uint64_t count, const std::string& what) {
    if (count != 0) absl::StrAppend(&out, out.empty() ? "" : ", ", count, " ", what);
  };
  add(response.converged(), "converged");
  add(response.attributes_cached(), absl::StrCat("cached for ", DurationOf(response.longest_wait())));
  add(response.changes_on_next_use(), "on next use");
  add(response.noticed_held_open(), "held open");
  add(response.noticed_still_held(), "still held");
  add(response.unknown(), "unknown");
  return absl::StrCat("generation ", response.generation(), ": ", out.empty() ? "no live files" : out);
}

std::string Title(const std::string& text, const View& view) { return view.headings ? text + "\n" : ""; }

std::string Json(const google::protobuf::Message& message, bool all, bool compact) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !compact;
  options.always_print_primitive_fields = all;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  CHECK(status.ok()) << "a message of ours has no JSON: " << status.ToString();
  return text;
}

std::string TextFormat(const google::protobuf::Message& message) { return Print(message, /*one_line=*/false); }

std::string TextLine(const google::protobuf::Message& message) { return Print(message, /*one_line=*/true); }

}  // namespace daxvmm::control
