// What may stand at the cursor of a line that is being typed.
#ifndef DAXVMM_CONTROL_CTL_COMPLETION_H_
#define DAXVMM_CONTROL_CTL_COMPLETION_H_

#include <functional>
#include <string>
#include <vector>

#include "control/ctl/flag_table.h"
#include "control/ctl/invocation.h"

namespace daxvmm::control {

struct Candidate {
  std::string text;     // the whole word; for "--flag=..." with the flag in front
  std::string meaning;  // one line; may be empty
};

struct Candidates {
  std::vector<Candidate> list;
  bool host_files = false;  // and the files of the host, which the shell knows best
};

// Asks a machine for the shares, or the paths of files that begin with `start`; gives what it can get at once.
using AskMachine =
    std::function<std::vector<std::string>(Values what, const Invocation& line, const std::string& start)>;

// `words`: those behind the program's name up to the cursor; the last one is being typed, and may be empty. Nothing
// that is in them is an error.
Candidates CompleteLine(const std::vector<std::string>& words, const AskMachine& ask);

// The completion function of a shell, to be sourced. It asks `daxvmmctl __complete`, and has no list of its own.
std::string CompletionScript(Shell shell);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_CTL_COMPLETION_H_
