// A directory, through the host's system calls: a reference, or a mount point.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_HOST_VOLUME_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_HOST_VOLUME_H_

#include <memory>
#include <string>

#include "tests/fs_conformance/volume.h"

namespace daxvmm::conformance {

// `path` must stay while the volume lives. One thread makes the volume and uses it; its umask becomes its own.
std::unique_ptr<Volume> MakeHostVolume(const std::string& path);

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_HOST_VOLUME_H_
