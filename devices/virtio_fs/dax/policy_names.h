// Ready-made policies, by name. ParsePolicyName in policy.h makes one.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_NAMES_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_NAMES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"

namespace daxvmm::dax {

struct PolicyName {
  absl::string_view spelling;  // "size:SIZE": what is in capitals is for the user to fill in
  absl::string_view meaning;   // a line of help, without a full stop
};

// Every name, in the order of a list.
std::vector<PolicyName> PolicyNames();
// "never, always, ... or adaptive", for an error or a line of help.
std::string PolicyNamesInWords();

// "dax", "no-dax", "follow-hint" or "adaptive".
absl::string_view OutcomeName(Outcome outcome);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_NAMES_H_
