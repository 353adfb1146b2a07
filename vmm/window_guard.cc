#include "vmm/window_guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"

namespace daxvmm::vmm {
namespace {

using Kind = memory::MendOutcome::Kind;

std::string PlaceIn(const WindowGuard::Window& window, GuestPhysAddr at, const std::string& what) {
  return absl::StrFormat("share '%s', offset 0x%x of the DAX window%s%s", window.name, (at - window.base).raw(),
                         what.empty() ? "" : ": ", what);
}

}  // namespace

void WindowGuard::Add(Window window) { entries_.emplace_back(std::move(window)); }

const WindowGuard::Entry* WindowGuard::Find(GuestPhysAddr at) const {
  for (const Entry& entry : entries_) {
    if (at >= entry.window.base && at - entry.window.base < entry.window.size) return &entry;
  }
  return nullptr;
}

std::optional<std::string> WindowGuard::HandleUnbackedAccess(GuestPhysAddr at, std::span<uint8_t> data, bool write) {
  const Entry* const entry = Find(at);
  if (entry == nullptr) {
    LOG_LIMITED(kDebug) << absl::StrFormat("no device answers a guest %s at 0x%x", write ? "store" : "load", at.raw());
    return std::nullopt;
  }
  const Window& window = entry->window;
  if (write && window.read_only) {
    entry->dropped_stores.fetch_add(1, std::memory_order_relaxed);
    LOG_LIMITED(kWarning) << "share '" << window.name << "': dropped a guest store to the read-only DAX window";
    return std::nullopt;
  }
  const ByteCount offset = at - window.base;
  if (window.owner == nullptr || data.empty() || data.size() > (window.size - offset).raw()) return DescribeAt(at);
  const memory::MendOutcome outcome = window.owner->Access(WindowOffset(offset.raw()), data, write);
  if (outcome.kind == Kind::kMended) return std::nullopt;
  return PlaceIn(window, at, outcome.reason);
}

std::optional<memory::MendOutcome> WindowGuard::Mend(GuestPhysAddr at, memory::Touch touch) {
  const Entry* const entry = Find(at);
  if (entry == nullptr) return std::nullopt;
  const Window& window = entry->window;
  if (window.owner == nullptr) return memory::MendOutcome{Kind::kLost, PlaceIn(window, at, "")};
  memory::MendOutcome outcome = window.owner->Mend(WindowOffset((at - window.base).raw()), touch);
  if (!outcome.reason.empty()) outcome.reason = PlaceIn(window, at, outcome.reason);
  return outcome;
}

bool WindowGuard::LookAtFiles() {
  bool changed = false;
  for (const Entry& entry : entries_) {
    if (entry.window.owner != nullptr) changed |= entry.window.owner->LookAtFiles();
  }
  return changed;
}

uint64_t WindowGuard::repair_count() const {
  uint64_t count = 0;
  for (const Entry& entry : entries_) {
    if (entry.window.owner != nullptr) count += entry.window.owner->repair_count();
  }
  return count;
}

std::string WindowGuard::Describe() const {
  std::string text;
  for (const Entry& entry : entries_) {
    const std::string what = entry.window.owner != nullptr ? entry.window.owner->DescribeUnusable() : "";
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
  const Window& window = entry->window;
  return PlaceIn(window, at,
                 window.owner != nullptr ? window.owner->Describe(WindowOffset((at - window.base).raw())) : "");
}

uint64_t WindowGuard::dropped_stores(GuestPhysAddr base) const {
  for (const Entry& entry : entries_) {
    if (entry.window.base == base) return entry.dropped_stores.load(std::memory_order_relaxed);
  }
  return 0;
}

}  // namespace daxvmm::vmm
