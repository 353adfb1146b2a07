#include "control/file_query.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace daxvmm::control {
namespace {

bool Wanted(const std::optional<bool>& wanted, bool is) { return !wanted.has_value() || *wanted == is; }

bool FulfilsButForPath(const FileQuery& query, const FileGlance& file) {
  if (!query.share_tag.empty() && file.share_tag != absl::string_view(query.share_tag)) return false;
  if (!query.states.empty() && std::ranges::find(query.states, file.convergence) == query.states.end()) return false;
  // What is not known is neither.
  if (query.told_dax.has_value() && file.told_dax != query.told_dax) return false;
  return Wanted(query.decision_dax, file.decision_dax) && Wanted(query.open, file.open) &&
         Wanted(query.mapped, file.mapped_chunks != 0) && Wanted(query.overridden, file.overridden);
}

bool IsBelow(const std::string& path, const std::string& directory) {
  if (directory.empty() || directory == ".") return true;
  return path.size() > directory.size() && path[directory.size()] == '/' && path.starts_with(directory);
}

uint64_t AmountOf(FileQuery::Order order, const FileGlance& file) {
  switch (order) {
    case FileQuery::Order::kPath:
      return 0;
    case FileQuery::Order::kMappedChunks:
      return file.mapped_chunks;
    case FileQuery::Order::kReads:
      return file.reads;
    case FileQuery::Order::kSize:
      return file.size;
    case FileQuery::Order::kSetupMappings:
      return file.setup_mappings;
  }
  return 0;
}

}  // namespace

FileGlance GlanceOf(const LiveFile& file, absl::FunctionRef<std::string()> path) {
  return {.share_tag = file.share_tag,
          .node_id = file.node_id,
          .decision_dax = file.decision_dax,
          .overridden = file.overridden,
          .told_dax = file.told_dax,
          .convergence = file.convergence,
          .open = file.open,
          .mapped_chunks = file.mapped_chunks,
          .setup_mappings = file.setup_mappings,
          .reads = file.reads,
          .size = file.size.raw(),
          .path = path};
}

bool IsBefore(const FileQuery::Place& a, const FileQuery::Place& b) {
  if (a.amount != b.amount) return a.amount > b.amount;
  return std::tie(a.share_tag, a.path, a.node_id) < std::tie(b.share_tag, b.path, b.node_id);
}

FileSelector::FileSelector(const FileQuery& query) : query_(query) {}

void FileSelector::Look(const FileGlance& file) {
  if (!FulfilsButForPath(query_, file)) return;
  FileQuery::Place place{.amount = AmountOf(query_.order, file),
                         .share_tag = std::string(file.share_tag),
                         .path = {},
                         .node_id = file.node_id};
  const bool path_decides = !query_.subtree.empty();
  if (path_decides) {
    place.path = file.path();
    if (!IsBelow(place.path, query_.subtree)) return;
  }
  ++total_;
  // Most files of an order by numbers are out before their path is asked for.
  if (query_.after && place.amount > query_.after->amount) return;
  const bool full = best_.size() >= query_.limit;
  if (full && (best_.empty() || place.amount < best_.front().amount)) {
    more_ = true;
    return;
  }
  if (!path_decides) place.path = file.path();
  if (query_.after && !IsBefore(*query_.after, place)) return;
  if (full) {
    more_ = true;
    if (!IsBefore(place, best_.front())) return;
    std::ranges::pop_heap(best_, IsBefore);
    best_.pop_back();
  }
  best_.push_back(std::move(place));
  std::ranges::push_heap(best_, IsBefore);
}

std::vector<FileQuery::Place> FileSelector::Take() {
  std::ranges::sort_heap(best_, IsBefore);
  return std::move(best_);
}

bool Fulfils(const FileQuery& query, const LiveFile& file) {
  const auto path = [&file] { return file.path; };
  return FulfilsButForPath(query, GlanceOf(file, path)) && IsBelow(file.path, query.subtree);
}

FilePage MakePage(const FileQuery& query, FileSelector* selector,
                  absl::FunctionRef<std::optional<LiveFile>(const FileQuery::Place&)> find) {
  FilePage page;
  page.total = selector->total();
  std::vector<FileQuery::Place> places = selector->Take();
  if (selector->more() && !places.empty()) page.next_after = places.back();
  for (FileQuery::Place& place : places) {
    std::optional<LiveFile> file = find(place);
    if (file.has_value() && Fulfils(query, *file)) page.entries.push_back({std::move(place), *std::move(file)});
  }
  return page;
}

}  // namespace daxvmm::control
