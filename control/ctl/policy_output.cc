#include "control/ctl/policy_output.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {
namespace {

std::string OutcomeText(v1::Outcome outcome) { return EnumText(outcome, v1::Outcome_Name(outcome), "OUTCOME_"); }

Cell OutcomeCell(v1::Outcome outcome) {
  return {OutcomeText(outcome), outcome == v1::OUTCOME_DAX      ? Tone::kGood
                                : outcome == v1::OUTCOME_NO_DAX ? Tone::kDim
                                                                : Tone::kPlain};
}

// "2026-05-01 12:00:00 UTC (3 min ago)".
std::string TimeAndAgo(const google::protobuf::Timestamp& time, const View& view) {
  return absl::StrCat(TimeText(time), " (", AgoText(TimeOf(time), view.now), ")");
}

std::string SizeCondition(const v1::Rule& rule) {
  if (rule.has_size_at_least() && rule.has_size_below()) {
    return absl::StrCat(SizeText(rule.size_at_least()), " to below ", SizeText(rule.size_below()));
  }
  if (rule.has_size_at_least()) return absl::StrCat("from ", SizeText(rule.size_at_least()));
  if (rule.has_size_below()) return absl::StrCat("below ", SizeText(rule.size_below()));
  return "any";
}

std::string RangeText(const v1::IdRange& range) {
  return range.first() == range.last() ? absl::StrCat(range.first()) : absl::StrCat(range.first(), "-", range.last());
}

// All but share and size, which have columns.
std::string OtherConditions(const v1::Rule& rule) {
  std::vector<std::string> parts;
  const auto list = [&parts](const char* name, const auto& members) {
    if (!members.empty()) parts.push_back(absl::StrCat(name, " ", absl::StrJoin(members, " or ")));
  };
  const auto flag = [&parts](bool present, bool value, const char* yes, const char* no) {
    if (present) parts.emplace_back(value ? yes : no);
  };
  flag(rule.has_read_only_share(), rule.read_only_share(), "read-only share", "writable share");
  list("path", rule.paths());
  list("below", rule.subtrees());
  list("extension", rule.extensions());
  if (rule.has_owner_uid()) parts.push_back(absl::StrCat("uid ", RangeText(rule.owner_uid())));
  if (rule.has_owner_gid()) parts.push_back(absl::StrCat("gid ", RangeText(rule.owner_gid())));
  flag(rule.has_executable(), rule.executable(), "executable", "not executable");
  flag(rule.has_dax_hint(), rule.dax_hint(), "hint set", "hint not set");
  flag(rule.has_huge_pages(), rule.huge_pages(), "huge pages", "no huge pages");
  return absl::StrJoin(parts, "; ");
}

std::string SourceText(const v1::PolicySource& source) {
  const std::string detail = source.detail().empty() ? "" : absl::StrCat(" (", source.detail(), ")");
  switch (source.kind()) {
    case v1::PolicySource::KIND_START:
      return "from the start" + detail;
    case v1::PolicySource::KIND_FILE:
      return "from the file" + detail;
    case v1::PolicySource::KIND_REQUEST:
      return "by request" + detail;
    case v1::PolicySource::KIND_EXPIRY:
      return "an override ran out" + detail;
    case v1::PolicySource::KIND_STATE:
      return "kept from an earlier run" + detail;
    default:
      return EnumText(source.kind(), v1::PolicySource::Kind_Name(source.kind()), "KIND_") + detail;
  }
}

std::string RulesTable(const v1::Policy& policy, const View& view) {
  bool others = false;
  for (const v1::Rule& rule : policy.rules()) others = others || !OtherConditions(rule).empty();
  std::vector<Column> columns = {{"#", Align::kRight}, {"RULE"}, {"SHARE"}, {"SIZE"}, {"OUTCOME"}};
  if (others) columns.push_back({.heading = "FURTHER CONDITIONS"});
  TextTable table(columns);
  int number = 0;
  for (const v1::Rule& rule : policy.rules()) {
    std::vector<Cell> cells = {absl::StrCat(++number), rule.name(), rule.has_share() ? rule.share() : "any",
                               SizeCondition(rule), OutcomeCell(rule.outcome())};
    if (others) cells.emplace_back(OtherConditions(rule));
    table.AddRow(std::move(cells));
  }
  std::vector<Cell> cells = {"", "default", "any", "any", OutcomeCell(policy.default_outcome())};
  if (others) cells.emplace_back("");
  table.AddRow(std::move(cells));
  // A condition that is not read to its end is worse than a line that is broken.
  View whole = view;
  whole.width = 0;
  return table.Render(whole);
}

std::string OverridesTable(const std::vector<const v1::FileOverride*>& overrides, const View& view) {
  TextTable table({{"SHARE"},
                   {"DAX"},
                   {.heading = "EXPIRES", .spare = 1},
                   {.heading = "NOTE", .spare = 2},
                   {.heading = "FILE", .cut = true}});
  for (const v1::FileOverride* one : overrides) {
    std::string expires = "never";
    if (one->has_expire_time()) {
      expires = view.wide ? TimeText(one->expire_time()) : AgoText(TimeOf(one->expire_time()), view.now);
    }
    table.AddRow({one->share(), DaxCell(one->outcome() == v1::OUTCOME_DAX), expires, one->note(),
                  one->file_case() == v1::FileOverride::kNodeId ? absl::StrCat("node ", one->node_id()) : one->path()});
  }
  return table.Render(view);
}

std::string WatchedFileText(const v1::GetPolicyResponse& response, const View& view) {
  if (!response.has_watched_file()) return "";
  const v1::WatchedFile& file = response.watched_file();
  std::string out = absl::StrCat("Watched file: ", EscapeForTerminal(file.path()), "\n");
  if (file.has_load_error()) {
    const std::string error =
        absl::StrCat("  not in force since ", TimeAndAgo(file.load_error_time(), view), ": ", file.load_error());
    absl::StrAppend(&out, Paint(EscapeForTerminal(error), Tone::kBad, view.color), "\n");
  }
  return out;
}

}  // namespace

std::string PolicyText(const v1::GetPolicyResponse& response, const View& view) {
  std::string out;
  if (view.headings) {
    const v1::Enforcement enforcement = response.policy().enforcement();
    absl::StrAppend(&out, "Policy generation ", response.generation(), ", ",
                    EscapeForTerminal(SourceText(response.source())), ", since ",
                    TimeAndAgo(response.source().effective_time(), view), "\n");
    if (view.wide && !response.etag().empty())
      absl::StrAppend(&out, "Etag: ", EscapeForTerminal(response.etag()), "\n");
    absl::StrAppend(&out, WatchedFileText(response, view),
                    "Enforcement: ", EnumText(enforcement, v1::Enforcement_Name(enforcement), "ENFORCEMENT_"), "\n");
  }
  absl::StrAppend(&out, RulesTable(response.policy(), view));
  if (!response.overrides().empty()) absl::StrAppend(&out, OverridesText(response, "", view));
  return out;
}

std::string OverridesText(const v1::GetPolicyResponse& response, const std::string& share, const View& view) {
  std::vector<const v1::FileOverride*> overrides;
  for (const v1::FileOverride& one : response.overrides()) {
    if (share.empty() || one.share() == share) overrides.push_back(&one);
  }
  return absl::StrCat(Title(absl::StrCat("Overrides: ", overrides.size()), view),
                      overrides.empty() ? "" : OverridesTable(overrides, view));
}

std::string HistoryText(const v1::ListPolicyHistoryResponse& response, const View& view) {
  TextTable table({{"GEN", Align::kRight},
                   {"SINCE"},
                   {.heading = "AGO", .spare = 2},
                   {.heading = "POLICY", .spare = 1},
                   {.heading = "CHANGE", .spare = 3},
                   {.heading = "SOURCE", .cut = true}});
  for (const v1::PolicyHistoryEntry& entry : response.entries()) {
    const auto& since = entry.source().effective_time();
    table.AddRow({absl::StrCat(entry.generation()), TimeText(since), AgoText(TimeOf(since), view.now), entry.summary(),
                  entry.change(), SourceText(entry.source())});
  }
  return absl::StrCat(Title(absl::StrCat("Policy generations: ", response.entries_size()), view), table.Render(view));
}

std::string ExplanationText(const v1::ExplainFileResponse& response, const View& view) {
  std::string out = absl::StrCat(
      EscapeForTerminal(response.path()), ", share ", EscapeForTerminal(response.share()), ": ",
      Paint(response.decision_dax() ? "DAX" : "no DAX", response.decision_dax() ? Tone::kGood : Tone::kStrong,
            view.color),
      " by ", EscapeForTerminal(response.decision_rule()), ", policy generation ", response.generation(), "\n");
  if (!response.decision_reason().empty()) {
    absl::StrAppend(&out, "  ", EscapeForTerminal(response.decision_reason()), "\n");
  }
  if (response.live()) {
    absl::StrAppend(&out, "The guest holds it as node ", response.node_id(), ", was told ",
                    !response.has_told_dax() ? "what is not known"
                    : response.told_dax()    ? "DAX"
                                             : "no DAX",
                    "; state: ",
                    Paint(StateText(response.convergence(), response.attributes_left()),
                          StateTone(response.convergence()), view.color),
                    "\n");
  } else {
    absl::StrAppend(&out, "The guest does not hold it.\n");
  }
  View whole = view;
  whole.width = 0;
  TextTable facts({{"FACT"}, {"VALUE"}});
  for (const auto& fact : response.facts()) facts.AddRow({fact.name(), fact.value()});
  TextTable steps({{"#", Align::kRight}, {"RULE"}, {"HOLDS"}, {"WHY"}});
  int number = 0;
  for (const auto& step : response.steps()) {
    steps.AddRow({absl::StrCat(++number),
                  step.rule(),
                  {YesNo(step.matched()), step.matched() ? Tone::kGood : Tone::kDim},
                  step.why()});
  }
  return absl::StrCat(out, facts.Render(whole), steps.Render(whole));
}

std::string EffectText(const v1::PolicyEffect& effect, const View& view) {
  const uint64_t changing = effect.gaining() + effect.losing();
  std::string out = absl::StrCat("Of ", effect.live(), " live files ", effect.gaining(), " would become DAX, and ",
                                 effect.losing(), " would cease to be.\n");
  if (effect.files().empty()) return out;
  if (changing > static_cast<uint64_t>(effect.files_size())) {
    absl::StrAppend(&out, "The first ", effect.files_size(), " of them:\n");
  }
  TextTable table({{"SHARE"}, {"BECOMES"}, {"RULE"}, {.heading = "PATH", .cut = true}});
  for (const v1::PolicyEffect::File& file : effect.files()) {
    table.AddRow({file.share(),
                  {file.decision_dax() ? "dax" : "no-dax", file.decision_dax() ? Tone::kGood : Tone::kWait},
                  file.decision_rule(),
                  file.path()});
  }
  return out + table.Render(view);
}

}  // namespace daxvmm::control
