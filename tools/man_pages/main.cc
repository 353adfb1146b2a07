// Prints the manual page of a program: `render daxvmm`.
#include <cstdio>
#include <string>

#include "base/man_page.h"
#include "control/ctl/man_page.h"
#include "vmm/run_man_page.h"

int main(int argc, char** argv) {
  const std::string program = argc == 2 ? argv[1] : "";
  if (program != "daxvmm" && program != "daxvmmctl") {
    std::fprintf(stderr, "Usage: render daxvmm|daxvmmctl\n");
    return 2;
  }
  const std::string page =
      daxvmm::RenderManPage(program == "daxvmm" ? daxvmm::vmm::RunManPage() : daxvmm::control::CtlManPage());
  const bool written = std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0;
  return written ? 0 : 1;
}
