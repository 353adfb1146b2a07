#include "devices/virtio_fs/fuse/request_extensions.h"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "devices/virtio_fs/fuse/abi.h"
#include "gtest/gtest.h"

namespace daxvmm::fuse {
namespace {

constexpr uint64_t kBoth = uint64_t{1} << 32 | uint64_t{1} << 34;

std::string Hex(std::initializer_list<int> bytes) {
  std::string text;
  for (int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

std::string U32(uint32_t value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); }

std::string Padded(std::string text) {
  text.resize((text.size() + 7) / 8 * 8);
  return text;
}

std::string Record(uint32_t type, const std::string& body) {
  return U32(static_cast<uint32_t>(8 + body.size())) + U32(type) + body;
}

std::string Label(const std::string& name, const std::string& value) {
  return Padded(U32(static_cast<uint32_t>(value.size())) + U32(0) + name + '\0' + value);
}

// As Linux sends it with SELinux: the header (48 bytes, 1 label), the label's length and padding, its name and value,
// which end 2 bytes short of a multiple of 8.
const std::string kLabels = Hex({48,  0,   0,   0,   1,   0,   0,   0,   13,  0,   0,   0,   0,   0,   0,   0,
                                 's', 'e', 'c', 'u', 'r', 'i', 't', 'y', '.', 's', 'e', 'l', 'i', 'n', 'u', 'x',
                                 0,   'u', ':', 'o', 'b', 'j', 'e', 'c', 't', '_', 'r', ':', 'x', 0,   0,   0});
// 16 bytes, FUSE_EXT_GROUPS, one group: 1001.
const std::string kGroup = Hex({16, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0xe9, 3, 0, 0});

int Decode(const std::string& bytes, uint64_t granted = kBoth) {
  RequestContext context;
  // A copy without slack, so that an address sanitizer sees a read past its end.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const Errno error = DecodeExtensions(absl::string_view(exact.data(), exact.size()), granted, &context);
  if (!error.ok()) {
    EXPECT_TRUE(context.labels.empty());
    EXPECT_FALSE(context.supplementary_group.has_value());
  }
  return error.value();
}

TEST(RequestExtensions, GoldenLabels) {
  RequestContext context;
  ASSERT_TRUE(DecodeExtensions(kLabels, kBoth, &context).ok());
  ASSERT_EQ(context.labels.size(), 1u);
  EXPECT_EQ(context.labels[0].name, "security.selinux");
  EXPECT_EQ(context.labels[0].value, absl::string_view("u:object_r:x\0", 13));
  EXPECT_FALSE(context.supplementary_group.has_value());
}

TEST(RequestExtensions, GoldenGroup) {
  RequestContext context;
  ASSERT_TRUE(DecodeExtensions(kGroup, kBoth, &context).ok());
  EXPECT_EQ(context.supplementary_group, gid_t{1001});
  EXPECT_TRUE(context.labels.empty());
}

TEST(RequestExtensions, BothInEitherOrder) {
  for (const std::string& bytes : {kLabels + kGroup, kGroup + kLabels}) {
    RequestContext context;
    ASSERT_TRUE(DecodeExtensions(bytes, kBoth, &context).ok());
    EXPECT_EQ(context.labels.size(), 1u);
    EXPECT_EQ(context.supplementary_group, gid_t{1001});
  }
}

TEST(RequestExtensions, NoLabelIsALabelBlockOfItsOwn) {
  RequestContext context;
  ASSERT_TRUE(DecodeExtensions(Record(0, ""), kBoth, &context).ok());
  EXPECT_TRUE(context.labels.empty());
  EXPECT_EQ(Decode(""), 0);
}

TEST(RequestExtensions, SeveralLabels) {
  std::string body;
  for (int i = 0; i < 31; ++i) body += Label("security." + std::to_string(i), std::string(static_cast<size_t>(i), 'v'));
  RequestContext context;
  ASSERT_TRUE(DecodeExtensions(Record(31, body), kBoth, &context).ok());
  ASSERT_EQ(context.labels.size(), 31u);
  EXPECT_EQ(context.labels[0].value, "");
  EXPECT_EQ(context.labels[30].name, "security.30");
  EXPECT_EQ(context.labels[30].value, std::string(30, 'v'));
}

TEST(RequestExtensions, EveryTruncationIsRefused) {
  const std::string whole = kLabels + kGroup;
  for (size_t length = 0; length < whole.size(); ++length) {
    // What was cut at the end of a record is whole.
    const bool at_end = length == 0 || length == kLabels.size();
    EXPECT_EQ(Decode(whole.substr(0, length)), at_end ? 0 : EINVAL) << length;
  }
  // And with the record's length cut along, so that it is the inside that ends early.
  for (uint32_t size = 0; size < kLabels.size(); ++size) {
    EXPECT_EQ(Decode(U32(size) + kLabels.substr(4, size < 4 ? 0 : size - 4)), EINVAL) << size;
  }
}

TEST(RequestExtensions, LengthsAndCountsAreNotBelieved) {
  const auto with = [](std::string bytes, size_t at, uint32_t value) { return bytes.replace(at, 4, U32(value)); };
  for (const uint32_t size : {0u, 7u, 40u, 47u, 49u, 56u, 0x7ffffff8u, 0xfffffff8u, 0xffffffffu}) {
    EXPECT_EQ(Decode(with(kLabels, 0, size)), EINVAL) << "record of " << size;
  }
  for (const uint32_t count : {0u, 2u, 31u}) EXPECT_EQ(Decode(with(kLabels, 4, count)), EINVAL) << count << " labels";
  for (const uint32_t size : {16u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_EQ(Decode(with(kLabels, 8, size)), EINVAL) << "value of " << size;
  }
  for (const uint32_t count : {0u, 2u, 3u, 0xffffffffu}) {
    EXPECT_EQ(Decode(with(kGroup, 8, count)), EINVAL) << count << " groups";
  }
  EXPECT_EQ(Decode(with(kGroup, 0, 24) + std::string(8, '\0')), EINVAL) << "longer than its one group";
  EXPECT_EQ(Decode(Record(32, "")), EINVAL);
  EXPECT_EQ(Decode(Record(1, "")), EINVAL);
  EXPECT_EQ(Decode(Record(0, std::string(8, '\0'))), EINVAL) << "more than its labels";
}

TEST(RequestExtensions, NamesOfLabelsAreChecked) {
  EXPECT_EQ(Decode(Record(1, Label("", "v"))), EINVAL);
  EXPECT_EQ(Decode(Record(1, Label(std::string(255, 'n'), "v"))), 0);
  EXPECT_EQ(Decode(Record(1, Label(std::string(256, 'n'), "v"))), EINVAL);
  EXPECT_EQ(Decode(Record(1, U32(0) + U32(0) + std::string(16, 'n'))), EINVAL) << "a name without an end";
}

TEST(RequestExtensions, AsMuchAsAnAttributeMayHoldAndNoMore) {
  EXPECT_EQ(Decode(Record(1, Label(std::string(255, 'n'), std::string(64 << 10, 'v'))) + kGroup), 0);
  EXPECT_EQ(Decode(Record(1, Label("n", std::string(kMaxExtensions - 26, 'v')))), 0);
  EXPECT_EQ(Decode(Record(1, Label("n", std::string(kMaxExtensions - 17, 'v')))), EINVAL);
}

TEST(RequestExtensions, OnlyWhatWasGrantedAndOnce) {
  EXPECT_EQ(Decode(kLabels, 0), EINVAL);
  EXPECT_EQ(Decode(kLabels, uint64_t{1} << 34), EINVAL);
  EXPECT_EQ(Decode(kLabels, uint64_t{1} << 32), 0);
  EXPECT_EQ(Decode(kGroup, uint64_t{1} << 32), EINVAL);
  EXPECT_EQ(Decode(kGroup, uint64_t{1} << 34), 0);
  EXPECT_EQ(Decode(kLabels + kLabels), EINVAL);
  EXPECT_EQ(Decode(kGroup + kGroup), EINVAL);
  EXPECT_EQ(Decode(Record(33, std::string(8, '\0'))), EINVAL);
  EXPECT_EQ(Decode(Record(0xffffffff, std::string(8, '\0'))), EINVAL);
}

}  // namespace
}  // namespace daxvmm::fuse
