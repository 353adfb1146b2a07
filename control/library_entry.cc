#include "control/library_entry.h"

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace daxvmm::control {
namespace {

void (*g_host_log)(uint32_t level, const char* line) = nullptr;

void ForwardLine(LogLevel level, const char* line, void* context) { g_host_log(static_cast<uint32_t>(level), line); }

}  // namespace

void ForwardLog(void (*log)(uint32_t level, const char* line), uint32_t level) {
  g_host_log = log;
  SetLogSink(&ForwardLine, nullptr);
  SetLogLevel(static_cast<LogLevel>(level));
}

int FailWith(const absl::Status& status, char* error, size_t error_size) {
  std::snprintf(error, error_size, "%s", std::string(status.message()).c_str());
  return static_cast<int>(status.code());
}

absl::Status OtherBuild(uint32_t version, uint32_t program_version) {
  return absl::FailedPreconditionError(absl::StrCat("the library is of another build (interface ", version,
                                                    ", the program's is ", program_version, ")"));
}

}  // namespace daxvmm::control
