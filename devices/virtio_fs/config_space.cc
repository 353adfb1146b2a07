#include "devices/virtio_fs/config_space.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxvmm::virtio_fs {

static_assert(std::endian::native == std::endian::little, "configuration space is little-endian (virtio 1.2, 1.4)");

absl::Status ValidateTag(absl::string_view tag) {
  if (tag.empty()) return absl::InvalidArgumentError("the tag is empty");
  if (tag.size() > kMaxTagBytes) return absl::InvalidArgumentError("the tag is longer than 36 bytes");
  if (tag.find('\0') != absl::string_view::npos || tag.find('\n') != absl::string_view::npos) {
    return absl::InvalidArgumentError("the tag contains a NUL or a newline");
  }
  return absl::OkStatus();
}

virtio_fs_config MakeConfigSpace(absl::string_view tag, uint32_t request_queues) {
  virtio_fs_config config = {};
  std::memcpy(config.tag, tag.data(), std::min(tag.size(), sizeof(config.tag)));
  config.num_request_queues = request_queues;
  return config;
}

void ReadConfigSpace(const virtio_fs_config& config, uint64_t offset, std::span<uint8_t> data) {
  std::ranges::fill(data, uint8_t{0});
  if (offset >= sizeof(config)) return;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&config);
  std::memcpy(data.data(), bytes + offset, std::min<size_t>(data.size(), sizeof(config) - offset));
}

}  // namespace daxvmm::virtio_fs
