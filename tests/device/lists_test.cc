// What the control plane is shown of a share's files and mappings.
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/error_reason.h"
#include "devices/virtio_fs/dax/policy_names.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/device/device_fixture.h"
#include "vmm/share_lists.h"

namespace daxvmm::virtio_fs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kRead = FUSE_SETUPMAPPING_FLAG_READ;

class ListsTest : public DeviceFixture {
 protected:
  std::vector<const VirtioFsDevice*> Devices() { return {device_.get()}; }
  std::vector<std::string> Paths(const control::FilePage& page) {
    std::vector<std::string> paths;
    for (const auto& entry : page.entries) paths.push_back(entry.file.path);
    return paths;
  }
};

TEST_F(ListsTest, PagesOfFilesByPathAndBySize) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("size:50K")});
  ASSERT_EQ(mkdir(HostPath("d").c_str(), 0755), 0);
  for (const char* name : {"c", "a", "d/b", "d/e"}) MakeFile(name, ByteCount(100));
  MakeFile("big", KiB(64));
  for (const char* name : {"c", "a", "big"}) Lookup(name);
  const uint64_t directory = Lookup("d").nodeid;
  for (const char* name : {"b", "e"}) Lookup(name, directory);

  control::FileQuery query{.limit = 2};
  std::vector<std::string> all;
  for (;;) {
    const control::FilePage page = vmm::QueryFilesOf(Devices(), query);
    EXPECT_EQ(page.total, 5u) << "regular files alone";
    for (const std::string& path : Paths(page)) all.push_back(path);
    if (!page.next_after) break;
    query.after = page.next_after;
  }
  EXPECT_THAT(all, ElementsAre("a", "big", "c", "d/b", "d/e"));
  std::vector<std::string> listed;
  for (const control::LiveFile& file : vmm::ListFilesOf(Devices())) listed.push_back(file.path);
  EXPECT_EQ(listed, all);

  const control::FileQuery by_size{.order = control::FileQuery::Order::kSize, .limit = 1};
  EXPECT_THAT(Paths(vmm::QueryFilesOf(Devices(), by_size)), ElementsAre("big"));
  EXPECT_THAT(Paths(vmm::QueryFilesOf(Devices(), {.decision_dax = true})), ElementsAre("big"));
  EXPECT_THAT(Paths(vmm::QueryFilesOf(Devices(), {.subtree = "d"})), ElementsAre("d/b", "d/e"));
  const uint64_t node = Lookup("c").nodeid;
  Open(node, O_RDONLY);
  EXPECT_THAT(Paths(vmm::QueryFilesOf(Devices(), {.open = true})), ElementsAre("c"));
}

// The host changes a file behind the guest's back: the condition goes by what the guest was told, the page by the host.
TEST_F(ListsTest, AFileThatChangedOnTheHostIsNoLongerShownAsWhatItWas) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("size:50K")});
  MakeFile("file", ByteCount(100));
  Lookup("file");
  MakeFile("file", KiB(64));
  const control::FilePage page = vmm::QueryFilesOf(Devices(), {.decision_dax = false});
  EXPECT_THAT(Paths(page), IsEmpty());
  EXPECT_EQ(page.total, 1u);
}

TEST_F(ListsTest, MappingsByOffsetAndByFile) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("always")});
  MakeFile("one", MiB(4));
  MakeFile("two", MiB(2));
  const uint64_t one = Lookup("one").nodeid;
  const uint64_t two = Lookup("two").nodeid;
  const uint64_t chunk = kDaxRangeSize.raw();
  const absl::Time before = absl::Now();
  ASSERT_EQ(SetupMapping(one, chunk, 2 * chunk, kRead).error, 0);
  ASSERT_EQ(SetupMapping(one, 0, 0, kRead | FUSE_SETUPMAPPING_FLAG_WRITE).error, 0);
  ASSERT_EQ(SetupMapping(two, 0, chunk, kRead).error, 0);

  auto page = vmm::QueryMappingsOf(Devices(), {.limit = 2});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->total, 3u);
  EXPECT_TRUE(page->more);
  ASSERT_EQ(page->mappings.size(), 2u);
  const control::WindowMapping& first = page->mappings[0];
  EXPECT_EQ(first.share_tag, device_->tag());
  EXPECT_EQ(first.at, WindowOffset(0));
  EXPECT_EQ(first.length, kDaxRangeSize);
  EXPECT_EQ(first.guest_address, *device_->window_base());
  EXPECT_EQ(first.node_id, one);
  EXPECT_EQ(first.path, "one");
  EXPECT_TRUE(first.writable);
  EXPECT_EQ(first.policy_generation, 1u);
  EXPECT_GE(first.mapped_at, before - absl::Milliseconds(10));
  EXPECT_LE(first.mapped_at, absl::Now() + absl::Milliseconds(10));
  EXPECT_EQ(page->mappings[1].path, "two");
  EXPECT_FALSE(page->mappings[1].writable);
  page = vmm::QueryMappingsOf(
      Devices(), {.after = control::MappingQuery::Place{device_->tag(), page->mappings[1].at}, .limit = 2});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_FALSE(page->more);
  ASSERT_EQ(page->mappings.size(), 1u);
  EXPECT_EQ(page->mappings[0].at, WindowOffset(2 * chunk));
  EXPECT_EQ(page->mappings[0].from, FileOffset(chunk));

  page = vmm::QueryMappingsOf(Devices(), {.share_tag = device_->tag(), .file = std::string("two")});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->total, 1u);
  page = vmm::QueryMappingsOf(Devices(), {.share_tag = device_->tag(), .file = one});
  EXPECT_EQ(page->total, 2u);
  EXPECT_EQ(ReasonOf(vmm::QueryMappingsOf(Devices(), {.share_tag = device_->tag(), .file = uint64_t{999}}).status()),
            "FILE_NOT_FOUND");
  EXPECT_EQ(
      ReasonOf(vmm::QueryMappingsOf(Devices(), {.share_tag = device_->tag(), .file = std::string("no")}).status()),
      "FILE_NOT_FOUND");
}

TEST_F(ListsTest, TheFirstOfManyFilesThatWouldChange) {
  Mount(kPerFileMount, {.policy = *dax::ParsePolicyName("never")});
  for (int i = 9; i >= 0; --i) {
    const std::string name = "f" + std::to_string(i);
    MakeFile(name, ByteCount(10));
    Lookup(name);
  }
  const auto candidate = policy_->WouldSet(*dax::ParsePolicyName("always"), {});
  ASSERT_TRUE(candidate.ok()) << candidate.status();
  const control::PolicyPreview preview = vmm::ComparePolicyOf(Devices(), **candidate, 3);
  EXPECT_EQ(preview.gaining, 10u);
  EXPECT_EQ(preview.losing, 0u);
  EXPECT_EQ(preview.live, 10u);
  ASSERT_EQ(preview.files.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(preview.files[static_cast<size_t>(i)].path, "f" + std::to_string(i));
  EXPECT_TRUE(preview.files[0].dax);
  EXPECT_EQ(preview.files[0].rule, "default");
  EXPECT_THAT(vmm::ComparePolicyOf(Devices(), **candidate, 0).files, IsEmpty());
}

}  // namespace
}  // namespace daxvmm::virtio_fs
