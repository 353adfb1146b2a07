#include "devices/virtio_fs/dax/convergence.h"

#include <algorithm>

namespace daxvmm::dax {

void ConvergenceCounts::Add(const ConvergenceState& state) {
  switch (state.what) {
    case Convergence::kConverged:
      ++converged;
      break;
    case Convergence::kAttributesCached:
      ++attributes_cached;
      longest_wait = std::max(longest_wait, state.attributes_left);
      break;
    case Convergence::kChangesOnNextUse:
      ++changes_on_next_use;
      break;
    case Convergence::kNoticedHeldOpen:
      ++noticed_held_open;
      break;
    case Convergence::kNoticedStillHeld:
      ++noticed_still_held;
      break;
    case Convergence::kUnknown:
      ++unknown;
      break;
  }
}

void ConvergenceCounts::Add(const ConvergenceCounts& other) {
  converged += other.converged;
  attributes_cached += other.attributes_cached;
  changes_on_next_use += other.changes_on_next_use;
  noticed_held_open += other.noticed_held_open;
  noticed_still_held += other.noticed_still_held;
  unknown += other.unknown;
  longest_wait = std::max(longest_wait, other.longest_wait);
}

}  // namespace daxvmm::dax
