#include "devices/virtio_fs/fs/xattr_map.h"

#include <initializer_list>
#include <string>

#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

XattrMap MapOf(std::initializer_list<const char*> rules) {
  XattrMap map;
  for (const char* rule : rules) EXPECT_TRUE(map.AddRule(rule).ok()) << rule;
  return map;
}

TEST(XattrMapTest, WithoutRulesEveryNameIsItself) {
  const XattrMap map;
  EXPECT_TRUE(map.identity());
  EXPECT_EQ(*map.ToHost("user.a"), "user.a");
  EXPECT_EQ(map.ToGuest("trusted.b"), "trusted.b");
}

TEST(XattrMapTest, TheFirstRuleThatMatchesCounts) {
  const XattrMap map = MapOf({"allow:user.secret.not", "deny:user.secret", "unsupported:trusted.", "deny:"});
  EXPECT_FALSE(map.identity());
  EXPECT_EQ(*map.ToHost("user.secret.not.this"), "user.secret.not.this");
  EXPECT_EQ(map.ToHost("user.secret.s").error(), Errno(EPERM));
  EXPECT_EQ(map.ToHost("trusted.t").error(), Errno(EOPNOTSUPP));
  EXPECT_EQ(map.ToHost("user.other").error(), Errno(EPERM)) << "the empty prefix matches everything";
  EXPECT_EQ(map.ToGuest("user.secret.not.this"), "user.secret.not.this");
  for (const char* hidden : {"user.secret.s", "trusted.t", "user.other"}) {
    EXPECT_EQ(map.ToGuest(hidden), std::nullopt) << hidden;
  }
}

TEST(XattrMapTest, AMappedNameComesBack) {
  const XattrMap map = MapOf({"map:trusted.:user.guest.trusted.", "map:security.:user.guest.security."});
  for (const char* name : {"trusted.a", "security.selinux", "user.plain"}) {
    const auto host = map.ToHost(name);
    ASSERT_TRUE(host.ok()) << name;
    EXPECT_EQ(map.ToGuest(*host), name);
  }
  EXPECT_EQ(*map.ToHost("trusted.a"), "user.guest.trusted.a");
}

TEST(XattrMapTest, NobodyReachesAMappingsStorage) {
  const XattrMap map = MapOf({"map:trusted.:user.guest."});
  EXPECT_EQ(map.ToHost("user.guest.a").error(), Errno(EPERM));
  EXPECT_EQ(map.ToGuest("trusted.hosts"), std::nullopt) << "the guest's name of it leads elsewhere";
  EXPECT_EQ(map.ToGuest("user.guest.a"), "trusted.a");
}

// Below the guest's own prefix: the usual way to keep everything of a guest in one place.
TEST(XattrMapTest, APrefixMayMapIntoItself) {
  const XattrMap map = MapOf({"map:user.:user.guest."});
  EXPECT_EQ(*map.ToHost("user.a"), "user.guest.a");
  EXPECT_EQ(*map.ToHost("user.guest.a"), "user.guest.guest.a");
  EXPECT_EQ(map.ToGuest("user.guest.guest.a"), "user.guest.a");
  EXPECT_EQ(map.ToGuest("user.a"), std::nullopt);
}

// A listed name that could not be got again, or that leads to another attribute, would break every backup.
TEST(XattrMapTest, WhatIsListedLeadsBack) {
  const XattrMap maps[] = {MapOf({"map:trusted.:user.guest.", "deny:user.guest."}),
                           MapOf({"deny:trusted.a", "map:trusted.:user.guest."}),
                           MapOf({"map:trusted.:user.guest.", "map:security.:user.guest.security."}),
                           MapOf({"allow:user.guest.x", "map:trusted.:user.guest."}),
                           MapOf({"map:user.:user.guest.", "deny:"}),
                           MapOf({"map:trusted.:user.x.", "map:security.:trusted."}),
                           MapOf({"map:a.:b.", "map:b.:a."})};
  for (size_t i = 0; i < std::size(maps); ++i) {
    for (const char* host : {"user.a", "user.guest.a", "user.guest.x", "user.guest.security.a", "trusted.a",
                             "trusted.b", "user.x.a", "security.a", "a.x", "b.x"}) {
      const auto guest = maps[i].ToGuest(host);
      if (!guest.has_value()) continue;
      const auto back = maps[i].ToHost(*guest);
      EXPECT_TRUE(back.ok() && *back == host)
          << i << ": " << host << " is listed as " << *guest << ", which is " << (back.ok() ? *back : "refused");
    }
  }
}

TEST(XattrMapTest, ATooLongNameIsErange) {
  const XattrMap map = MapOf({"map:a:abcdef"});
  EXPECT_EQ((*map.ToHost("a" + std::string(249, 'x'))).size(), 255u);
  EXPECT_EQ(map.ToHost("a" + std::string(250, 'x')).error(), Errno(ERANGE));
}

TEST(XattrMapTest, BadRulesAreRefusedAndQuoted) {
  XattrMap map;
  for (const char* rule : {"", "allow", "permit:x", "map:", "map:a", "map:a:", "map::b", "MAP:a:b"}) {
    const absl::Status status = map.AddRule(rule);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << rule;
    EXPECT_NE(std::string(status.message()).find("'" + std::string(rule) + "'"), std::string::npos) << status;
  }
  EXPECT_TRUE(map.identity());
}

}  // namespace
}  // namespace daxvmm::fs
