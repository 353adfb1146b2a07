// One round of questions.
#ifndef DAXVMM_CONTROL_CTL_TOP_ROUND_H_
#define DAXVMM_CONTROL_CTL_TOP_ROUND_H_

#include "absl/status/statusor.h"
#include "control/ctl/top/poller.h"
#include "control/ctl/top/snapshot.h"
#include "control/ctl/top/source.h"

namespace daxvmm::control::top {

// More mappings than this are not asked for: a window of 256 GiB.
inline constexpr size_t kMaxMappings = 131072;

// Whether a call's error says that the server does not answer, rather than being its answer.
bool IsLost(const absl::Status& status);

// Blocks. An error only if the server does not answer; what it refuses is told in the snapshot, and of a server that is
// older than a question so is that.
absl::StatusOr<Snapshot> AskRound(Source* source, const Questions& questions);

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_ROUND_H_
