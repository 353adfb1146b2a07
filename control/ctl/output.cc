#include "control/ctl/output.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/size_text.h"
#include "control/ctl/text_table.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

std::string Size(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

std::string DurationOf(const google::protobuf::Duration& duration) {
  return DurationText(absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos()));
}

std::string RateText(const v1::Rate& rate) { return absl::StrFormat("%.1f", rate.over_10s()); }

std::string AllRates(const v1::Rate& rate) {
  return absl::StrFormat("%.1f/%.1f/%.1f", rate.over_1s(), rate.over_10s(), rate.over_60s());
}

std::string DaxText(const v1::LiveFile& file) {
  return absl::StrCat(YesNo(file.decision_dax()), file.overridden() ? "*" : "");
}

std::string ToldText(const v1::LiveFile& file) { return file.has_told_dax() ? YesNo(file.told_dax()) : "?"; }

std::string QuotaText(const v1::Window& window) {
  if (window.quota_bytes() == 0) return "";
  return absl::StrCat(Size(window.quota_bytes()), window.quota_reached() ? " full" : "");
}

std::string NarrowWindows(const v1::GetWindowResponse& response) {
  TextTable table({{"SHARE"},
                   {"MOUNT"},
                   {"SIZE", Align::kRight},
                   {"ACCESS"},
                   {"CHUNKS", Align::kRight},
                   {"PEAK", Align::kRight},
                   {"QUOTA", Align::kRight},
                   {"MAPS", Align::kRight},
                   {"UNMAPS", Align::kRight},
                   {"MAP/S", Align::kRight},
                   {"UNMAP/S", Align::kRight},
                   {"REJECTED", Align::kRight}});
  for (const v1::Window& window : response.windows()) {
    const std::string mount = EnumText(window.mount_mode(), v1::MountMode_Name(window.mount_mode()), "MOUNT_MODE_");
    if (window.capacity_bytes() == 0) {
      table.AddRow({window.share(), mount, "none", "", "", "", "", "", "", "", "", absl::StrCat(window.rejected())});
      continue;
    }
    table.AddRow({window.share(), mount, Size(window.capacity_bytes()), window.read_only() ? "read-only" : "read-write",
                  absl::StrCat(window.mapped_chunks(), "/", window.capacity_bytes() / kDaxRangeSize.raw()),
                  absl::StrCat(window.mapped_chunks_max()), QuotaText(window), absl::StrCat(window.maps()),
                  absl::StrCat(window.unmaps()), RateText(window.map_rate()), RateText(window.unmap_rate()),
                  absl::StrCat(window.rejected())});
  }
  return table.Render();
}

// What the narrow table leaves out: there are too many for columns.
std::string WindowDetails(const v1::GetWindowResponse& response) {
  std::string out;
  for (const v1::Window& window : response.windows()) {
    if (window.capacity_bytes() == 0) continue;
    absl::StrAppendFormat(&out, "\n%s\n", EscapeForTerminal(window.share()));
    const auto line = [&out](const char* name, const std::string& value) {
      absl::StrAppendFormat(&out, "  %-36s%s\n", name, value);
    };
    line("guest address", absl::StrFormat("%#x", window.guest_base()));
    line("maps per second, over 1/10/60 s", AllRates(window.map_rate()));
    line("unmaps per second, over 1/10/60 s", AllRates(window.unmap_rate()));
    line("ranges mapped again soon", absl::StrCat(window.reused_soon()));
    line("mappings repaired", absl::StrCat(window.repairs()));
    line("pages given back to grown files", absl::StrCat(window.restores()));
    line("stores past the end of a file", absl::StrCat(window.stores_past_end()));
    line("files extended", absl::StrCat(window.files_extended()));
    line("stores dropped (read-only)", absl::StrCat(window.dropped_stores()));
    line("maps against the policy, served", absl::StrCat(window.against_policy()));
    line("maps against the policy, denied", absl::StrCat(window.denied()));
  }
  return out;
}

}  // namespace

std::string YesNo(bool value) { return value ? "yes" : "no"; }

std::string EnumText(int value, const std::string& name, absl::string_view prefix) {
  if (name.empty()) return absl::StrCat(value);
  absl::string_view view(name);
  if (view.size() > prefix.size() && view.substr(0, prefix.size()) == prefix) view.remove_prefix(prefix.size());
  return absl::StrReplaceAll(absl::AsciiStrToLower(view), {{"_", "-"}});
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

std::string FilesTable(const v1::ListFilesResponse& response, bool wide) {
  std::vector<Column> columns = {{"SHARE"},
                                 {"SIZE", Align::kRight},
                                 {"DAX"},
                                 {"RULE"},
                                 {"TOLD"},
                                 {"STATE"},
                                 {"OPEN"},
                                 {"CHUNKS", Align::kRight},
                                 {"MAPS", Align::kRight},
                                 {"READS", Align::kRight}};
  if (wide) {
    for (const char* more : {"UNMAPS", "WRITES", "AGAINST", "GEN", "NODE"}) columns.push_back({more, Align::kRight});
    columns.push_back({"REASON"});
  }
  columns.push_back({"PATH"});
  TextTable table(columns);
  for (const v1::LiveFile& file : response.files()) {
    std::vector<std::string> cells = {file.share(),
                                      Size(file.size_bytes()),
                                      DaxText(file),
                                      file.decision_rule(),
                                      ToldText(file),
                                      StateText(file.convergence(), file.attributes_left()),
                                      YesNo(file.open()),
                                      absl::StrCat(file.mapped_chunks()),
                                      absl::StrCat(file.setup_mappings()),
                                      absl::StrCat(file.reads())};
    if (wide) {
      for (const uint64_t more :
           {file.unmaps(), file.writes(), file.mapped_against_policy(), file.told_generation(), file.node_id()}) {
        cells.push_back(absl::StrCat(more));
      }
      cells.push_back(file.decision_reason());
    }
    cells.push_back(file.path());
    table.AddRow(std::move(cells));
  }
  return absl::StrCat("Live files: ", response.files_size(), ", policy generation ", response.generation(), "\n",
                      table.Render());
}

std::string WindowTable(const v1::GetWindowResponse& response, bool wide) {
  return absl::StrCat("DAX windows: ", response.windows_size(), "\n", NarrowWindows(response),
                      wide ? WindowDetails(response) : "");
}

std::string HealthTable(const HealthList& services) {
  TextTable table({{"SERVICE"}, {"STATUS"}});
  for (const auto& [name, status] : services) table.AddRow({name, status});
  return absl::StrCat("Health\n", table.Render());
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

std::string HealthJson(const HealthList& services) {
  google::protobuf::Struct list;
  for (const auto& [name, status] : services) (*list.mutable_fields())[name].set_string_value(status);
  return Json(list);
}

}  // namespace daxvmm::control
