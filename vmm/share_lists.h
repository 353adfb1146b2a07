// What the control plane is shown of the files and mappings of some shares. Needs no machine around them.
#ifndef DAXVMM_VMM_SHARE_LISTS_H_
#define DAXVMM_VMM_SHARE_LISTS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "control/controller.h"
#include "devices/virtio_fs/virtio_fs_device.h"

namespace daxvmm::vmm {

// Those that a request is about, in any order. Any thread may call any of these.
using Devices = std::span<const virtio_fs::VirtioFsDevice* const>;

// Sorted by share and path.
std::vector<control::LiveFile> ListFilesOf(Devices devices);
// As control::Controller::QueryFiles, without a look at the query's share.
control::FilePage QueryFilesOf(Devices devices, const control::FileQuery& query);
// As control::Controller::PreviewPolicy, but for what is in force.
control::PolicyPreview ComparePolicyOf(Devices devices, const dax::PolicySnapshot& candidate, size_t limit);
// As control::Controller::QueryMappings. With a file in the query there is one device, that of its share.
absl::StatusOr<control::MappingPage> QueryMappingsOf(std::vector<const virtio_fs::VirtioFsDevice*> devices,
                                                     const control::MappingQuery& query);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_SHARE_LISTS_H_
