#include "control/server_loader.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

constexpr const char* kPlaces[] = {"", "../lib/daxvmm/", "../control/"};
constexpr Library kLibrary = {
    .what = "control library", .file_name = kServerLibraryName, .environment = kControlLibraryEnv, .places = kPlaces};

}  // namespace

absl::StatusOr<std::string> LocateControlLibrary(const std::string& option) { return LocateLibrary(kLibrary, option); }

absl::StatusOr<LoadedControlServer> LoadedControlServer::Start(Controller* controller, int listen_fd,
                                                               const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const symbol, LoadSymbol(kLibrary, library_path, kServerStartSymbol));
  const auto start = reinterpret_cast<daxvmm_control_start_fn>(symbol);
  const daxvmm_control_start_args args = {
      .abi_version = kServerAbiVersion,
      .log_level = static_cast<uint32_t>(GetLogLevel()),
      .layout = kServerAbiLayout,
      .controller = controller,
      .listen_fd = listen_fd,
      .log = &TakeLibraryLine,
  };
  daxvmm_control_handle handle{};
  char error[512] = "";
  const int code = start(&args, &handle, error, sizeof(error));
  if (code != 0) {
    return absl::Status(static_cast<absl::StatusCode>(code),
                        absl::StrCat("control library ", library_path, ": ", error));
  }
  return LoadedControlServer(LibraryHandle(handle));
}

absl::StatusOr<PolicyParser> PolicyParser::Load(const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const symbol, LoadSymbol(kLibrary, library_path, kParsePolicySymbol));
  const PolicyParser parser(reinterpret_cast<daxvmm_control_parse_policy_fn>(symbol));
  // A library of another build is found out now, not when the first file is read.
  const auto probe = parser.Parse("default_outcome: OUTCOME_NO_DAX", "probe");
  if (!probe.ok()) {
    return absl::Status(probe.status().code(),
                        absl::StrCat("control library ", library_path, ": ", probe.status().message()));
  }
  return parser;
}

absl::StatusOr<dax::Policy> PolicyParser::Parse(absl::string_view text, const std::string& name) const {
  const daxvmm_control_parse_args args = {
      .abi_version = kServerAbiVersion,
      .reserved = 0,
      .layout = kServerAbiLayout,
      .text = text.data(),
      .text_size = text.size(),
      .name = name.c_str(),
  };
  dax::Policy policy;
  char error[1024] = "";
  const int code = parse_(&args, &policy, error, sizeof(error));
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), error);
  return policy;
}

}  // namespace daxvmm::control
