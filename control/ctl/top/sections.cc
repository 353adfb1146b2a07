#include "control/ctl/top/sections.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/size_text.h"
#include "control/ctl/output.h"
#include "control/ctl/top/figures.h"
#include "control/text.h"

namespace daxvmm::control::top {
namespace {

constexpr Style kGood{.ink = Ink::kGood};
constexpr Style kNotice{.ink = Ink::kNotice};
constexpr Style kBad{.ink = Ink::kBad, .bold = true};
constexpr Style kTitle{.ink = Ink::kTitle, .bold = true};
constexpr Style kFaint{.ink = Ink::kFaint};

// Longer than this without an answer is worth a word.
constexpr absl::Duration kSlow = absl::Seconds(2);

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string Clock(const Scene& scene) { return absl::FormatTime("%H:%M:%S", scene.now, scene.zone); }

std::string StateOf(const v1::Machine& machine, absl::Time now) {
  std::string text = EnumText(machine.state(), v1::Machine::State_Name(machine.state()), "STATE_");
  if (machine.has_start_time()) absl::StrAppend(&text, " ", CompactDuration(now - FromProto(machine.start_time())));
  return text;
}

std::pair<std::string, Style> ConnectionText(const Scene& scene) {
  const Connection& connection = scene.connection;
  const absl::Duration waiting =
      connection.waiting_since ? scene.now - *connection.waiting_since : absl::ZeroDuration();
  const std::string since =
      waiting >= kSlow ? absl::StrCat(", no answer for ", CompactDuration(waiting)) : std::string();
  if (!connection.up) return {absl::StrCat("NO CONNECTION", since), kBad};
  if (scene.model->snapshot() == nullptr) return {absl::StrCat("connecting", since), kNotice};
  if (!since.empty()) return {since.substr(2), kBad};
  return {"connected", kGood};
}

Line Titled(const Scene& scene, int columns, absl::string_view title) {
  return Line(columns, scene.charset).Add(title, kTitle).GoTo(8);
}

std::string ShareTab(const v1::Window& window, bool selected) {
  const uint64_t chunks = window.capacity_bytes() / kDaxRangeSize.raw();
  const std::string use = chunks == 0 ? "" : absl::StrCat(" ", window.mapped_chunks(), "/", chunks);
  return selected ? absl::StrCat("[", window.share(), use, "]") : absl::StrCat(" ", window.share(), use, " ");
}

// `filled` of `columns`, in brackets.
void AddBar(double filled, int columns, Style style, Line* line) {
  int full = static_cast<int>(filled * columns + 0.5);
  // What is there is seen, and what is not full is not shown as full.
  if (filled > 0) full = std::max(full, 1);
  if (filled < 1) full = std::min(full, columns - 1);
  full = std::clamp(full, 0, columns);
  line->Add("[").Add(std::string(full, '#'), style).Add(std::string(columns - full, '-'), kFaint).Add("]");
}

void AddIfRoom(const std::string& ascii, Style style, Line* line) {
  if (static_cast<int>(ascii.size()) <= line->room()) line->Add(ascii, style);
}

std::string Rates(const v1::Rate& rate) {
  return absl::StrCat(CompactRate(rate.over_1s()), " ", CompactRate(rate.over_10s()), " ", CompactRate(rate.over_60s()),
                      "/s");
}

}  // namespace

Line MachineLine(const Scene& scene, int columns) {
  const Snapshot* const snapshot = scene.model->snapshot();
  const auto [link, link_style] = ConnectionText(scene);
  const std::string paused = scene.view.paused ? " PAUSED " : "";
  const std::string state =
      snapshot != nullptr && snapshot->machine ? StateOf(*snapshot->machine, scene.now) : std::string();
  Line line(columns, scene.charset);
  line.Add("daxvmm", kTitle).Add(" ");
  const int right = static_cast<int>(link.size() + paused.size()) + 10 + (paused.empty() ? 0 : 1);
  const int beside = right + 1 + (state.empty() ? 0 : static_cast<int>(state.size()) + 2);
  // The state goes before the socket's name does.
  const bool with_state = !state.empty() && line.room() - beside >= 8;
  const int name = line.room() - (with_state ? beside : right + 1);
  line.Add(CutMiddle(Printable(scene.machine, scene.charset), std::max(name, 0), scene.charset));
  if (with_state) line.Add("  ").Add(state);
  line.GoTo(columns - right);
  if (!paused.empty()) line.Add(paused, {.ink = Ink::kNotice, .bold = true, .reverse = true}).Add(" ");
  return line.Add(link, link_style).AtRight(Clock(scene));
}

Line PolicyLine(const Scene& scene, int columns) {
  if (!scene.connection.up) {
    // The socket's path stands in the first line already.
    const absl::string_view error = scene.connection.error;
    const std::string path = scene.machine + ": ";
    return Titled(scene, columns, "error").Add(absl::StartsWith(error, path) ? error.substr(path.size()) : error, kBad);
  }
  Line line = Titled(scene, columns, "policy");
  const Snapshot* const snapshot = scene.model->snapshot();
  if (snapshot == nullptr) return line;
  if (!snapshot->policy_error.empty()) return line.Add(snapshot->policy_error, kBad);
  const v1::PolicySource& source = snapshot->source;
  std::string text = absl::StrCat("generation ", snapshot->generation, ", from ",
                                  EnumText(source.kind(), v1::PolicySource::Kind_Name(source.kind()), "KIND_"));
  if (!source.detail().empty()) absl::StrAppend(&text, " (", source.detail(), ")");
  const absl::Time since = FromProto(source.effective_time());
  // With the day, unless that is today.
  const bool today = absl::ToCivilDay(since, scene.zone) == absl::ToCivilDay(scene.now, scene.zone);
  absl::StrAppend(&text, ", since ", absl::FormatTime(today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", since, scene.zone));
  const std::string refused = snapshot->policy_file_refused ? "its file is refused" : "";
  const int reserve = refused.empty() ? 0 : static_cast<int>(refused.size()) + 1;
  line.Add(CutEnd(Printable(text, scene.charset), line.room() - reserve, scene.charset));
  return line.AtRight(refused, kBad);
}

Line SharesLine(const Scene& scene, int columns) {
  Line line = Titled(scene, columns, "share");
  const Snapshot* const snapshot = scene.model->snapshot();
  if (snapshot == nullptr) return line;
  if (snapshot->windows.empty()) return line.Add("none");
  std::vector<std::string> tabs;
  const size_t selected = scene.model->WindowIndex();
  for (size_t i = 0; i < snapshot->windows.size(); ++i) {
    tabs.push_back(Printable(ShareTab(snapshot->windows[i], i == selected), scene.charset));
  }
  // As many before the selected one as leave room for it.
  size_t first = selected;
  int used = Columns(tabs[selected]);
  while (first > 0 && used + Columns(tabs[first - 1]) <= line.room()) used += Columns(tabs[--first]);
  for (size_t i = first; i < tabs.size() && line.room() > 0; ++i) {
    line.Add(tabs[i], i == selected ? Style{.bold = true} : Style{});
  }
  return line;
}

Line UseLine(const Scene& scene, int columns) {
  Line line = Titled(scene, columns, "window");
  const v1::Window* const window = scene.model->window();
  if (window == nullptr) return line;
  const std::string mount =
      absl::StrCat("mounted ", EnumText(window->mount_mode(), v1::MountMode_Name(window->mount_mode()), "MOUNT_MODE_"));
  const std::string mounted = window->mount_mode() == v1::MOUNT_MODE_NOT_MOUNTED ? "not mounted" : mount;
  const uint64_t chunks = window->capacity_bytes() / kDaxRangeSize.raw();
  if (chunks == 0) return line.Add("none").AtRight(mounted);
  const double part = static_cast<double>(window->mapped_chunks()) / static_cast<double>(chunks);
  AddBar(part, std::max(6, columns / 4 - 4), part > 0.9 ? kNotice : kGood, &line);
  line.Add(absl::StrFormat(" %d/%d %.0f%%", window->mapped_chunks(), chunks, part * 100), {.bold = true});
  AddIfRoom(absl::StrCat("  peak ", window->mapped_chunks_max()), {}, &line);
  if (window->quota_bytes() != 0) {
    const std::string quota = absl::StrCat("  quota ", window->quota_bytes() / kDaxRangeSize.raw());
    AddIfRoom(window->quota_reached() ? quota + " full" : quota, window->quota_reached() ? kBad : Style{}, &line);
  }
  return line.AtRight(absl::StrCat(mounted, window->read_only() ? ", read-only" : ""));
}

Line RatesLine(const Scene& scene, int columns) {
  Line line = Titled(scene, columns, "maps");
  const v1::Window* const window = scene.model->window();
  if (window == nullptr) return line;
  const History history = scene.model->HistoryOf(window->share());
  const int half = 8 + (columns - 8) / 2;
  const auto add = [&](uint64_t count, const v1::Rate& rate, const std::vector<double>& values, int end) {
    line.Add(absl::StrCat(CompactCount(count), "  ", Rates(rate), " "));
    line.Add(Sparkline(values, std::min(end - line.used() - 2, 60), scene.charset), kGood);
  };
  add(window->maps(), window->map_rate(), history.maps, half);
  line.GoTo(half).Add("unmaps", kTitle).Add(" ");
  add(window->unmaps(), window->unmap_rate(), history.unmaps, columns);
  return line;
}

Line TroubleLine(const Scene& scene, int columns) {
  Line line = Titled(scene, columns, "events");
  const v1::Window* const window = scene.model->window();
  if (window == nullptr) return line;
  const auto add = [&line](const char* name, uint64_t count, Style if_any) {
    line.Add(name).Add(" ").Add(CompactCount(count), count == 0 ? Style{} : if_any).Add("  ");
  };
  add("repairs", window->repairs(), kNotice);
  add("denied", window->denied(), kNotice);
  add("against policy", window->against_policy(), kNotice);
  add("rejected", window->rejected(), kNotice);
  if (line.room() >= 18) add("past end", window->stores_past_end(), kNotice);
  if (line.room() >= 18) add("dropped", window->dropped_stores(), kNotice);
  return line;
}

Line FollowingLine(const Scene& scene, int columns) {
  Line line = Titled(scene, columns, "guest");
  if (!scene.following.counts) return line.Add(scene.following.error, kBad);
  const v1::WatchConvergenceResponse& counts = *scene.following.counts;
  struct State {
    uint64_t count;
    char mark;
    Style style;
    std::string words;
  };
  const absl::Duration wait =
      absl::Seconds(counts.longest_wait().seconds()) + absl::Nanoseconds(counts.longest_wait().nanos());
  const State states[] = {
      {counts.converged(), '#', kGood, "converged"},
      {counts.changes_on_next_use(), '+', kGood, "next use"},
      {counts.attributes_cached(), '~', kNotice, absl::StrCat("cached ", DurationText(wait))},
      {counts.noticed_held_open(), 'o', kNotice, "held open"},
      {counts.noticed_still_held(), 'h', kNotice, "still held"},
      {counts.unknown(), '?', kFaint, "unknown"},
  };
  std::vector<uint64_t> parts;
  for (const State& state : states) parts.push_back(state.count);
  const std::vector<int> widths = Divide(parts, std::max(6, columns / 4 - 4));
  if (std::all_of(parts.begin(), parts.end(), [](uint64_t count) { return count == 0; })) {
    return line.Add("holds no regular file");
  }
  line.Add("[");
  for (size_t i = 0; i < widths.size(); ++i) line.Add(std::string(widths[i], states[i].mark), states[i].style);
  line.Add("] ").Add(counts.settled() ? "settled" : "moving", counts.settled() ? kGood : kNotice);
  const char* separator = ": ";
  for (const State& state : states) {
    if (state.count == 0) continue;
    line.Add(separator).Add(absl::StrCat(CompactCount(state.count), " ", state.words), state.style);
    separator = ", ";
  }
  return line;
}

Line FooterLine(const Scene& scene, int columns) {
  const Style style{.reverse = true};
  Line line(columns, scene.charset);
  const std::string every = absl::StrCat("every ", DurationText(scene.view.interval), " ");
  for (const std::string& key :
       {std::string(" q quit"), std::string("? help"), absl::StrCat("s sort:", OrderName(scene.view.order)),
        std::string("n/p share"), std::string(scene.view.paused ? "space go on" : "space pause"),
        std::string("r refresh"), std::string("+/- interval")}) {
    const int needed = static_cast<int>(key.size()) + 2;
    if (line.room() < needed + static_cast<int>(every.size())) break;
    line.Add(key, style).Add("  ", style);
  }
  const int gap = line.room() - static_cast<int>(every.size());
  if (gap >= 0) line.Add(std::string(gap, ' '), style).Add(every, style);
  return line.Fill(style);
}

}  // namespace daxvmm::control::top
