#include "control/ctl/files_output.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "control/ctl/output.h"

namespace daxvmm::control {
namespace {

Cell ToldCell(const v1::LiveFile& file) { return file.has_told_dax() ? DaxCell(file.told_dax()) : Cell("?"); }

}  // namespace

TextTable FilesTable(const View& view) {
  std::vector<Column> columns = {{"SHARE"},
                                 {"SIZE", Align::kRight, 2},
                                 {"DAX"},
                                 {"RULE", Align::kLeft, 3},
                                 {"TOLD", Align::kLeft, 4},
                                 {"STATE"},
                                 {"OPEN", Align::kLeft, 5},
                                 {"CHUNKS", Align::kRight, 1},
                                 {"MAPS", Align::kRight, 7},
                                 {"READS", Align::kRight, 6}};
  if (view.wide) {
    for (const char* more : {"UNMAPS", "WRITES", "AGAINST", "GEN", "NODE"}) columns.push_back({more, Align::kRight});
    columns.push_back({.heading = "REASON"});
  }
  columns.push_back({.heading = "PATH", .cut = true});
  return TextTable(std::move(columns));
}

void AddFile(const v1::LiveFile& file, const View& view, TextTable* table) {
  Cell dax = DaxCell(file.decision_dax());
  if (file.overridden()) dax.text += "*";
  std::vector<Cell> cells = {file.share(),
                             SizeText(file.size_bytes()),
                             std::move(dax),
                             file.decision_rule(),
                             ToldCell(file),
                             {StateText(file.convergence(), file.attributes_left()), StateTone(file.convergence())},
                             YesNo(file.open()),
                             absl::StrCat(file.mapped_chunks()),
                             absl::StrCat(file.setup_mappings()),
                             absl::StrCat(file.reads())};
  if (view.wide) {
    for (const uint64_t more :
         {file.unmaps(), file.writes(), file.mapped_against_policy(), file.told_generation(), file.node_id()}) {
      cells.emplace_back(absl::StrCat(more));
    }
    cells.emplace_back(file.decision_reason());
  }
  cells.emplace_back(file.path());
  table->AddRow(std::move(cells));
}

TextTable MappingsTable(const View& view) {
  std::vector<Column> columns = {{"SHARE"},
                                 {"OFFSET", Align::kRight},
                                 {"SIZE", Align::kRight},
                                 {"AT", Align::kRight},
                                 {"ACCESS", Align::kLeft, 2},
                                 {"GEN", Align::kRight, 3},
                                 {"MAPPED", Align::kLeft, 1}};
  if (view.wide) {
    columns.push_back({"ADDRESS", Align::kRight});
    columns.push_back({"NODE", Align::kRight});
  }
  columns.push_back({.heading = "PATH", .cut = true});
  return TextTable(std::move(columns));
}

void AddMapping(const v1::Mapping& mapping, const View& view, TextTable* table) {
  std::vector<Cell> cells = {mapping.share(),
                             SizeText(mapping.window_offset()),
                             SizeText(mapping.length_bytes()),
                             SizeText(mapping.file_offset()),
                             mapping.writable() ? "read-write" : "read-only",
                             absl::StrCat(mapping.policy_generation()),
                             view.wide ? TimeText(mapping.map_time()) : AgoText(TimeOf(mapping.map_time()), view.now)};
  if (view.wide) {
    cells.emplace_back(absl::StrFormat("%#x", mapping.guest_address()));
    cells.emplace_back(absl::StrCat(mapping.node_id()));
  }
  cells.emplace_back(mapping.path().empty() ? absl::StrCat("(node ", mapping.node_id(), ")") : mapping.path());
  table->AddRow(std::move(cells));
}

}  // namespace daxvmm::control
