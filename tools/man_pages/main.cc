// Prints the manual page of a program: `render daxvmm`.
#include <cstdio>
#include <string>

#include "base/man_page.h"
#include "vmm/run_man_page.h"

int main(int argc, char** argv) {
  const std::string program = argc == 2 ? argv[1] : "";
  if (program != "daxvmm") {
    std::fprintf(stderr, "Usage: render daxvmm\n");
    return 2;
  }
  const std::string page = daxvmm::RenderManPage(daxvmm::vmm::RunManPage());
  const bool written = std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0;
  return written ? 0 : 1;
}
