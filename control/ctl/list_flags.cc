// The flags of `files`, `mappings`, `window`, `watch` and `policy history`.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "control/ctl/flag_table.h"
#include "control/ctl/flag_values.h"

namespace daxvmm::control {
namespace {

using Id = CommandId;

constexpr Choice<v1::Convergence> kStates[] = {
    {"converged", v1::CONVERGENCE_CONVERGED},           {"cached", v1::CONVERGENCE_ATTRIBUTES_CACHED},
    {"next-use", v1::CONVERGENCE_CHANGES_ON_NEXT_USE},  {"held-open", v1::CONVERGENCE_NOTICED_HELD_OPEN},
    {"still-held", v1::CONVERGENCE_NOTICED_STILL_HELD}, {"unknown", v1::CONVERGENCE_UNKNOWN}};
constexpr Choice<v1::ListFilesRequest::Order> kOrders[] = {{"path", v1::ListFilesRequest::ORDER_PATH},
                                                           {"chunks", v1::ListFilesRequest::ORDER_MAPPED_CHUNKS},
                                                           {"maps", v1::ListFilesRequest::ORDER_SETUP_MAPPINGS},
                                                           {"reads", v1::ListFilesRequest::ORDER_READS},
                                                           {"size", v1::ListFilesRequest::ORDER_SIZE}};

// "--NAME" and "--no-NAME" of `files`.
void AddPair(const std::string& name, const std::string& with, const std::string& without,
             std::optional<bool> FileFilter::* field, std::vector<FlagRow>* rows) {
  for (const bool value : {true, false}) {
    rows->push_back({value ? name : "no-" + name,
                     "",
                     {Id::kFiles},
                     value ? with : without,
                     [field, value](absl::string_view, Invocation* line) -> absl::Status {
                       std::optional<bool>& filter = line->filter.*field;
                       if (filter.has_value() && *filter != value) {
                         return absl::InvalidArgumentError("with and without exclude each other");
                       }
                       filter = value;
                       return absl::OkStatus();
                     }});
  }
}

}  // namespace

std::vector<FlagRow> ListFlags() {
  std::vector<FlagRow> rows = {
      {"state",
       "STATE",
       {Id::kFiles},
       "only files in this state: converged, cached, next-use, held-open, still-held or unknown. May be given again,\n"
       "or as a list with commas: one of them",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         for (const absl::string_view word : absl::StrSplit(value, ',')) {
           ASSIGN_OR_RETURN(const v1::Convergence state, ParseChoice<v1::Convergence>(word, kStates));
           line->filter.states.push_back(state);
         }
         return absl::OkStatus();
       },
       Values::kWords,
       WordsOf<v1::Convergence>(kStates)},
  };
  AddPair("dax", "only files that the policy in force makes DAX", "only those that it does not",
          &FileFilter::decision_dax, &rows);
  rows.push_back({"told",
                  "YES|NO",
                  {Id::kFiles},
                  "only files of which the guest was told that they are DAX, or are not",
                  [](absl::string_view value, Invocation* line) -> absl::Status {
                    ASSIGN_OR_RETURN(line->filter.told_dax, ParseYesNo(value));
                    return absl::OkStatus();
                  },
                  Values::kWords,
                  {"yes", "no"}});
  AddPair("open", "only files on which a handle is open", "only files without one", &FileFilter::open, &rows);
  AddPair("mapped", "only files that have a part in the window", "only files without one", &FileFilter::mapped, &rows);
  AddPair("overridden", "only files for which an override decides", "only files for which a rule decides",
          &FileFilter::overridden, &rows);
  const std::vector<FlagRow> more = {
      {"subtree",
       "DIR",
       {Id::kFiles},
       "only what is below this directory of the share",
       [](absl::string_view value, Invocation* line) { return SetText(value, &line->filter.subtree); }},
      {"sort",
       "ORDER",
       {Id::kFiles},
       "path (default), or descending chunks (mapped now), maps, reads or size",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->order, ParseChoice<v1::ListFilesRequest::Order>(value, kOrders));
         return absl::OkStatus();
       },
       Values::kWords,
       WordsOf<v1::ListFilesRequest::Order>(kOrders)},
      {"limit",
       "N",
       {Id::kFiles, Id::kMappings},
       "show the first so many only, and how many there are",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->limit, ParseWholeNumber(value, "a number of lines"));
         return *line->limit > 0 ? absl::OkStatus() : absl::InvalidArgumentError("0 would show nothing");
       }},
      {"limit",
       "N",
       {Id::kPolicyHistory},
       "show the last so many only",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->limit, ParseWholeNumber(value, "a number of generations"));
         return *line->limit > 0 ? absl::OkStatus() : absl::InvalidArgumentError("0 would show nothing");
       }},
      {"path",
       "PATH",
       {Id::kMappings},
       "only the mappings of this file",
       [](absl::string_view value, Invocation* line) {
         line->path.emplace();
         return SetText(value, &*line->path);
       },
       Values::kPaths},
      {"watch",
       "SECONDS",
       {Id::kWindow},
       "show it again at this interval, 0.1 to 3600, default 1, until the machine ends or this is interrupted",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         line->watch_window = true;
         if (value.empty()) return absl::OkStatus();
         ASSIGN_OR_RETURN(line->interval, ParseSeconds(value, 0.1, 3600));
         return absl::OkStatus();
       },
       Values::kAny,
       {},
       /*value_is_optional=*/true},
      {"interval",
       "SECONDS",
       {Id::kWatch, Id::kTop},
       "0.1 to 60, default 1: `watch` shows the counts this often without a change, `top` asks this often",
       [](absl::string_view value, Invocation* line) -> absl::Status {
         ASSIGN_OR_RETURN(line->interval, ParseSeconds(value, 0.1, 60));
         return absl::OkStatus();
       }},
      {"follow",
       "",
       {Id::kWatch},
       "go on after everything is settled",
       [](absl::string_view, Invocation* line) {
         line->follow = true;
         return absl::OkStatus();
       }},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

}  // namespace daxvmm::control
