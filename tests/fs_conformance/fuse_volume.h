// A file system in this process, driven by the calls that a FUSE client makes.
#ifndef DAXVMM_TESTS_FS_CONFORMANCE_FUSE_VOLUME_H_
#define DAXVMM_TESTS_FS_CONFORMANCE_FUSE_VOLUME_H_

#include <memory>

#include "devices/virtio_fs/fuse/file_system.h"
#include "tests/fs_conformance/volume.h"

namespace daxvmm::conformance {

// `flags` are those that `fs` was initialised with. Plays Linux's part: applies the umask unless FUSE_DONT_MASK is
// among them, and asks for set-id bits to be cleared where the caller is not root. Gives back every lookup reference
// that it takes. Lists with READDIRPLUS and READDIR in turn, and reports an error (EBADMSG) where the two disagree with
// LOOKUP.
std::unique_ptr<Volume> MakeFuseVolume(fuse::FileSystem* fs, uint64_t flags);

}  // namespace daxvmm::conformance

#endif  // DAXVMM_TESTS_FS_CONFORMANCE_FUSE_VOLUME_H_
