// A program run to its end, for tests of the command line.
#ifndef DAXVMM_CONTROL_TESTING_SUBPROCESS_H_
#define DAXVMM_CONTROL_TESTING_SUBPROCESS_H_

#include <string>
#include <vector>

namespace daxvmm::control {

struct Finished {
  int exit_code = -1;  // -1: ended by a signal, or never started
  std::string out;
  std::string err;
};

// `arguments[0]` is the program's path; `input` is its standard input; `environment` replaces the caller's. Output
// goes to memory files, so that no pipe can fill up.
Finished RunToEnd(const std::vector<std::string>& arguments, const std::string& input = "",
                  const std::vector<std::string>& environment = {});

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_SUBPROCESS_H_
