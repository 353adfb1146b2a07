#include "vmm/fault_mender.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::vmm {

using Kind = memory::MendOutcome::Kind;
using memory::Touch;

FaultMender::FaultMender(WindowGuard* guard, Clock clock) : guard_(guard), clock_(std::move(clock)) {}

std::optional<std::string> FaultMender::Handle(std::span<const TouchedPage> touched) {
  // Then even a load may have faulted on what has become a repair page since, and must not pass for a store to it.
  const bool overtaken = guard_->repair_count() != repairs_at_entry_;
  bool mended = overtaken;
  std::optional<GuestPhysAddr> known;  // the first page that is certainly touched and lies in a window
  std::optional<std::string> refusal;
  for (const TouchedPage& page : touched) {
    const Touch touch = page.may_store && !overtaken ? Touch::kMaybeStore : Touch::kLoad;
    std::optional<memory::MendOutcome> outcome = guard_->Mend(page.at, touch);
    if (!outcome.has_value()) continue;
    if (!page.perhaps && !known.has_value()) known = page.at;
    switch (outcome->kind) {
      case Kind::kMended:
        mended = true;
        break;
      case Kind::kUsable:
        break;
      case Kind::kLost:
        if (!page.perhaps) return std::move(outcome->reason);
        [[fallthrough]];
      case Kind::kRefused:
        refusal = std::move(outcome->reason);
        break;
    }
  }
  if (!mended && (!known.has_value() || futile_ == kSuspicious)) mended = guard_->LookAtFiles();
  if (mended) {
    futile_ = futile_unknown_ = 0;
    return std::nullopt;
  }
  const std::chrono::steady_clock::time_point now = clock_();
  if (now - last_futile_ > kRow) futile_ = futile_unknown_ = 0;
  last_futile_ = now;
  ++futile_;
  if (!known.has_value()) ++futile_unknown_;
  if (futile_ < kMaxFutile && futile_unknown_ < kMaxFutileUnknown) return std::nullopt;
  if (refusal.has_value()) return refusal;
  // What is left is the host's: no memory, no room on the disk for a hole's page, an error of the disk.
  return known.has_value() ? absl::StrCat(guard_->DescribeAt(*known), ", but the host cannot bring the page in")
                           : guard_->Describe();
}

}  // namespace daxvmm::vmm
