#include "tools/policy_lab/page_cache.h"

namespace daxvmm::lab {

uint32_t* PageCache::Slot(FileId file, uint64_t page) {
  std::vector<uint32_t>& pages = files_[file];
  if (page >= pages.size()) pages.resize(page + 1, kNone);
  return &pages[page];
}

void PageCache::Unlink(uint32_t id) {
  nodes_[nodes_[id].before].after = nodes_[id].after;
  nodes_[nodes_[id].after].before = nodes_[id].before;
}

void PageCache::PushFront(uint32_t id) {
  nodes_[id].before = 0;
  nodes_[id].after = nodes_[0].after;
  nodes_[nodes_[0].after].before = id;
  nodes_[0].after = id;
}

bool PageCache::Touch(FileId file, uint64_t page) {
  const uint32_t id = *Slot(file, page);
  if (id == kNone) return false;
  Unlink(id);
  PushFront(id);
  return true;
}

void PageCache::Insert(FileId file, uint64_t page) {
  if (max_pages_ == 0 || Touch(file, page)) return;
  if (used_ == max_pages_) {
    const uint32_t oldest = nodes_[0].before;
    Unlink(oldest);
    *Slot(nodes_[oldest].file, nodes_[oldest].page) = kNone;
    spare_.push_back(oldest);
    --used_;
  }
  uint32_t id = 0;
  if (spare_.empty()) {
    id = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    id = spare_.back();
    spare_.pop_back();
  }
  nodes_[id].file = file;
  nodes_[id].page = page;
  PushFront(id);
  *Slot(file, page) = id;
  ++used_;
}

void PageCache::Drop(FileId file) {
  const auto it = files_.find(file);
  if (it == files_.end()) return;
  for (const uint32_t id : it->second) {
    if (id == kNone) continue;
    Unlink(id);
    spare_.push_back(id);
    --used_;
  }
  files_.erase(it);
}

}  // namespace daxvmm::lab
