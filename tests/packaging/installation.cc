#include "tests/packaging/installation.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace daxvmm::packaging_test {
namespace {

// Where systemd-analyze is, too; Bazel's tests have a path of their own.
constexpr const char* kFolders[] = {"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"};

}  // namespace

control::Finished Install(const std::vector<std::string>& arguments) {
  // Tests run in the folder of their runfiles, which has the outputs and the sources.
  std::vector<std::string> all = {"scripts/install", "--from-build", std::filesystem::current_path().string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return control::RunToEnd(all, "", {"PATH=/usr/bin:/bin", "HOME=" + testing::TempDir()});
}

std::string FreshFolder(const std::string& name) {
  std::string path = testing::TempDir() + "/" + name + "XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr) << path;
  return path;
}

std::string InstalledPrefix() {
  const std::string prefix = FreshFolder("prefix");
  const control::Finished finished = Install({"--prefix", prefix});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return prefix;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::set<std::string> FilesBelow(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_directory()) files.insert(std::filesystem::relative(entry.path(), folder).string());
  }
  return files;
}

std::string FindProgram(const std::string& name) {
  for (const char* folder : kFolders) {
    if (access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return "";
}

}  // namespace daxvmm::packaging_test
