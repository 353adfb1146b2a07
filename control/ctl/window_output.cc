#include "control/ctl/window_output.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/units.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {
namespace {

std::string RateText(const v1::Rate& rate) { return absl::StrFormat("%.1f", rate.over_10s()); }

std::string AllRates(const v1::Rate& rate) {
  return absl::StrFormat("%.1f/%.1f/%.1f", rate.over_1s(), rate.over_10s(), rate.over_60s());
}

Cell QuotaCell(const v1::Window& window) {
  if (window.quota_bytes() == 0) return "";
  if (!window.quota_reached()) return SizeText(window.quota_bytes());
  return {absl::StrCat(SizeText(window.quota_bytes()), " full"), Tone::kBad};
}

Cell Count(uint64_t count, Tone tone_if_any) { return {absl::StrCat(count), count == 0 ? Tone::kPlain : tone_if_any}; }

std::string Table(const google::protobuf::RepeatedPtrField<v1::Window>& windows, const View& view) {
  TextTable table({{"SHARE"},
                   {"MOUNT", Align::kLeft, 2},
                   {"SIZE", Align::kRight},
                   {"ACCESS", Align::kLeft, 6},
                   {"CHUNKS", Align::kRight},
                   {"PEAK", Align::kRight, 1},
                   {"QUOTA", Align::kRight, 3},
                   {"MAPS", Align::kRight, 5},
                   {"UNMAPS", Align::kRight, 7},
                   {"MAP/S", Align::kRight},
                   {"UNMAP/S", Align::kRight, 4},
                   {"REJECTED", Align::kRight, 1}});
  for (const v1::Window& window : windows) {
    const std::string mount = MountText(window.mount_mode());
    const Cell rejected = Count(window.rejected(), Tone::kWait);
    if (window.capacity_bytes() == 0) {
      table.AddRow({window.share(), mount, {"none", Tone::kDim}, "", "", "", "", "", "", "", "", rejected});
      continue;
    }
    const uint64_t chunks = window.capacity_bytes() / kDaxRangeSize.raw();
    table.AddRow({window.share(),
                  mount,
                  SizeText(window.capacity_bytes()),
                  window.read_only() ? "read-only" : "read-write",
                  {absl::StrCat(window.mapped_chunks(), "/", chunks),
                   window.mapped_chunks() >= chunks ? Tone::kWait : Tone::kPlain},
                  absl::StrCat(window.mapped_chunks_max()),
                  QuotaCell(window),
                  absl::StrCat(window.maps()),
                  absl::StrCat(window.unmaps()),
                  RateText(window.map_rate()),
                  RateText(window.unmap_rate()),
                  rejected});
  }
  return table.Render(view);
}

// What the table leaves out: there are too many for columns.
std::string Details(const v1::Window& window) {
  std::string out = absl::StrFormat("\n%s\n", EscapeForTerminal(window.share()));
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
  return out;
}

}  // namespace

std::string MountText(v1::MountMode mode) { return EnumText(mode, v1::MountMode_Name(mode), "MOUNT_MODE_"); }

std::string WindowsText(const google::protobuf::RepeatedPtrField<v1::Window>& windows, const View& view) {
  std::string out = Table(windows, view);
  if (!view.wide) return out;
  for (const v1::Window& window : windows) {
    if (window.capacity_bytes() != 0) absl::StrAppend(&out, Details(window));
  }
  return out;
}

}  // namespace daxvmm::control
