// Decides whether a vCPU whose KVM_RUN failed with EFAULT may enter the guest again.
#ifndef DAXVMM_VMM_FAULT_MENDER_H_
#define DAXVMM_VMM_FAULT_MENDER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/units.h"
#include "vmm/window_guard.h"

namespace daxvmm::vmm {

// A page that the guest's instruction touches.
struct TouchedPage {
  GuestPhysAddr at;
  bool may_store = false;
  // The instruction begins its access on another page, and may or may not reach this one.
  bool perhaps = false;
};

// One per vCPU, for its thread alone.
//
// A fault with progress (something was mended, by whoever) costs nothing. One without it may be a race with a host that
// truncates and extends, which the next entry wins; but a guest must not be able to have the host spin, so the number
// of those in a row is limited.
class FaultMender {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  static constexpr unsigned kMaxFutile = 200;           // faults in a row
  static constexpr unsigned kMaxFutileUnknown = 8;      // of these, such whose page is not known
  static constexpr unsigned kSuspicious = 3;            // after so many, all is looked at
  static constexpr std::chrono::milliseconds kRow{10};  // faults further apart than this are not in a row

  // `guard` outlives this.
  explicit FaultMender(WindowGuard* guard, Clock clock = [] { return std::chrono::steady_clock::now(); });

  // The vCPU is about to enter the guest: which repairs a fault may have been overtaken by.
  void Entering() { repairs_at_entry_ = guard_->repair_count(); }

  // KVM_RUN failed with EFAULT, and the guest's instruction touches these pages: all of them, as far as is known.
  // nullopt: enter again. Else why the guest cannot go on, in a clause.
  std::optional<std::string> Handle(std::span<const TouchedPage> touched);

  // Whether the last fault found something mended, by whoever.
  bool mended() const { return futile_ == 0; }
  // Whether the pages that an instruction perhaps reaches are wanted too.
  bool suspicious() const { return futile_ >= kSuspicious; }

 private:
  WindowGuard* const guard_;
  const Clock clock_;
  uint64_t repairs_at_entry_ = 0;
  unsigned futile_ = 0;          // in a row
  unsigned futile_unknown_ = 0;  // of these, with no page known
  std::chrono::steady_clock::time_point last_futile_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_FAULT_MENDER_H_
