// The policies that the lab compares, behind what a server asks of one.
#ifndef DAXVMM_TOOLS_POLICY_LAB_LAB_POLICY_H_
#define DAXVMM_TOOLS_POLICY_LAB_LAB_POLICY_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/adaptive.h"
#include "tools/policy_lab/window_model.h"

namespace daxvmm::lab {

class LabPolicy {
 public:
  virtual ~LabPolicy() = default;
  // FUSE_ATTR_DAX of the reply that an inode is made from.
  virtual bool Instantiated(Nanos now, FileId file, uint64_t size, bool huge) = 0;
  // The same of a later reply.
  virtual bool Current(FileId file, uint64_t size) const = 0;
  virtual void Forgotten(Nanos /*now*/, const dax::FileSample& /*last*/) {}
  // Whether to call Tick now; `maps`: chunks mapped so far.
  virtual bool Due(Nanos /*now*/, uint64_t /*maps*/) const { return false; }
  // Returns how many verdicts changed.
  virtual size_t Tick(Nanos /*now*/, const dax::WindowSample& /*window*/, std::span<const dax::FileSample> /*active*/) {
    return 0;
  }
};

// Told of each verdict that a policy with reasons gives or changes: in a line.
using VerdictLog = std::function<void(Nanos now, FileId file, const std::string& why)>;

// "always", "never", "size" or "adaptive"; null for any other name.
std::unique_ptr<LabPolicy> MakePolicy(absl::string_view name, uint64_t capacity_chunks,
                                      const dax::AdaptiveTuning& tuning = {}, VerdictLog log = nullptr);

inline constexpr absl::string_view kPolicyNames[] = {"never", "always", "size", "adaptive"};

}  // namespace daxvmm::lab

#endif  // DAXVMM_TOOLS_POLICY_LAB_LAB_POLICY_H_
