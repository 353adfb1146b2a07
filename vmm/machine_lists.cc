// The machine's files and mappings as the control plane lists them.
#include <utility>
#include <vector>

#include "base/status.h"
#include "vmm/machine.h"
#include "vmm/share_lists.h"

namespace daxvmm::vmm {

absl::StatusOr<std::vector<const virtio_fs::VirtioFsDevice*>> Machine::SelectDevices(const std::string& tag) const {
  ASSIGN_OR_RETURN(const std::vector<const Share*> shares, SelectShares(tag));
  std::vector<const virtio_fs::VirtioFsDevice*> devices;
  for (const Share* share : shares) devices.push_back(share->device.get());
  return devices;
}

absl::StatusOr<std::vector<control::LiveFile>> Machine::ListFiles(const std::string& share_tag) const {
  ASSIGN_OR_RETURN(const auto devices, SelectDevices(share_tag));
  return ListFilesOf(devices);
}

absl::StatusOr<control::FilePage> Machine::QueryFiles(const control::FileQuery& query) const {
  ASSIGN_OR_RETURN(const auto devices, SelectDevices(query.share_tag));
  return QueryFilesOf(devices, query);
}

absl::StatusOr<control::PolicyPreview> Machine::PreviewPolicy(const dax::Policy& policy,
                                                              const control::PolicySetOptions& options,
                                                              size_t limit) const {
  ASSIGN_OR_RETURN(const auto candidate, policy_.WouldSet(policy, ToStore(options)));
  ASSIGN_OR_RETURN(const auto devices, SelectDevices(""));
  control::PolicyPreview preview = ComparePolicyOf(devices, *candidate, limit);
  ASSIGN_OR_RETURN(preview.in_force, ToChange(candidate->generation - 1));
  return preview;
}

absl::StatusOr<control::MappingPage> Machine::QueryMappings(const control::MappingQuery& query) const {
  ASSIGN_OR_RETURN(auto devices, SelectDevices(query.share_tag));
  return QueryMappingsOf(std::move(devices), query);
}

}  // namespace daxvmm::vmm
