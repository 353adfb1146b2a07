// What a vCPU that could not reach a page of a DAX window asks of whoever decides what lies there.
#ifndef DAXVMM_MEMORY_WINDOW_OWNER_H_
#define DAXVMM_MEMORY_WINDOW_OWNER_H_

#include <cstdint>
#include <span>
#include <string>

#include "base/units.h"

namespace daxvmm::memory {

// How the guest touched a page, as far as is known.
enum class Touch { kLoad, kMaybeStore };

struct MendOutcome {
  enum class Kind {
    kMended,   // something was changed, or the access was served: the guest may go on
    kUsable,   // the page can be had, and nothing had to be done: somebody else was faster
    kRefused,  // it can be had for a load but not for a store; `reason` says why
    kLost,     // nobody can serve it, now or later; `reason` says why
  };
  Kind kind = Kind::kLost;
  std::string reason;  // a clause that names the file and the place in it
};

// Any thread may call any method.
class WindowOwner {
 public:
  virtual ~WindowOwner() = default;

  // How often pages became unreachable for stores, or reachable for loads only, since the window was made. A fault
  // before and after which it differs may have been that of an access which would succeed now. Lock-free.
  virtual uint64_t repair_count() const = 0;

  // Looks at the size of every mapped file and brings the window in line; whether that changed anything.
  virtual bool LookAtFiles() = 0;

  // Does what can be done so that the guest's access to the page at `at` succeeds when it is repeated. A store past the
  // end of a truncated file extends the file. May block on the host's file system.
  virtual MendOutcome Mend(WindowOffset at, Touch touch) = 0;

  // Carries out a load or a store of `data` at `at` in the guest's place, mending first. kMended: done. `data` has at
  // most 8 bytes, which lie in the window.
  virtual MendOutcome Access(WindowOffset at, std::span<uint8_t> data, bool store) = 0;

  // What is known to be wrong with the window's mappings, in clauses; empty if nothing is.
  virtual std::string DescribeUnusable() const = 0;
  // What lies at `at`, in a clause.
  virtual std::string Describe(WindowOffset at) const = 0;
};

}  // namespace daxvmm::memory

#endif  // DAXVMM_MEMORY_WINDOW_OWNER_H_
