#include "control/ctl/top/round.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "control/ctl/top/model.h"

namespace daxvmm::control::top {
namespace {

constexpr uint32_t kMappingsPerPage = 10000;  // the most that a server gives

std::string Refusal(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnimplemented) return "this server is too old to tell";
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

template <typename T, typename Repeated>
void Append(Repeated* from, std::vector<T>* to) {
  to->insert(to->end(), std::make_move_iterator(from->begin()), std::make_move_iterator(from->end()));
}

std::string PickShare(const std::vector<v1::Window>& windows, const std::string& wanted) {
  const auto named = [&](const v1::Window& window) { return window.share() == wanted; };
  if (std::any_of(windows.begin(), windows.end(), named)) return wanted;
  const auto with_window = std::find_if(windows.begin(), windows.end(),
                                        [](const v1::Window& window) { return window.capacity_bytes() != 0; });
  if (with_window != windows.end()) return with_window->share();
  return windows.empty() ? "" : windows.front().share();
}

absl::Status AskMappings(Source* source, Snapshot* snapshot) {
  v1::ListMappingsRequest request;
  request.set_share(snapshot->share);
  request.set_page_size(kMappingsPerPage);
  auto& list = snapshot->mappings;
  do {
    auto page = source->ListMappings(request);
    if (!page.ok()) {
      if (IsLost(page.status())) return page.status();
      // A token that the server does not know any more ends the list early; the next round has all of it.
      if (list.items.empty()) list.error = Refusal(page.status());
      return absl::OkStatus();
    }
    // An empty page with a token would go on for ever.
    if (page->mappings_size() == 0) break;
    Append(page->mutable_mappings(), &list.items);
    list.total = std::max<uint64_t>(page->total_size(), list.items.size());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && list.items.size() < kMaxMappings);
  return absl::OkStatus();
}

absl::Status AskFiles(Source* source, const Questions& questions, Snapshot* snapshot) {
  v1::ListFilesRequest request;
  request.set_share(snapshot->share);
  request.set_order(questions.order);
  request.set_page_size(questions.files);
  auto& list = snapshot->files;
  auto page = source->ListFiles(request);
  if (!page.ok()) {
    if (IsLost(page.status())) return page.status();
    list.error = Refusal(page.status());
    return absl::OkStatus();
  }
  Append(page->mutable_files(), &list.items);
  list.total = std::max<uint64_t>(page->total_size(), list.items.size());
  SortFiles(questions.order, &list.items);
  return absl::OkStatus();
}

}  // namespace

bool IsLost(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kCancelled;
}

absl::StatusOr<Snapshot> AskRound(Source* source, const Questions& questions) {
  Snapshot snapshot;
  const auto policy = source->GetPolicy();
  if (policy.ok()) {
    snapshot.generation = policy->generation();
    snapshot.source = policy->source();
    snapshot.policy_file_refused = policy->watched_file().has_load_error();
  } else {
    if (IsLost(policy.status())) return policy.status();
    snapshot.policy_error = Refusal(policy.status());
  }
  auto machine = source->GetMachine();
  if (machine.ok()) {
    snapshot.machine = *std::move(machine);
  } else if (IsLost(machine.status())) {
    return machine.status();
  }
  auto windows = source->GetWindow();
  if (windows.ok()) {
    Append(windows->mutable_windows(), &snapshot.windows);
  } else {
    if (IsLost(windows.status())) return windows.status();
    snapshot.files.error = Refusal(windows.status());
  }
  snapshot.share = PickShare(snapshot.windows, questions.share);
  if (!snapshot.share.empty()) {
    RETURN_IF_ERROR(AskMappings(source, &snapshot));
    RETURN_IF_ERROR(AskFiles(source, questions, &snapshot));
  }
  snapshot.time = absl::Now();
  return snapshot;
}

}  // namespace daxvmm::control::top
