#include "control/ctl/top/model.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

namespace daxvmm::control::top {
namespace {

constexpr size_t kHistory = 240;  // wider than any terminal gives it room

void Remember(double rate, std::deque<double>* rates) {
  rates->push_back(rate);
  if (rates->size() > kHistory) rates->pop_front();
}

uint64_t Heat(const v1::LiveFile& file, v1::ListFilesRequest::Order order) {
  switch (order) {
    case v1::ListFilesRequest::ORDER_MAPPED_CHUNKS:
      return file.mapped_chunks();
    case v1::ListFilesRequest::ORDER_READS:
      return file.reads();
    case v1::ListFilesRequest::ORDER_SIZE:
      return file.size_bytes();
    case v1::ListFilesRequest::ORDER_SETUP_MAPPINGS:
      return file.setup_mappings();
    default:
      return 0;
  }
}

}  // namespace

void LetterBook::Assign(const std::vector<uint64_t>& hottest) {
  const auto end = hottest.begin() + static_cast<ptrdiff_t>(std::min<size_t>(hottest.size(), kLetters));
  const std::set<uint64_t> keep(hottest.begin(), end);
  for (auto& owner : owner_) {
    if (owner && keep.count(*owner) == 0) owner.reset();
  }
  for (auto node = hottest.begin(); node != end; ++node) {
    if (LetterOf(*node)) continue;
    const auto free = std::find(owner_.begin(), owner_.end(), std::nullopt);
    if (free != owner_.end()) *free = *node;
  }
}

std::optional<int> LetterBook::LetterOf(uint64_t node) const {
  const auto found = std::find(owner_.begin(), owner_.end(), std::optional<uint64_t>(node));
  if (found == owner_.end()) return std::nullopt;
  return static_cast<int>(found - owner_.begin());
}

void Model::Take(std::shared_ptr<const Snapshot> snapshot) {
  if (snapshot == nullptr || snapshot == snapshot_) return;
  snapshot_ = std::move(snapshot);
  std::set<std::string> present;
  for (const v1::Window& window : snapshot_->windows) {
    present.insert(window.share());
    TakeWindow(window);
  }
  for (auto track = tracks_.begin(); track != tracks_.end();) {
    track = present.count(track->first) != 0 ? std::next(track) : tracks_.erase(track);
  }
  AssignLetters();
}

void Model::TakeWindow(const v1::Window& window) {
  const auto [found, is_new] = tracks_.try_emplace(window.share());
  Track& track = found->second;
  // Counters that go back are those of another machine.
  if (!is_new && (window.maps() < track.maps || window.unmaps() < track.unmaps)) track = {};
  const double seconds = absl::ToDoubleSeconds(snapshot_->time - track.time);
  if (track.time != absl::Time() && seconds > 0) {
    Remember(static_cast<double>(window.maps() - track.maps) / seconds, &track.map_rates);
    Remember(static_cast<double>(window.unmaps() - track.unmaps) / seconds, &track.unmap_rates);
  }
  track.time = snapshot_->time;
  track.maps = window.maps();
  track.unmaps = window.unmaps();
}

void Model::AssignLetters() {
  const auto track = tracks_.find(snapshot_->share);
  if (track == tracks_.end()) return;
  std::map<uint64_t, uint64_t> bytes;
  for (const v1::Mapping& mapping : snapshot_->mappings.items) bytes[mapping.node_id()] += mapping.length_bytes();
  std::vector<std::pair<uint64_t, uint64_t>> by_size(bytes.begin(), bytes.end());
  std::sort(by_size.begin(), by_size.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<uint64_t> hottest;
  for (const auto& [node, size] : by_size) {
    if (hottest.size() == kLetters) break;
    hottest.push_back(node);
  }
  track->second.letters.Assign(hottest);
}

History Model::HistoryOf(const std::string& share) const {
  const auto track = tracks_.find(share);
  if (track == tracks_.end()) return {};
  const Track& of = track->second;
  return {.maps = {of.map_rates.begin(), of.map_rates.end()}, .unmaps = {of.unmap_rates.begin(), of.unmap_rates.end()}};
}

std::optional<int> Model::LetterOf(uint64_t node) const {
  if (snapshot_ == nullptr) return std::nullopt;
  const auto track = tracks_.find(snapshot_->share);
  return track == tracks_.end() ? std::nullopt : track->second.letters.LetterOf(node);
}

size_t Model::WindowIndex() const {
  if (snapshot_ == nullptr) return 0;
  const auto& all = snapshot_->windows;
  const auto mine = std::find_if(all.begin(), all.end(),
                                 [&](const v1::Window& window) { return window.share() == snapshot_->share; });
  return mine == all.end() ? 0 : mine - all.begin();
}

const v1::Window* Model::window() const {
  if (snapshot_ == nullptr || snapshot_->windows.empty()) return nullptr;
  return &snapshot_->windows[WindowIndex()];
}

std::string Model::ShareAfter(int steps) const {
  if (snapshot_ == nullptr || snapshot_->windows.empty()) return "";
  const auto count = static_cast<int>(snapshot_->windows.size());
  const int index = ((static_cast<int>(WindowIndex()) + steps) % count + count) % count;
  return snapshot_->windows[index].share();
}

void SortFiles(v1::ListFilesRequest::Order order, std::vector<v1::LiveFile>* files) {
  std::sort(files->begin(), files->end(), [order](const v1::LiveFile& a, const v1::LiveFile& b) {
    const uint64_t heat_a = Heat(a, order);
    const uint64_t heat_b = Heat(b, order);
    if (heat_a != heat_b) return heat_a > heat_b;
    return std::tie(a.share(), a.path()) < std::tie(b.share(), b.path());
  });
}

}  // namespace daxvmm::control::top
