// main() of the programs of ring 5: GoogleTest's flags, and those of machine.cc.
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/flags/parse.h"
#include "gtest/gtest.h"
#include "tests/linux/checks.h"

namespace daxvmm::linux_test {

const Environment& TestEnvironment() {
  static const Environment* const environment = [] {
    absl::StatusOr<Environment> flags = EnvironmentFromFlags();
    if (!flags.ok()) {
      fprintf(stderr, "%s\n", std::string(flags.status().message()).c_str());
      exit(2);
    }
    return new Environment(*std::move(flags));
  }();
  return *environment;
}

}  // namespace daxvmm::linux_test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
