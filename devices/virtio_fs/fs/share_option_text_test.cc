#include "devices/virtio_fs/fs/share_option_text.h"

#include <linux/fs.h>

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

ShareOptions Parse(std::initializer_list<const char*> texts) {
  ShareOptions options;
  for (const char* text : texts) {
    const absl::Status status = ApplyShareOption(text, &options);
    EXPECT_TRUE(status.ok()) << status;
  }
  return options;
}

std::string ErrorOf(absl::string_view text) {
  ShareOptions options;
  const absl::Status status = ApplyShareOption(text, &options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(ShareOptionTextTest, EveryOptionSetsWhatItSays) {
  EXPECT_TRUE(Parse({"readonly"}).read_only);
  EXPECT_TRUE(Parse({"writeback"}).writeback);
  EXPECT_FALSE(Parse({"no-xattr"}).xattr);
  EXPECT_FALSE(Parse({"no-acl"}).posix_acl);
  EXPECT_TRUE(Parse({"announce-submounts"}).announce_submounts);
  EXPECT_EQ(Parse({"cache=always"}).cache, CacheMode::kAlways);
  EXPECT_EQ(Parse({"cache=never"}).cache, CacheMode::kNever);
  EXPECT_EQ(Parse({"cache=metadata"}).cache, CacheMode::kMetadata);
  EXPECT_EQ(Parse({"cache=never", "cache=auto"}).cache, CacheMode::kAuto) << "the last one counts";
  EXPECT_EQ(Parse({"dax-hint=trusted"}).dax_hint_store, DaxHintStore::kTrustedXattr);
  EXPECT_EQ(Parse({"dax-hint=user"}).dax_hint_store, DaxHintStore::kUserXattr);
  EXPECT_EQ(Parse({"dax-hint=host"}).dax_hint_store, DaxHintStore::kHostFlag);
  EXPECT_EQ(Parse({"dax-hint=memory"}).dax_hint_store, DaxHintStore::kMemory);
  EXPECT_EQ(Parse({"settable-flags=Ai"}).settable_flags, uint32_t{FS_NOATIME_FL | FS_IMMUTABLE_FL});
  EXPECT_EQ(Parse({"settable-flags=a", "settable-flags="}).settable_flags, 0u);
  EXPECT_EQ(Parse({"max-nodes=16"}).max_nodes, 16u);
  EXPECT_EQ(Parse({"max-descriptors=4096"}).max_descriptors, 4096u);
}

TEST(ShareOptionTextTest, Timeouts) {
  EXPECT_EQ(Parse({"attr-timeout=0"}).attr_timeout, absl::ZeroDuration());
  EXPECT_EQ(Parse({"attr-timeout=0.25"}).attr_timeout, absl::Milliseconds(250));
  EXPECT_EQ(Parse({"entry-timeout=31536000"}).entry_timeout, absl::Hours(365 * 24));
  EXPECT_FALSE(Parse({"attr-timeout=1"}).entry_timeout.has_value());
  for (const char* bad : {"attr-timeout=-1", "attr-timeout=31536001", "attr-timeout=1s", "attr-timeout=nan",
                          "attr-timeout=inf", "attr-timeout=", "entry-timeout=1e99"}) {
    EXPECT_TRUE(absl::StrContains(ErrorOf(bad), "seconds")) << bad;
  }
}

TEST(ShareOptionTextTest, RepeatableOptionsAdd) {
  const ShareOptions options = Parse({"uid-map=0:1000:10", "uid-map=10:2000:10", "gid-map=5:6:1", "uid-squash=99",
                                      "gid-squash=98", "xattr-map=deny:user.a", "xattr-map=map:user.:user.g."});
  EXPECT_EQ(options.uid_map.ToHost(9), 1009u);
  EXPECT_EQ(options.uid_map.ToHost(10), 2000u);
  EXPECT_EQ(options.uid_map.ToHost(20), 99u);
  EXPECT_EQ(options.gid_map.ToHost(5), 6u);
  EXPECT_EQ(options.gid_map.ToHost(6), 98u);
  EXPECT_FALSE(options.xattr_map.ToHost("user.a").ok());
  EXPECT_EQ(*options.xattr_map.ToHost("user.b"), "user.g.b");
}

TEST(ShareOptionTextTest, ErrorsBeginWithTheOptionsName) {
  for (const char* bad : {"cache=",
                          "cache=Auto",
                          "cache",
                          "readonly=",
                          "readonly=yes",
                          "uid-map=0:0",
                          "uid-map=0:0:0:0",
                          "uid-map=a:0:1",
                          "uid-map=-1:0:1",
                          "uid-map=0:0:4294967296",
                          "gid-map=0:4294967295:1",
                          "uid-squash=-1",
                          "uid-squash=4294967295",
                          "gid-squash=x",
                          "xattr-map=allow",
                          "dax-hint=disk",
                          "settable-flags=aZ",
                          "max-nodes=15",
                          "max-nodes=-1",
                          "max-descriptors=many",
                          "max-descriptors=99999999999999999999"}) {
    const std::string name(absl::string_view(bad).substr(0, absl::string_view(bad).find('=')));
    const std::string error = ErrorOf(bad);
    EXPECT_TRUE(absl::StartsWith(error, name + ": ")) << error;
    EXPECT_FALSE(absl::StrContains(error, "\n")) << error;
  }
  for (const char* unknown : {"", "=", "=x", "Readonly", "read-only", "path=/x", " readonly"}) {
    EXPECT_TRUE(absl::StrContains(ErrorOf(unknown), "no option of a share")) << unknown;
  }
  EXPECT_TRUE(absl::StrContains(ErrorOf("cache=x"), "auto, always, never, metadata"));
}

// What is refused leaves the options as they were.
TEST(ShareOptionTextTest, ARefusedValueChangesNothing) {
  ShareOptions options = Parse({"max-nodes=100", "settable-flags=a", "uid-map=0:0:10"});
  for (const char* bad : {"max-nodes=1", "settable-flags=iZ", "uid-map=5:50:10"}) {
    EXPECT_FALSE(ApplyShareOption(bad, &options).ok()) << bad;
  }
  EXPECT_EQ(options.max_nodes, 100u);
  EXPECT_EQ(options.settable_flags, uint32_t{FS_APPEND_FL});
  EXPECT_EQ(options.uid_map.ToHost(12), std::nullopt);
}

TEST(ShareOptionTextTest, HelpNamesEveryOptionOnce) {
  const std::vector<std::string> lines = absl::StrSplit(DescribeShareOptions(), '\n', absl::SkipEmpty());
  std::multiset<std::string> heads;
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 104u) << line;
    if (line[0] != ' ') heads.insert(line.substr(0, line.find_first_of("= ")));
  }
  const std::multiset<std::string> expected = {"readonly",           "cache",    "attr-timeout",   "entry-timeout",
                                               "writeback",          "uid-map",  "gid-map",        "uid-squash",
                                               "gid-squash",         "no-xattr", "no-acl",         "xattr-map",
                                               "announce-submounts", "dax-hint", "settable-flags", "max-nodes",
                                               "max-descriptors"};
  EXPECT_EQ(heads, expected);
}

}  // namespace
}  // namespace daxvmm::fs
