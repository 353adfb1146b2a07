// What a change of the policy was, in a line for a history.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_CHANGE_TEXT_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_CHANGE_TEXT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio_fs/dax/policy.h"
#include "devices/virtio_fs/dax/policy_override.h"

namespace daxvmm::dax {

// "2 rules, default no-dax", with ", 3 overrides" if there are any.
std::string DescribePolicy(const Policy& policy, size_t overrides);
// "rules 2 -> 3 (added big; changed size), default no-dax -> dax, enforcement advisory -> deny"; "nothing". Names the
// first few rules only: some hundred bytes.
std::string DescribePolicyChange(const Policy& from, const Policy& to);
// "override of data:lib/a.so: none -> dax until 2026-11-25T12:00:00Z"; null: none. One of the two is not. Holds at most
// the first 256 bytes of the path; bytes.
std::string DescribeOverrideChange(const Override* from, const Override* to);
// "1 rule", "2 rules".
std::string CountedText(size_t n, absl::string_view what);

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_POLICY_CHANGE_TEXT_H_
