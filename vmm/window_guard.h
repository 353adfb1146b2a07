// Decides what a guest access to an address with nothing behind it means.
#ifndef DAXVMM_VMM_WINDOW_GUARD_H_
#define DAXVMM_VMM_WINDOW_GUARD_H_

#include <atomic>
#include <deque>
#include <functional>
#include <string>

#include "base/units.h"

namespace daxvmm::vmm {

// Knows the machine's DAX windows. Filled before the first vCPU runs; afterwards any thread may ask.
class WindowGuard {
 public:
  struct Window {
    std::string name;  // the share's tag
    GuestPhysAddr base;
    ByteCount size;
    bool read_only = false;
    // What is wrong with the window's mappings, in a clause; may be empty.
    std::function<std::string()> describe_unusable;
    // What lies at an offset, in a clause; may be empty.
    std::function<std::string(WindowOffset)> describe_at;
  };

  void Add(Window window);

  // True: the vCPU may go on. That is so for a store to a read-only window, which is dropped and counted, and outside
  // of all windows, where nobody answers a real bus either. False: the page of a window that has nothing behind it.
  bool HandleUnbackedAccess(GuestPhysAddr at, bool write);

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
