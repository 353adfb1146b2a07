// Decides what a guest access to an address with nothing behind it means.
#ifndef DAXVMM_VMM_WINDOW_GUARD_H_
#define DAXVMM_VMM_WINDOW_GUARD_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>

#include "base/units.h"
#include "memory/window_owner.h"

namespace daxvmm::vmm {

// Knows the machine's DAX windows. Filled before the first vCPU runs; afterwards any thread may ask.
class WindowGuard {
 public:
  struct Window {
    std::string name;  // the share's tag
    GuestPhysAddr base;
    ByteCount size;
    bool read_only = false;
    // Decides what lies in the window; outlives the vCPUs. Null: nobody, and nothing there can be mended.
    memory::WindowOwner* owner = nullptr;
  };

  void Add(Window window);

  // A load or store that KVM handed to user space and no device answers. `data` holds what is stored, or takes what is
  // loaded. nullopt: the vCPU may go on, since the access was carried out in its place (the page of a truncated file),
  // or dropped and counted (a store to a read-only window), or lies outside of all windows, where nobody answers a real
  // bus either. Else why nobody can serve it, in a clause.
  std::optional<std::string> HandleUnbackedAccess(GuestPhysAddr at, std::span<uint8_t> data, bool write);

  // memory::WindowOwner::Mend of the window that holds `at`, with the share's name in the reason; nullopt outside of
  // all windows.
  std::optional<memory::MendOutcome> Mend(GuestPhysAddr at, memory::Touch touch);
  // The same as memory::WindowOwner's, over all windows.
  bool LookAtFiles();
  uint64_t repair_count() const;

  // A clause for the message that ends a machine whose fault has no known address: what is known to be wrong with the
  // windows, or else what it may have been. Empty if there is no window.
  std::string Describe() const;
  // The same for a fault at `at`: what lies there. Empty outside of all windows.
  std::string DescribeAt(GuestPhysAddr at) const;
  // How many guest stores to the window that begins at `base` were dropped.
  uint64_t dropped_stores(GuestPhysAddr base) const;

 private:
  struct Entry {
    explicit Entry(Window w) : window(std::move(w)) {}
    Window window;
    mutable std::atomic<uint64_t> dropped_stores{0};
  };
  const Entry* Find(GuestPhysAddr at) const;

  std::deque<Entry> entries_;  // a deque, since an Entry cannot move
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_WINDOW_GUARD_H_
