#include "control/metrics/loader.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "control/metrics/metrics_abi.h"

namespace daxvmm::control {
namespace {

constexpr const char* kPlaces[] = {"", "../lib/daxvmm/", "../control/metrics/"};
constexpr Library kLibrary = {
    .what = "metrics library", .file_name = kMetricsLibraryName, .environment = kMetricsLibraryEnv, .places = kPlaces};

}  // namespace

absl::StatusOr<std::string> LocateMetricsLibrary(const std::string& option) { return LocateLibrary(kLibrary, option); }

absl::StatusOr<LoadedMetricsServer> LoadedMetricsServer::Start(const Controller* controller, int listen_fd,
                                                               const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const symbol, LoadSymbol(kLibrary, library_path, kMetricsStartSymbol));
  const auto start = reinterpret_cast<daxvmm_metrics_start_fn>(symbol);
  const daxvmm_metrics_start_args args = {
      .abi_version = kMetricsAbiVersion,
      .log_level = static_cast<uint32_t>(GetLogLevel()),
      .layout = kMetricsAbiLayout,
      .controller = controller,
      .listen_fd = listen_fd,
      .log = &TakeLibraryLine,
  };
  daxvmm_library_handle handle{};
  char error[512] = "";
  const int code = start(&args, &handle, error, sizeof(error));
  if (code != 0) {
    return absl::Status(static_cast<absl::StatusCode>(code),
                        absl::StrCat("metrics library ", library_path, ": ", error));
  }
  return LoadedMetricsServer(LibraryHandle(handle));
}

}  // namespace daxvmm::control
