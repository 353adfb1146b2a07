#include "devices/virtio_fs/fs/posix_acl.h"

#include <linux/posix_acl.h>

#include <cstdint>
#include <string>

#include "devices/virtio_fs/fs/share_test_util.h"
#include "gtest/gtest.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;

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
    return AclHeader() + AclEntry(ACL_USER_OBJ, 7, 5) + AclEntry(ACL_USER, 6, user) + AclEntry(ACL_GROUP_OBJ, 5, 5) +
           AclEntry(ACL_GROUP, 4, group) + AclEntry(ACL_MASK, 7, 5) + AclEntry(ACL_OTHER, 0, 5);
  };
  EXPECT_EQ(*AclToHost(acl(7, 8), uids_, gids_), acl(100007, 200008));
  EXPECT_EQ(*AclToGuest(acl(100007, 200008), uids_, gids_), acl(7, 8));
  EXPECT_EQ(*AclToHost(acl(7, 8), IdMap(), IdMap()), acl(7, 8));
}

TEST_F(PosixAclTest, IdsWithoutCounterpart) {
  EXPECT_EQ(AclToHost(AclHeader() + AclEntry(ACL_USER, 7, 1000), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(AclHeader() + AclEntry(ACL_GROUP, 7, 1000), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(AclHeader() + AclEntry(ACL_USER, 7, UINT32_MAX), IdMap(), IdMap()).error(), Errno(EINVAL));
  EXPECT_EQ(*AclToGuest(AclHeader() + AclEntry(ACL_USER, 7, 5), uids_, gids_),
            AclHeader() + AclEntry(ACL_USER, 7, kOverflowId));
}

TEST_F(PosixAclTest, WhatIsNoAcl) {
  EXPECT_EQ(*AclToHost("", uids_, gids_), "");
  EXPECT_EQ(*AclToHost(AclHeader(), uids_, gids_), AclHeader());
  EXPECT_EQ(AclToHost(AclHeader().substr(0, 3), uids_, gids_).error(), Errno(EINVAL));
  EXPECT_EQ(AclToHost(AclHeader(1), uids_, gids_).error(), Errno(EOPNOTSUPP));
  const std::string entry = AclEntry(ACL_USER_OBJ, 7, 0);
  for (size_t size = 1; size < entry.size(); ++size) {
    EXPECT_EQ(AclToHost(AclHeader() + entry.substr(0, size), uids_, gids_).error(), Errno(EINVAL)) << size;
    EXPECT_EQ(AclToHost(AclHeader() + entry + entry.substr(0, size), uids_, gids_).error(), Errno(EINVAL)) << size;
  }
  for (const uint16_t tag : {0x00, 0x03, 0x40, 0xffff}) {
    EXPECT_EQ(AclToHost(AclHeader() + AclEntry(tag, 7, 0), uids_, gids_).error(), Errno(EINVAL)) << tag;
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
