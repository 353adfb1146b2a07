#include "control/ctl/output.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/log.h"
#include "base/size_text.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {
namespace {

std::string YesNo(bool value) { return value ? "yes" : "no"; }

std::string Size(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

// "OUTCOME_NO_DAX" as "no-dax": what the contract adds for the sake of unique names is noise to a reader.
std::string EnumText(absl::string_view name, absl::string_view prefix) {
  if (name.size() > prefix.size() && name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

// A server that is newer than we are may send values without a name here.
template <typename Enum>
std::string EnumText(Enum value, const std::string& name, absl::string_view prefix) {
  return name.empty() ? absl::StrCat(static_cast<int>(value)) : EnumText(name, prefix);
}

std::string OutcomeText(v1::Outcome outcome) { return EnumText(outcome, v1::Outcome_Name(outcome), "OUTCOME_"); }

std::string SizeCondition(const v1::Rule& rule) {
  if (rule.has_size_at_least() && rule.has_size_below()) {
    return absl::StrCat(Size(rule.size_at_least()), " to below ", Size(rule.size_below()));
  }
  if (rule.has_size_at_least()) return absl::StrCat("from ", Size(rule.size_at_least()));
  if (rule.has_size_below()) return absl::StrCat("below ", Size(rule.size_below()));
  return "any";
}

google::protobuf::util::JsonPrintOptions PrintOptions() {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  return options;
}

}  // namespace

std::string PolicyTable(const v1::GetPolicyResponse& response) {
  TextTable table({{"#", Align::kRight}, {"RULE"}, {"SHARE"}, {"SIZE"}, {"OUTCOME"}});
  int number = 0;
  for (const v1::Rule& rule : response.policy().rules()) {
    table.AddRow({absl::StrCat(++number), rule.name(), rule.has_share() ? rule.share() : "any", SizeCondition(rule),
                  OutcomeText(rule.outcome())});
  }
  table.AddRow({"", "default", "any", "any", OutcomeText(response.policy().default_outcome())});
  return absl::StrCat("Policy generation ", response.generation(), "\n", table.Render());
}

std::string FilesTable(const v1::ListFilesResponse& response) {
  TextTable table({{"SHARE"},
                   {"SIZE", Align::kRight},
                   {"DAX"},
                   {"RULE"},
                   {"TOLD"},
                   {"GEN", Align::kRight},
                   {"OPEN"},
                   {"CHUNKS", Align::kRight},
                   {"MAPS", Align::kRight},
                   {"READS", Align::kRight},
                   {"WRITES", Align::kRight},
                   {"PATH"}});
  for (const v1::LiveFile& file : response.files()) {
    table.AddRow({file.share(), Size(file.size_bytes()), YesNo(file.decision_dax()), file.decision_rule(),
                  YesNo(file.told_dax()), absl::StrCat(file.told_generation()), YesNo(file.open()),
                  absl::StrCat(file.mapped_chunks()), absl::StrCat(file.setup_mappings()), absl::StrCat(file.reads()),
                  absl::StrCat(file.writes()), file.path()});
  }
  return absl::StrCat("Live files: ", response.files_size(), ", policy generation ", response.generation(), "\n",
                      table.Render());
}

std::string WindowTable(const v1::GetWindowResponse& response) {
  TextTable table({{"SHARE"},
                   {"MOUNT"},
                   {"SIZE", Align::kRight},
                   {"GUEST ADDRESS", Align::kRight},
                   {"ACCESS"},
                   {"CHUNKS", Align::kRight},
                   {"PEAK", Align::kRight},
                   {"MAPS", Align::kRight},
                   {"UNMAPS", Align::kRight},
                   {"REJECTED", Align::kRight},
                   {"DROPPED STORES", Align::kRight}});
  for (const v1::Window& window : response.windows()) {
    const std::string mount = EnumText(window.mount_mode(), v1::MountMode_Name(window.mount_mode()), "MOUNT_MODE_");
    if (window.capacity_bytes() == 0) {
      table.AddRow({window.share(), mount, "none", "", "", "", "", "", "", absl::StrCat(window.rejected()), ""});
      continue;
    }
    table.AddRow({window.share(), mount, Size(window.capacity_bytes()), absl::StrFormat("%#x", window.guest_base()),
                  window.read_only() ? "read-only" : "read-write",
                  absl::StrCat(window.mapped_chunks(), "/", window.capacity_bytes() / kDaxRangeSize.raw()),
                  absl::StrCat(window.mapped_chunks_max()), absl::StrCat(window.maps()), absl::StrCat(window.unmaps()),
                  absl::StrCat(window.rejected()), absl::StrCat(window.dropped_stores())});
  }
  return absl::StrCat("DAX windows: ", response.windows_size(), "\n", table.Render());
}

std::string HealthTable(const HealthList& services) {
  TextTable table({{"SERVICE"}, {"STATUS"}});
  for (const auto& [name, status] : services) table.AddRow({name, status});
  return absl::StrCat("Health\n", table.Render());
}

std::string Json(const google::protobuf::Message& message) {
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, PrintOptions());
  CHECK(status.ok()) << "a message of ours has no JSON: " << status.ToString();
  return text;
}

std::string HealthJson(const HealthList& services) {
  google::protobuf::Struct list;
  for (const auto& [name, status] : services) (*list.mutable_fields())[name].set_string_value(status);
  return Json(list);
}

absl::StatusOr<v1::Policy> ParsePolicyJson(absl::string_view text) {
  v1::Policy policy;
  const auto status =
      google::protobuf::util::JsonStringToMessage(google::protobuf::StringPiece(text.data(), text.size()), &policy);
  if (status.ok()) return policy;
  // The parser's text has several lines, with a caret; an error of ours has one.
  std::string why(status.message().data(), status.message().size());
  why = why.substr(0, why.find('\n'));
  return absl::InvalidArgumentError(absl::StrCat("not a daxvmm.v1.Policy in JSON: ", why));
}

}  // namespace daxvmm::control
