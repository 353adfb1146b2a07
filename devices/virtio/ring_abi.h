// The layout of a split virtqueue in guest memory, from the kernel's header without its legacy part, which is not C++.
#ifndef DAXVMM_DEVICES_VIRTIO_RING_ABI_H_
#define DAXVMM_DEVICES_VIRTIO_RING_ABI_H_

#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY
#endif
#include <linux/virtio_ring.h>

#include <bit>
#include <cstddef>

namespace daxvmm::virtio {

static_assert(std::endian::native == std::endian::little, "ring fields are little-endian (virtio 1.2, 1.4)");
static_assert(sizeof(vring_desc) == 16 && alignof(vring_desc) == 8);
static_assert(offsetof(vring_desc, len) == 8 && offsetof(vring_desc, flags) == 12 && offsetof(vring_desc, next) == 14);
static_assert(offsetof(vring_avail, idx) == 2 && offsetof(vring_avail, ring) == 4);
static_assert(offsetof(vring_used, idx) == 2 && offsetof(vring_used, ring) == 4);
static_assert(sizeof(vring_used_elem) == 8 && offsetof(vring_used_elem, len) == 4);

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_RING_ABI_H_
