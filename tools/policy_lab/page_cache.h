// The guest's page cache for files that are not DAX: 4 KiB pages, the least recently used goes first.
#ifndef DAXVMM_TOOLS_POLICY_LAB_PAGE_CACHE_H_
#define DAXVMM_TOOLS_POLICY_LAB_PAGE_CACHE_H_

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tools/policy_lab/window_model.h"

namespace daxvmm::lab {

class PageCache {
 public:
  explicit PageCache(uint64_t max_pages) : max_pages_(max_pages) {}

  // Whether the page is there; if so, it is the most recently used.
  bool Touch(FileId file, uint64_t page);
  // Puts a page in, or makes it the most recently used.
  void Insert(FileId file, uint64_t page);
  // Drops all pages of a file.
  void Drop(FileId file);

  uint64_t pages() const { return used_; }

 private:
  struct Node {
    FileId file = 0;
    uint64_t page = 0;
    uint32_t before = 0;
    uint32_t after = 0;
  };
  static constexpr uint32_t kNone = 0;  // node 0 is the head of the list

  uint32_t* Slot(FileId file, uint64_t page);
  void Unlink(uint32_t id);
  void PushFront(uint32_t id);

  const uint64_t max_pages_;
  uint64_t used_ = 0;
  std::vector<Node> nodes_{1};
  std::vector<uint32_t> spare_;
  std::unordered_map<FileId, std::vector<uint32_t>> files_;  // page -> node, or kNone
};

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_PAGE_CACHE_H_
