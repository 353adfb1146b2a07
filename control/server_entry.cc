// The symbols that libdaxvmm_control.so exports; see control/server_abi.h.
#include <grpc/support/log.h>

#include <memory>
#include <string>
#include <utility>

#include "base/log.h"
#include "control/control_server.h"
#include "control/library_entry.h"
#include "control/policy_text.h"
#include "control/saved_policy_codec.h"
#include "control/server_abi.h"
#include "control/tls_files.h"

namespace daxvmm::control {
namespace {

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

}  // namespace
}  // namespace daxvmm::control

extern "C" __attribute__((visibility("default"))) int daxvmm_control_start(
    const daxvmm::control::daxvmm_control_start_args* args, daxvmm::control::daxvmm_control_handle* handle, char* error,
    size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kServerAbiVersion, kServerAbiLayout, error, error_size); code != 0)
    return code;
  ForwardLog(args->log, args->log_level);
  gpr_set_log_function(&ForwardGrpcLine);
  auto server = ControlServer::Start(args->controller, *args->options);
  if (!server.ok()) return FailWith(server.status(), error, error_size);
  handle->server = server->release();
  handle->stop = &Stop;
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_parse_policy(
    const daxvmm::control::daxvmm_control_parse_args* args, daxvmm::dax::Policy* policy, char* error,
    size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kServerAbiVersion, kServerAbiLayout, error, error_size); code != 0)
    return code;
  auto parsed = ParsePolicyText(absl::string_view(args->text, args->text_size), args->name);
  if (!parsed.ok()) return FailWith(parsed.status(), error, error_size);
  *policy = *std::move(parsed);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_encode_state(
    const daxvmm::control::daxvmm_control_state_args* args, const daxvmm::control::SavedPolicy* state,
    std::string* text, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kServerAbiVersion, kServerAbiLayout, error, error_size); code != 0)
    return code;
  auto encoded = EncodeSavedPolicy(*state);
  if (!encoded.ok()) return FailWith(encoded.status(), error, error_size);
  *text = *std::move(encoded);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_decode_state(
    const daxvmm::control::daxvmm_control_state_args* args, const char* text, size_t text_size,
    daxvmm::control::SavedPolicy* state, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kServerAbiVersion, kServerAbiLayout, error, error_size); code != 0)
    return code;
  auto decoded = DecodeSavedPolicy(absl::string_view(text, text_size));
  if (!decoded.ok()) return FailWith(decoded.status(), error, error_size);
  *state = *std::move(decoded);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int daxvmm_control_check_tls(
    const daxvmm::control::daxvmm_control_check_args* args, char* error, size_t error_size) {
  using namespace daxvmm::control;  // NOLINT(google-build-using-namespace): a C function has no namespace of its own
  if (const int code = CheckBuild(*args, kServerAbiVersion, kServerAbiLayout, error, error_size); code != 0)
    return code;
  const absl::Status status = CheckTlsFiles(*args->tls);
  return status.ok() ? 0 : FailWith(status, error, error_size);
}
