#include "control/metrics/process_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/unique_fd.h"

namespace daxvmm::control {
namespace {

std::string ReadSmallFile(const char* path) {
  const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return "";
  char buffer[4096];
  const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
  return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : "";
}

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return Seconds(now);
}

}  // namespace

ProcessFacts ReadProcessFacts() {
  ProcessFacts facts{.cpu_seconds = Now(CLOCK_PROCESS_CPUTIME_ID)};
  // proc(5): the fields behind the command, which is in parentheses and may hold anything.
  const std::string stat = ReadSmallFile("/proc/self/stat");
  if (const size_t end = stat.rfind(')'); end != std::string::npos) {
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(end + 1), ' ', absl::SkipEmpty());
    constexpr size_t kFirst = 3;  // the number of the field behind the command
    const auto field = [&fields](size_t number) {
      uint64_t value = 0;
      return fields.size() > number - kFirst && absl::SimpleAtoi(fields[number - kFirst], &value) ? value : 0;
    };
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    facts.threads = field(20);
    // Ticks since the boot, a clock that goes on while the host sleeps.
    const double started = static_cast<double>(field(22)) / static_cast<double>(sysconf(_SC_CLK_TCK));
    facts.start_time = Now(CLOCK_REALTIME) - Now(CLOCK_BOOTTIME) + started;
    facts.virtual_bytes = field(23);
    facts.resident_bytes = field(24) * page;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) facts.max_fds = limit.rlim_cur;
  return facts;
}

uint64_t CountOpenDescriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), &closedir);
  if (directory == nullptr) return 0;
  // Linux 6.2 and later say it here; before, the size is 0.
  struct stat st{};
  if (fstat(dirfd(directory.get()), &st) == 0 && st.st_size > 0) return static_cast<uint64_t>(st.st_size) - 1;
  uint64_t count = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the one that counts
}

}  // namespace daxvmm::control
