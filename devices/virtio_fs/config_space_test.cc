#include "devices/virtio_fs/config_space.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace daxvmm::virtio_fs {
namespace {

std::vector<uint8_t> Read(const virtio_fs_config& config, uint64_t offset, size_t size) {
  std::vector<uint8_t> data(size, 0xee);
  ReadConfigSpace(config, offset, data);
  return data;
}

TEST(ConfigSpace, TagsHaveOneTo36BytesAndNoNulOrNewline) {
  EXPECT_TRUE(ValidateTag("a").ok());
  EXPECT_TRUE(ValidateTag(std::string(36, 't')).ok());
  for (const std::string& tag : {std::string(), std::string(37, 't'), std::string("a\nb"), std::string("a\0b", 3)}) {
    EXPECT_EQ(ValidateTag(tag).code(), absl::StatusCode::kInvalidArgument) << tag;
  }
}

TEST(ConfigSpace, PadsAShortTagAndFillsUpWithALongOne) {
  const virtio_fs_config shorter = MakeConfigSpace("data", 3);
  EXPECT_EQ(Read(shorter, 0, 6), (std::vector<uint8_t>{'d', 'a', 't', 'a', 0, 0}));
  EXPECT_EQ(Read(shorter, 36, 4), (std::vector<uint8_t>{3, 0, 0, 0}));
  const virtio_fs_config longer = MakeConfigSpace(std::string(36, 't'), 0x01020304);
  EXPECT_EQ(Read(longer, 34, 6), (std::vector<uint8_t>{'t', 't', 4, 3, 2, 1}));
}

TEST(ConfigSpace, ReadsZeroPastItsEnd) {
  const virtio_fs_config config = MakeConfigSpace("data", 0xffffffff);
  EXPECT_EQ(Read(config, 38, 4), (std::vector<uint8_t>{0xff, 0xff, 0, 0}));
  EXPECT_EQ(Read(config, 40, 2), (std::vector<uint8_t>{0, 0}));
  EXPECT_EQ(Read(config, ~uint64_t{0}, 2), (std::vector<uint8_t>{0, 0}));
}

}  // namespace
}  // namespace daxvmm::virtio_fs
