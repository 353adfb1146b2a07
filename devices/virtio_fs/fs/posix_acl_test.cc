#include "devices/virtio_fs/fs/posix_acl.h"

#include <linux/posix_acl.h>

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

std::string Header(uint32_t version = 2) { return std::string(reinterpret_cast<const char*>(&version), 4); }

std::string Entry(uint16_t tag, uint16_t permissions, uint32_t id) {
  std::string entry(reinterpret_cast<const char*>(&tag), 2);
  entry.append(reinterpret_cast<const char*>(&permissions), 2);
  entry.append(reinterpret_cast<const char*>(&id), 4);
  return entry;
}

class PosixAclTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(uids_.AddRange(0, 100000, 1000).ok());
    ASSERT_TRUE(gids_.AddRange(0, 200000, 1000).ok());
  }
  IdMap uids_, gids_;
};

TEST_F(PosixAclTest, OnlyIdsOfUsersAndGroupsChange) {
  const auto acl = [](uint32_t user, uint32_t group) {
    return Header() + Entry(ACL_USER_OBJ, 7, 5) + Entry(ACL_USER, 6, user) + Entry(ACL_GROUP_OBJ, 5, 5) +
           Entry(ACL_GROUP, 4, group) + Entry(ACL_MASK, 7, 5) + Entry(ACL_OTHER, 0, 5);
  };
  EXPECT_EQ(*AclToHost(acl(7, 8), uids_, gids_), acl(100007, 200008));
  EXPECT_EQ(*AclToGuest(acl(100007, 200008), uids_, gids_), acl(7, 8));
  EXPECT_EQ(*AclToHost(acl(7, 8), IdMap(), IdMap()), acl(7, 8));
}

TEST_F(PosixAclTest, IdsWithoutCounterpart) {
  EXPECT_EQ(AclToHost(Header() + Entry(ACL_USER, 7, 1000), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(Header() + Entry(ACL_GROUP, 7, 1000), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(Header() + Entry(ACL_USER, 7, UINT32_MAX), IdMap(), IdMap()).error(), Errno(EINVAL));
  EXPECT_EQ(*AclToGuest(Header() + Entry(ACL_USER, 7, 5), uids_, gids_), Header() + Entry(ACL_USER, 7, kOverflowId));
}

TEST_F(PosixAclTest, WhatIsNoAcl) {
  EXPECT_EQ(*AclToHost("", uids_, gids_), "");
  EXPECT_EQ(*AclToHost(Header(), uids_, gids_), Header());
  EXPECT_EQ(AclToHost(Header().substr(0, 3), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(Header(1), uids_, gids_).error(), Errno(EOPNOTSUPP));
  const std::string entry = Entry(ACL_USER_OBJ, 7, 0);
  for (size_t size = 1; size < entry.size(); ++size) {
    EXPECT_EQ(AclToHost(Header() + entry.substr(0, size), uids_, gids_).error(), Errno(EINVAL)) << size;
    EXPECT_EQ(AclToHost(Header() + entry + entry.substr(0, size), uids_, gids_).error(), Errno(EINVAL)) << size;
  }
  for (const uint16_t tag : {0x00, 0x03, 0x40, 0xffff}) {
    EXPECT_EQ(AclToHost(Header() + Entry(tag, 7, 0), uids_, gids_).error(), Errno(EINVAL)) << tag;
  }
}

TEST(PosixAclName, TheTwoThatExist) {
  EXPECT_TRUE(IsPosixAclName("system.posix_acl_access"));
  EXPECT_TRUE(IsPosixAclName("system.posix_acl_default"));
  EXPECT_FALSE(IsPosixAclName("system.posix_acl"));
  EXPECT_FALSE(IsPosixAclName("system.posix_acl_access2"));
  EXPECT_FALSE(IsPosixAclName("system.nfs4_acl"));
}

}  // namespace
}  // namespace daxvmm::fs
