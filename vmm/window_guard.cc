#include "vmm/window_guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"

namespace daxvmm::vmm {

void WindowGuard::Add(Window window) { entries_.emplace_back(std::move(window)); }

bool WindowGuard::HandleUnbackedAccess(GuestPhysAddr at, bool write) {
  for (Entry& entry : entries_) {
    const Window& window = entry.window;
    if (at < window.base || at - window.base >= window.size) continue;
    if (write && window.read_only) {
      entry.dropped_stores.fetch_add(1, std::memory_order_relaxed);
      LOG_LIMITED(kWarning) << "share '" << window.name << "': dropped a guest store to the read-only DAX window";
      return true;
    }
    const std::string what = window.describe_at ? window.describe_at(WindowOffset((at - window.base).raw())) : "";
    LOG_LIMITED(kError) << absl::StrFormat("share '%s': the guest %s offset 0x%x of the DAX window", window.name,
                                           write ? "stored to" : "loaded from", (at - window.base).raw())
                        << (what.empty() ? "" : ": ") << what;
    return false;
  }
  LOG_LIMITED(kDebug) << absl::StrFormat("no device answers a guest %s at 0x%x", write ? "store" : "load", at.raw());
  return true;
}

std::string WindowGuard::Describe() const {
  std::string text;
  for (const Entry& entry : entries_) {
    const std::string what = entry.window.describe_unusable ? entry.window.describe_unusable() : "";
    if (what.empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", "share '", entry.window.name, "': ", what);
  }
  if (text.empty() && !entries_.empty()) return "no mapped file is shorter than its mapping: an unmapped window page";
  return text;
}

uint64_t WindowGuard::dropped_stores(GuestPhysAddr base) const {
  for (const Entry& entry : entries_) {
    if (entry.window.base == base) return entry.dropped_stores.load(std::memory_order_relaxed);
  }
  return 0;
}

}  // namespace daxvmm::vmm
