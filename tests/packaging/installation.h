// What was built, installed by scripts/install into a folder of the test.
#ifndef DAXVMM_TESTS_PACKAGING_INSTALLATION_H_
#define DAXVMM_TESTS_PACKAGING_INSTALLATION_H_

#include <set>
#include <string>
#include <vector>

#include "control/testing/subprocess.h"

namespace daxvmm::packaging_test {

// Runs scripts/install on the test's own outputs, with `arguments` behind.
control::Finished Install(const std::vector<std::string>& arguments);

// A fresh folder; its name begins with `name`.
std::string FreshFolder(const std::string& name);

// Installs into a fresh prefix, and returns it; fails the test if that fails.
std::string InstalledPrefix();

std::string ReadFile(const std::string& path);
// All files below `folder`, relative to it.
std::set<std::string> FilesBelow(const std::string& folder);

// Empty if the search path has no such program.
std::string FindProgram(const std::string& name);

}  // namespace daxvmm::packaging_test

#endif  // DAXVMM_TESTS_PACKAGING_INSTALLATION_H_
