// How a guest's run ended, and the exit status that tells a script.
#ifndef DAXVMM_VMM_GUEST_END_H_
#define DAXVMM_VMM_GUEST_END_H_

#include <string>

namespace daxvmm::vmm {

enum class GuestEndKind {
  kPowerOff,   // the guest powered itself off
  kReset,      // the guest asked for a reboot, which ends the machine: whoever started it may start it again
  kPanic,      // the guest's kernel panicked and said so through pvpanic
  kFault,      // the guest did what cannot be carried out: a touch of an unusable window page, a triple fault
  kHostError,  // KVM or the host failed
  kStopped,    // ended by the operator before the guest powered off
};

struct GuestEnd {
  GuestEndKind kind = GuestEndKind::kPowerOff;
  std::string message;  // one line for the operator; may be empty for kPowerOff
};

// The process exit status of `daxvmm run`. 2 is left for what the operator wrote wrong.
constexpr int ExitStatus(GuestEndKind kind) {
  switch (kind) {
    case GuestEndKind::kPowerOff:
      return 0;
    case GuestEndKind::kHostError:
      return 1;
    case GuestEndKind::kReset:
      return 3;
    case GuestEndKind::kPanic:
      return 4;
    case GuestEndKind::kFault:
      return 5;
    case GuestEndKind::kStopped:
      return 6;
  }
  return 1;
}
inline constexpr int kUsageExitStatus = 2;

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_GUEST_END_H_
