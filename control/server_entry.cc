// The symbols that libdaxvmm_control.so exports; see control/server_abi.h.
#include <grpc/support/log.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/log.h"
#include "control/control_server.h"
#include "control/policy_text.h"
#include "control/saved_policy_codec.h"
#include "control/server_abi.h"
#include "control/tls_files.h"

namespace daxvmm::control {
namespace {

void (*g_host_log)(uint32_t level, const char* line) = nullptr;

void ForwardLine(LogLevel level, const char* line, void* context) { g_host_log(static_cast<uint32_t>(level), line); }

// gRPC would write to standard error by itself, which may be a guest's console in raw mode. What it calls an error is
// mostly a peer that went away.
void ForwardGrpcLine(gpr_log_func_args* args) {
  if (args->severity == GPR_LOG_SEVERITY_ERROR) {
    LOG_LIMITED(kWarning) << "control: grpc: " << args->message;
  } else {
    LOG(kDebug) << "control: grpc: " << args->message;
  }
}

void Stop(void* server) { delete static_cast<ControlServer*>(server); }

// The version stands first for ever, in all arguments: nothing else may be read before it is known.
template <typename Args>
bool IsOfThisBuild(const Args& args, char* error, size_t error_size) {
  if (args.abi_version == kServerAbiVersion && args.layout == kServerAbiLayout) return true;
  std::snprintf(error, error_size, "the library is of another build (interface %u, the program's is %u)",
                kServerAbiVersion, args.abi_version);
  return false;
}

int Fail(const absl::Status& status, char* error, size_t error_size) {
  std::snprintf(error, error_size, "%s", std::string(status.message()).c_str());
  return static_cast<int>(status.code());
}

}  // namespace
}  // namespace daxvmm::control

extern "C" __attribute__((visibility("default"))) int daxvmm_control_start(
    const daxvmm::control::daxvmm_control_start_args* args, daxvmm::control::daxvmm_control_handle* handle, char* error,
    size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (!IsOfThisBuild(*args, error, error_size)) return static_cast<int>(absl::StatusCode::kFailedPrecondition);
  g_host_log = args->log;
  daxvmm::SetLogSink(&ForwardLine, nullptr);
  daxvmm::SetLogLevel(static_cast<daxvmm::LogLevel>(args->log_level));
  gpr_set_log_function(&ForwardGrpcLine);
  auto server = ControlServer::Start(args->controller, *args->options);
  if (!server.ok()) return Fail(server.status(), error, error_size);
  handle->server = server->release();
  handle->stop = &Stop;
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_parse_policy(
    const daxvmm::control::daxvmm_control_parse_args* args, daxvmm::dax::Policy* policy, char* error,
    size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (!IsOfThisBuild(*args, error, error_size)) return static_cast<int>(absl::StatusCode::kFailedPrecondition);
  auto parsed = ParsePolicyText(absl::string_view(args->text, args->text_size), args->name);
  if (!parsed.ok()) return Fail(parsed.status(), error, error_size);
  *policy = *std::move(parsed);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_encode_state(
    const daxvmm::control::daxvmm_control_state_args* args, const daxvmm::control::SavedPolicy* state,
    std::string* text, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (!IsOfThisBuild(*args, error, error_size)) return static_cast<int>(absl::StatusCode::kFailedPrecondition);
  auto encoded = EncodeSavedPolicy(*state);
  if (!encoded.ok()) return Fail(encoded.status(), error, error_size);
  *text = *std::move(encoded);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_decode_state(
    const daxvmm::control::daxvmm_control_state_args* args, const char* text, size_t text_size,
    daxvmm::control::SavedPolicy* state, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (!IsOfThisBuild(*args, error, error_size)) return static_cast<int>(absl::StatusCode::kFailedPrecondition);
  auto decoded = DecodeSavedPolicy(absl::string_view(text, text_size));
  if (!decoded.ok()) return Fail(decoded.status(), error, error_size);
  *state = *std::move(decoded);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_check_tls(
    const daxvmm::control::daxvmm_control_check_args* args, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (!IsOfThisBuild(*args, error, error_size)) return static_cast<int>(absl::StatusCode::kFailedPrecondition);
  const absl::Status status = CheckTlsFiles(*args->tls);
  return status.ok() ? 0 : Fail(status, error, error_size);
}
