#include "control/server_loader.h"

#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

constexpr const char* kPlaces[] = {"", "../lib/daxvmm/", "../control/"};
constexpr Library kLibrary = {
    .what = "control library", .file_name = kServerLibraryName, .environment = kControlLibraryEnv, .places = kPlaces};

class LoadedStateCodec final : public StateCodec {
 public:
  LoadedStateCodec(daxvmm_control_encode_state_fn encode, daxvmm_control_decode_state_fn decode)
      : encode_(encode), decode_(decode) {}

  absl::StatusOr<std::string> Encode(const SavedPolicy& state) const override {
    std::string text;
    RETURN_IF_ERROR(ToStatus([&](char* error, size_t size) { return encode_(&kArgs, &state, &text, error, size); }));
    return text;
  }
  absl::StatusOr<SavedPolicy> Decode(absl::string_view text) const override {
    SavedPolicy state;
    RETURN_IF_ERROR(ToStatus(
        [&](char* error, size_t size) { return decode_(&kArgs, text.data(), text.size(), &state, error, size); }));
    return state;
  }

 private:
  static constexpr daxvmm_control_state_args kArgs = {
      .abi_version = kServerAbiVersion, .reserved = 0, .layout = kServerAbiLayout};

  static absl::Status ToStatus(absl::FunctionRef<int(char* error, size_t size)> call) {
    char error[1024] = "";
    const int code = call(error, sizeof(error));
    return code == 0 ? absl::OkStatus() : absl::Status(static_cast<absl::StatusCode>(code), error);
  }

  const daxvmm_control_encode_state_fn encode_;
  const daxvmm_control_decode_state_fn decode_;
};

}  // namespace

absl::StatusOr<std::string> LocateControlLibrary(const std::string& option) { return LocateLibrary(kLibrary, option); }

absl::StatusOr<LoadedControlServer> LoadedControlServer::Start(Controller* controller,
                                                               const ControlServerOptions& options,
                                                               const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const symbol, LoadSymbol(kLibrary, library_path, kServerStartSymbol));
  const auto start = reinterpret_cast<daxvmm_control_start_fn>(symbol);
  const daxvmm_control_start_args args = {
      .abi_version = kServerAbiVersion,
      .log_level = static_cast<uint32_t>(GetLogLevel()),
      .layout = kServerAbiLayout,
      .controller = controller,
      .options = &options,
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

absl::Status CheckTlsFilesByLibrary(const TlsFiles& files, const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const symbol, LoadSymbol(kLibrary, library_path, kCheckTlsSymbol));
  const daxvmm_control_check_args args = {
      .abi_version = kServerAbiVersion, .reserved = 0, .layout = kServerAbiLayout, .tls = &files};
  char error[1024] = "";
  const int code = reinterpret_cast<daxvmm_control_check_tls_fn>(symbol)(&args, error, sizeof(error));
  return code == 0 ? absl::OkStatus() : absl::Status(static_cast<absl::StatusCode>(code), error);
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

absl::StatusOr<std::shared_ptr<const StateCodec>> LoadStateCodec(const std::string& library_path) {
  ASSIGN_OR_RETURN(void* const encode, LoadSymbol(kLibrary, library_path, kEncodeStateSymbol));
  ASSIGN_OR_RETURN(void* const decode, LoadSymbol(kLibrary, library_path, kDecodeStateSymbol));
  std::shared_ptr<const StateCodec> codec =
      std::make_shared<LoadedStateCodec>(reinterpret_cast<daxvmm_control_encode_state_fn>(encode),
                                         reinterpret_cast<daxvmm_control_decode_state_fn>(decode));
  // A library of another build is found out now, not when the first change is made.
  if (const auto probe = codec->Encode({}); !probe.ok()) {
    return absl::Status(probe.status().code(),
                        absl::StrCat("control library ", library_path, ": ", probe.status().message()));
  }
  return codec;
}

}  // namespace daxvmm::control
