// The cases against the passthrough file system in this process, and, as a proof of the expectations, against a plain
// directory of the host.
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "tests/fs_conformance/fuse_volume.h"
#include "tests/fs_conformance/host_volume.h"

namespace daxvmm::conformance {
namespace {

enum class Subject { kInProcess, kHostDirectory };

class ConformanceTest : public testing::Test {
 public:
  ConformanceTest(Subject subject, const Case& test_case) : subject_(subject), case_(test_case) {}

 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to act as several users";
    dir_ = testing::TempDir() + "/conformance.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (dir_.empty()) return;
    EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0);
  }
  void TestBody() override {
    if (subject_ == Subject::kHostDirectory) {
      const auto volume = MakeHostVolume(dir_);
      case_.run(*volume);
      return;
    }
    auto fs = fs::PassthroughFs::Create(fs::ShareOptions{.path = dir_}, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    (*fs)->Init(0);
    const auto volume = MakeFuseVolume(fs->get());
    case_.run(*volume);
    EXPECT_EQ((*fs)->node_count(), 1u) << "lookup references are out of balance";
    EXPECT_EQ((*fs)->handle_count(), 0u);
    EXPECT_EQ((*fs)->over_forgets(), 0u);
    (*fs)->Destroy();
  }

 private:
  const Subject subject_;
  const Case& case_;
  std::string dir_;
};

void Register() {
  for (const Case& test_case : AllCases()) {
    testing::RegisterTest("InProcess", test_case.name, nullptr, nullptr, __FILE__, __LINE__,
                          [&test_case] { return new ConformanceTest(Subject::kInProcess, test_case); });
    testing::RegisterTest("HostDirectory", test_case.name, nullptr, nullptr, __FILE__, __LINE__,
                          [&test_case] { return new ConformanceTest(Subject::kHostDirectory, test_case); });
  }
}

}  // namespace
}  // namespace daxvmm::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  daxvmm::conformance::Register();
  return RUN_ALL_TESTS();
}
