#include "vmm/window_guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"

namespace daxvmm::vmm {

void WindowGuard::Add(Window window) { entries_.emplace_back(std::move(window)); }

const WindowGuard::Entry* WindowGuard::Find(GuestPhysAddr at) const {
  for (const Entry& entry : entries_) {
    if (at >= entry.window.base && at - entry.window.base < entry.window.size) return &entry;
  }
  return nullptr;
}

bool WindowGuard::HandleUnbackedAccess(GuestPhysAddr at, bool write) {
  const Entry* const entry = Find(at);
  if (entry == nullptr) {
    LOG_LIMITED(kDebug) << absl::StrFormat("no device answers a guest %s at 0x%x", write ? "store" : "load", at.raw());
    return true;
  }
  if (!write || !entry->window.read_only) return false;
  entry->dropped_stores.fetch_add(1, std::memory_order_relaxed);
  LOG_LIMITED(kWarning) << "share '" << entry->window.name << "': dropped a guest store to the read-only DAX window";
  return true;
}

std::string WindowGuard::Describe() const {
  std::string text;
  for (const Entry& entry : entries_) {
    const std::string what = entry.window.describe_unusable ? entry.window.describe_unusable() : "";
    if (what.empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", "share '", entry.window.name, "': ", what);
  }
  if (!text.empty() || entries_.empty()) return text;
  return "no mapped file is shorter than its mapping, so this may have been a page of a DAX window that nothing is "
         "mapped at, or a store to one that is mapped read-only";
}

std::string WindowGuard::DescribeAt(GuestPhysAddr at) const {
  const Entry* const entry = Find(at);
  if (entry == nullptr) return "";
  const ByteCount offset = at - entry->window.base;
  const std::string what = entry->window.describe_at ? entry->window.describe_at(WindowOffset(offset.raw())) : "";
  return absl::StrFormat("share '%s', offset 0x%x of the DAX window%s%s", entry->window.name, offset.raw(),
                         what.empty() ? "" : ": ", what);
}

uint64_t WindowGuard::dropped_stores(GuestPhysAddr base) const {
  for (const Entry& entry : entries_) {
    if (entry.window.base == base) return entry.dropped_stores.load(std::memory_order_relaxed);
  }
  return 0;
}

}  // namespace daxvmm::vmm
