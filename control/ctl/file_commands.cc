#include "control/ctl/file_commands.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control/ctl/files_output.h"
#include "control/ctl/list_printer.h"
#include "control/ctl/named_file.h"
#include "control/ctl/output.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// As many as a page may have; a first screen comes no later for it.
constexpr uint64_t kPageSize = 1000;

v1::ListFilesRequest MakeListFiles(const Invocation& line) {
  v1::ListFilesRequest request;
  request.set_share(EscapeNonUtf8(line.share));
  const FileFilter& filter = line.filter;
  for (const v1::Convergence state : filter.states) request.add_states(state);
  if (filter.decision_dax) request.set_decision_dax(*filter.decision_dax);
  if (filter.told_dax) request.set_told_dax(*filter.told_dax);
  if (filter.open) request.set_open(*filter.open);
  if (filter.mapped) request.set_mapped(*filter.mapped);
  if (filter.overridden) request.set_overridden(*filter.overridden);
  request.set_subtree(EscapeNonUtf8(filter.subtree));
  request.set_order(line.order);
  return request;
}

bool IsFiltered(const Invocation& line) {
  const FileFilter& filter = line.filter;
  return !filter.states.empty() || filter.decision_dax || filter.told_dax || filter.open || filter.mapped ||
         filter.overridden || !filter.subtree.empty();
}

// How many there are. A server that is older than pages does not tell, and sends all.
uint64_t Total(uint64_t told, int on_first_page) { return std::max(told, static_cast<uint64_t>(on_first_page)); }

// "3", or "2 of 3 shown".
std::string Amount(uint64_t total, std::optional<uint64_t> limit) {
  return limit.has_value() && *limit < total ? absl::StrCat(*limit, " of ", total, " shown") : absl::StrCat(total);
}

// Asks for page after page, and gives each element to `add` until there are no more or the limit is reached.
// `first` is called with the first page, before its elements. The last page's reply without its elements is left in
// `rest`, with what says where to go on if the limit ended it.
template <typename Request, typename Response, typename Ask, typename Elements, typename First, typename Add>
ExitCode WalkPages(const Runner& runner, Request request, Response* rest, ListPrinter* printer, Ask ask,
                   Elements elements, First first, Add add) {
  uint64_t left = runner.line().limit.value_or(UINT64_MAX);
  for (bool is_first = true;; is_first = false) {
    request.set_page_size(static_cast<uint32_t>(std::min(left, kPageSize)));
    absl::StatusOr<Response> page = ask(request);
    if (!page.ok()) return runner.FailCall(page.status());
    if (is_first) first(*page);
    for (const auto& element : elements(&*page)) {
      if (left == 0) break;
      --left;
      runner.for_programs() ? printer->AddObject(element) : add(element);
    }
    if (const ExitCode code = printer->EndPage(); code != ExitCode::kOk) return code;
    elements(&*page).Clear();
    *rest = *std::move(page);
    if (rest->next_page_token().empty() || left == 0) return ExitCode::kOk;
    request.set_page_token(rest->next_page_token());
  }
}

}  // namespace

ExitCode Files(Runner* runner) {
  const Invocation& line = runner->line();
  const View& view = runner->view();
  ListPrinter printer(*runner, "files", FilesTable(view));
  uint64_t generation = 0;
  v1::ListFilesResponse rest;
  const ExitCode code = WalkPages(
      *runner, MakeListFiles(line), &rest, &printer,
      [runner](const v1::ListFilesRequest& request) { return runner->client()->ListFiles(request); },
      [](v1::ListFilesResponse* page) -> auto& { return *page->mutable_files(); },
      [&](const v1::ListFilesResponse& page) {
        generation = page.generation();
        printer.SetTitle(absl::StrCat("Live files", IsFiltered(line) ? " that match" : "", ": ",
                                      Amount(Total(page.total_size(), page.files_size()), line.limit),
                                      ", policy generation ", generation));
      },
      [&](const v1::LiveFile& file) { AddFile(file, view, printer.table()); });
  if (code != ExitCode::kOk) return code;
  if (rest.generation() != generation) {
    runner->Note(absl::StrCat("the policy changed while the list was read, from generation ", generation, " to ",
                              rest.generation(), ": its later part is of that one"));
  }
  return printer.End(rest);
}

ExitCode Mappings(Runner* runner) {
  const Invocation& line = runner->line();
  const View& view = runner->view();
  v1::ListMappingsRequest request;
  if (line.path || line.node) {
    if (const absl::Status named = NameFile(*runner, &request); !named.ok()) return FailNaming(*runner, named);
  } else {
    request.set_share(EscapeNonUtf8(line.share));
  }
  ListPrinter printer(*runner, "mappings", MappingsTable(view));
  v1::ListMappingsResponse rest;
  const ExitCode code = WalkPages(
      *runner, request, &rest, &printer,
      [runner](const v1::ListMappingsRequest& page_request) { return runner->client()->ListMappings(page_request); },
      [](v1::ListMappingsResponse* page) -> auto& { return *page->mutable_mappings(); },
      [&](const v1::ListMappingsResponse& page) {
        printer.SetTitle(
            absl::StrCat("Mappings: ", Amount(Total(page.total_size(), page.mappings_size()), line.limit)));
      },
      [&](const v1::Mapping& mapping) { AddMapping(mapping, view, printer.table()); });
  return code == ExitCode::kOk ? printer.End(rest) : code;
}

}  // namespace daxvmm::control
