// What the server said, as the poller hands it to the screen.
#ifndef DAXVMM_CONTROL_CTL_TOP_SNAPSHOT_H_
#define DAXVMM_CONTROL_CTL_TOP_SNAPSHOT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"
#include "proto/daxvmm/v1/machine.pb.h"

namespace daxvmm::control::top {

// A list that the server may have refused.
template <typename T>
struct Listed {
  std::vector<T> items;
  uint64_t total = 0;  // more than there are items if not all were asked for
  std::string error;   // why there are none; empty: there was none
};

// One round of questions. They are asked one after the other, so that a change may lie between two answers.
struct Snapshot {
  absl::Time time;  // when the round ended
  std::optional<v1::Machine> machine;
  uint64_t generation = 0;
  v1::PolicySource source;
  bool policy_file_refused = false;
  std::string policy_error;  // instead of the three above
  std::vector<v1::Window> windows;
  // The share that the two lists are of: path text. Empty if there is none at all.
  std::string share;
  Listed<v1::Mapping> mappings;
  Listed<v1::LiveFile> files;
};

// How far the guest has followed, all shares together.
struct Following {
  std::optional<v1::WatchConvergenceResponse> counts;
  std::string error;
};

struct Connection {
  bool up = true;
  std::string error;                        // while it is not
  absl::Time next_try;                      // while it is not and nothing is under way
  std::optional<absl::Time> waiting_since;  // a round, or an attempt to connect, is under way
};

struct Report {
  std::shared_ptr<const Snapshot> snapshot;  // null until the first round has ended
  Following following;
  Connection connection;
};

}  // namespace daxvmm::control::top

#endif  // DAXVMM_CONTROL_CTL_TOP_SNAPSHOT_H_
