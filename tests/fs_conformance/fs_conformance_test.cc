// The cases against the passthrough file system in this process, on a directory of ext4, and, as a proof of the
// expectations, against such a directory itself.
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "gtest/gtest.h"
#include "tests/fs_conformance/ext4_image.h"
#include "tests/fs_conformance/fuse_volume.h"
#include "tests/fs_conformance/host_volume.h"
#include "tests/fs_conformance/subject.h"

namespace daxvmm::conformance {
namespace {

// Where the cases run: on an ext4, whatever the temporary directory is on.
class Ext4 : public testing::Environment {
 public:
  void SetUp() override {
    path_ = testing::TempDir();
    if (IsExt4(path_)) return;
    image_ = Ext4Image::Create(testing::TempDir(), 512, "", &why_not_);
    path_ = image_ != nullptr ? image_->path() : "";
  }
  void TearDown() override { image_.reset(); }
  const std::string& path() const { return path_; }  // empty: there is none
  const std::string& why_not() const { return why_not_; }

 private:
  std::unique_ptr<Ext4Image> image_;
  std::string path_;
  std::string why_not_;
};

Ext4* ext4 = nullptr;

class ConformanceTest : public testing::Test {
 public:
  ConformanceTest(Subject subject, const Case& test_case) : subject_(subject), case_(test_case) {}

 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to act as several users";
    if (ext4->path().empty()) GTEST_SKIP() << ext4->why_not();
    dir_ = ext4->path() + "/conformance.XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (dir_.empty()) return;
    EXPECT_EQ(system(("rm -rf " + dir_).c_str()), 0);
  }
  void TestBody() override {
    if (subject_ == Subject::kReference) {
      case_.run(*MakeHostVolume(dir_));
      return;
    }
    auto fs = fs::PassthroughFs::Create(fs::ShareOptions{.path = dir_}, nullptr);
    ASSERT_TRUE(fs.ok()) << fs.status();
    const uint64_t flags = (*fs)->optional_init_flags() | FUSE_HANDLE_KILLPRIV_V2;
    (*fs)->Init(flags);
    case_.run(*MakeFuseVolume(fs->get(), flags));
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
    for (const auto& [subject, suite] : {std::pair(Subject::kInProcess, "InProcess"), {Subject::kReference, "Ext4"}}) {
      if (!Applies(test_case, subject)) continue;
      testing::RegisterTest(suite, test_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [subject, &test_case] { return new ConformanceTest(subject, test_case); });
    }
  }
}

}  // namespace
}  // namespace daxvmm::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  daxvmm::conformance::ext4 = new daxvmm::conformance::Ext4;
  testing::AddGlobalTestEnvironment(daxvmm::conformance::ext4);
  daxvmm::conformance::Register();
  return RUN_ALL_TESTS();
}
