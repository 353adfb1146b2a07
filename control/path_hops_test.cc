#include "control/path_hops.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace daxvmm::control {
namespace {

using ::testing::ElementsAre;

class PathHopsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string made = testing::TempDir() + "/hops.XXXXXX";
    ASSERT_NE(mkdtemp(made.data()), nullptr);
    root_ = std::filesystem::canonical(made).string();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
};

TEST_F(PathHopsTest, APlainFileHasOne) {
  std::ofstream(root_ + "/f") << "x";
  EXPECT_THAT(FollowPath(root_ + "/./f"), ElementsAre(PathHop{root_, "f"}));
  EXPECT_THAT(FollowPath(root_ + "//x/../f"), ElementsAre(PathHop{root_, "x"})) << "x is missing";
}

TEST_F(PathHopsTest, AConfigMapHasOneForEachLink) {
  std::filesystem::create_directory(root_ + "/..1");
  std::ofstream(root_ + "/..1/p") << "x";
  std::filesystem::create_symlink("..1", root_ + "/..data");
  std::filesystem::create_symlink("..data/p", root_ + "/p");
  std::filesystem::create_symlink(root_ + "/p", root_ + "/outer");
  EXPECT_THAT(FollowPath(root_ + "/outer"), ElementsAre(PathHop{root_, "outer"}, PathHop{root_, "p"},
                                                        PathHop{root_, "..data"}, PathHop{root_ + "/..1", "p"}));
}

TEST_F(PathHopsTest, EndsAtWhatIsMissingAndInLoops) {
  EXPECT_THAT(FollowPath(root_ + "/a/b/c"), ElementsAre(PathHop{root_, "a"}));
  std::filesystem::create_symlink("loop", root_ + "/loop");
  const auto hops = FollowPath(root_ + "/loop");
  EXPECT_GE(hops.size(), 40u);
  EXPECT_LE(hops.size(), 42u);
  std::filesystem::create_symlink("../../../../../../../../../../../..", root_ + "/up");
  EXPECT_THAT(FollowPath(root_ + "/up/no such entry"),
              ElementsAre(PathHop{root_, "up"}, PathHop{"/", "no such entry"}));
}

}  // namespace
}  // namespace daxvmm::control
