// The policy, its history, and why a file is what it is.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/size_text.h"
#include "control/ctl/output.h"
#include "control/ctl/text_table.h"

namespace daxvmm::control {
namespace {

std::string Size(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

std::string OutcomeText(v1::Outcome outcome) { return EnumText(outcome, v1::Outcome_Name(outcome), "OUTCOME_"); }

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

std::string SizeCondition(const v1::Rule& rule) {
  if (rule.has_size_at_least() && rule.has_size_below()) {
    return absl::StrCat(Size(rule.size_at_least()), " to below ", Size(rule.size_below()));
  }
  if (rule.has_size_at_least()) return absl::StrCat("from ", Size(rule.size_at_least()));
  if (rule.has_size_below()) return absl::StrCat("below ", Size(rule.size_below()));
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

std::string RulesTable(const v1::Policy& policy) {
  bool others = false;
  for (const v1::Rule& rule : policy.rules()) others = others || !OtherConditions(rule).empty();
  std::vector<Column> columns = {{"#", Align::kRight}, {"RULE"}, {"SHARE"}, {"SIZE"}, {"OUTCOME"}};
  if (others) columns.push_back({"FURTHER CONDITIONS"});
  TextTable table(columns);
  int number = 0;
  for (const v1::Rule& rule : policy.rules()) {
    std::vector<std::string> cells = {absl::StrCat(++number), rule.name(), rule.has_share() ? rule.share() : "any",
                                      SizeCondition(rule), OutcomeText(rule.outcome())};
    if (others) cells.push_back(OtherConditions(rule));
    table.AddRow(std::move(cells));
  }
  std::vector<std::string> cells = {"", "default", "any", "any", OutcomeText(policy.default_outcome())};
  if (others) cells.emplace_back();
  table.AddRow(std::move(cells));
  return table.Render();
}

std::string OverridesTable(const v1::GetPolicyResponse& response) {
  if (response.overrides().empty()) return "";
  TextTable table({{"SHARE"}, {"DAX"}, {"EXPIRES"}, {"NOTE"}, {"FILE"}});
  for (const v1::FileOverride& one : response.overrides()) {
    table.AddRow({one.share(), YesNo(one.outcome() == v1::OUTCOME_DAX),
                  one.has_expire_time() ? TimeText(one.expire_time()) : "never", one.note(),
                  one.file_case() == v1::FileOverride::kNodeId ? absl::StrCat("node ", one.node_id()) : one.path()});
  }
  return absl::StrCat("Overrides: ", response.overrides_size(), "\n", table.Render());
}

std::string WatchedFileText(const v1::GetPolicyResponse& response) {
  if (!response.has_watched_file()) return "";
  const v1::WatchedFile& file = response.watched_file();
  std::string out = absl::StrCat("Watched file: ", EscapeForTerminal(file.path()), "\n");
  if (file.has_load_error()) {
    absl::StrAppend(&out, "  not in force since ", TimeText(file.load_error_time()), ": ",
                    EscapeForTerminal(file.load_error()), "\n");
  }
  return out;
}

}  // namespace

std::string PolicyTable(const v1::GetPolicyResponse& response) {
  const v1::Enforcement enforcement = response.policy().enforcement();
  return absl::StrCat("Policy generation ", response.generation(), ", ",
                      EscapeForTerminal(SourceText(response.source())), ", since ",
                      TimeText(response.source().effective_time()), "\n", WatchedFileText(response),
                      "Enforcement: ", EnumText(enforcement, v1::Enforcement_Name(enforcement), "ENFORCEMENT_"), "\n",
                      RulesTable(response.policy()), OverridesTable(response));
}

std::string HistoryTable(const v1::ListPolicyHistoryResponse& response) {
  TextTable table({{"GEN", Align::kRight}, {"SINCE"}, {"POLICY"}, {"CHANGE"}, {"SOURCE"}});
  for (const v1::PolicyHistoryEntry& entry : response.entries()) {
    table.AddRow({absl::StrCat(entry.generation()), TimeText(entry.source().effective_time()), entry.summary(),
                  entry.change(), SourceText(entry.source())});
  }
  return absl::StrCat("Policy generations: ", response.entries_size(), "\n", table.Render());
}

std::string ExplanationText(const v1::ExplainFileResponse& response) {
  std::string out =
      absl::StrFormat("%s, share %s: %s by %s, policy generation %d\n", EscapeForTerminal(response.path()),
                      EscapeForTerminal(response.share()), response.decision_dax() ? "DAX" : "no DAX",
                      EscapeForTerminal(response.decision_rule()), response.generation());
  if (!response.decision_reason().empty()) {
    absl::StrAppend(&out, "  ", EscapeForTerminal(response.decision_reason()), "\n");
  }
  if (response.live()) {
    absl::StrAppend(&out, "The guest holds it as node ", response.node_id(), ", was told ",
                    !response.has_told_dax() ? "what is not known"
                    : response.told_dax()    ? "DAX"
                                             : "no DAX",
                    "; state: ", StateText(response.convergence(), response.attributes_left()), "\n");
  } else {
    absl::StrAppend(&out, "The guest does not hold it.\n");
  }
  TextTable facts({{"FACT"}, {"VALUE"}});
  for (const auto& fact : response.facts()) facts.AddRow({fact.name(), fact.value()});
  TextTable steps({{"#", Align::kRight}, {"RULE"}, {"HOLDS"}, {"WHY"}});
  int number = 0;
  for (const auto& step : response.steps()) {
    steps.AddRow({absl::StrCat(++number), step.rule(), YesNo(step.matched()), step.why()});
  }
  return absl::StrCat(out, facts.Render(), steps.Render());
}

}  // namespace daxvmm::control
