#include "devices/virtio_fs/dax/told_sizes.h"

#include <thread>

#include "gtest/gtest.h"

namespace daxvmm::dax {
namespace {

TEST(ToldSizesTest, TheLargestSizeToldIsKept) {
  ToldSizes sizes;
  EXPECT_FALSE(sizes.Tell(NodeId(1), ByteCount(100))) << "not mapped";
  const auto belief = std::make_shared<Belief>();
  sizes.Enter(NodeId(1), belief);
  EXPECT_EQ(belief->told(), ByteCount(0));
  EXPECT_FALSE(sizes.Tell(NodeId(1), ByteCount(100)));
  EXPECT_FALSE(sizes.Tell(NodeId(1), ByteCount(50)));
  EXPECT_FALSE(sizes.Tell(NodeId(17), ByteCount(500))) << "another node, of the same shard";
  EXPECT_EQ(belief->told(), ByteCount(100));
  belief->set_wary(true);
  EXPECT_TRUE(sizes.Tell(NodeId(1), ByteCount(50)));
}

TEST(ToldSizesTest, NodesOfOneFileShareWhatTheGuestBelieves) {
  ToldSizes sizes;
  const auto belief = std::make_shared<Belief>();
  sizes.Enter(NodeId(1), belief);
  sizes.Enter(NodeId(2), belief);
  EXPECT_FALSE(sizes.Tell(NodeId(2), ByteCount(7)));
  EXPECT_EQ(belief->told(), ByteCount(7));
  sizes.Leave(NodeId(2), belief.get());
  EXPECT_FALSE(sizes.Tell(NodeId(2), ByteCount(9)));
  EXPECT_EQ(belief->told(), ByteCount(7));
}

TEST(ToldSizesTest, ANodeThatCameBackForAnotherFileIsNotTakenOutByTheOld) {
  ToldSizes sizes;
  const auto old_file = std::make_shared<Belief>();
  const auto new_file = std::make_shared<Belief>();
  sizes.Enter(NodeId(1), old_file);
  sizes.Enter(NodeId(1), new_file);
  sizes.Leave(NodeId(1), old_file.get());
  EXPECT_FALSE(sizes.Tell(NodeId(1), ByteCount(7)));
  EXPECT_EQ(new_file->told(), ByteCount(7));
  EXPECT_EQ(old_file->told(), ByteCount(0));
  sizes.Leave(NodeId(1), new_file.get());
  EXPECT_FALSE(sizes.Tell(NodeId(1), ByteCount(8)));
  EXPECT_EQ(new_file->told(), ByteCount(7));
}

// The protocol that Belief describes: one of the two sides sees the other, whatever the order.
TEST(ToldSizesTest, EitherSideSeesTheOther) {
  ToldSizes sizes;
  for (uint64_t i = 1; i <= 20000; ++i) {
    const auto belief = std::make_shared<Belief>();
    sizes.Enter(NodeId(1), belief);
    bool teller_saw = false;
    std::thread teller;
    if (i % 100 == 0) {
      teller = std::thread([&] { teller_saw = sizes.Tell(NodeId(1), ByteCount(i)); });
    } else {
      teller_saw = sizes.Tell(NodeId(1), ByteCount(i));
    }
    belief->set_wary(true);
    const bool keeper_saw = belief->told() == ByteCount(i);
    if (teller.joinable()) teller.join();
    ASSERT_TRUE(teller_saw || keeper_saw) << i;
  }
}

}  // namespace
}  // namespace daxvmm::dax
