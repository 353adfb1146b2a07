// What daxvmm and libdaxvmm_control.so agree on: five exported functions. The library carries gRPC and protobuf, so
// that only a process that asked for a control plane has them in memory.
//
// The controller crosses as a C++ object: both sides must come from one build. `abi_version` and `layout` are checked
// to tell the operator of a mixed installation what is wrong, not to support one.
#ifndef DAXVMM_CONTROL_SERVER_ABI_H_
#define DAXVMM_CONTROL_SERVER_ABI_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "control/controller.h"
#include "control/library_abi.h"
#include "control/saved_policy.h"
#include "control/server_options.h"

namespace daxvmm::control {

// To be raised with any change of this file or of control/controller.h.
inline constexpr uint32_t kServerAbiVersion = 6;

// Changes with most changes of the structs that cross, should somebody forget the version.
inline constexpr uint64_t kServerAbiLayout =
    (sizeof(LiveFile) + sizeof(Explanation) + sizeof(ControlServerOptions)) | uint64_t{sizeof(WindowUse)} << 16 |
    uint64_t{sizeof(dax::Rule) + sizeof(SavedPolicy)} << 32 | uint64_t{sizeof(PolicyState)} << 48;

inline constexpr char kServerLibraryName[] = "libdaxvmm_control.so";
inline constexpr char kServerStartSymbol[] = "daxvmm_control_start";
inline constexpr char kCheckTlsSymbol[] = "daxvmm_control_check_tls";
inline constexpr char kParsePolicySymbol[] = "daxvmm_control_parse_policy";
inline constexpr char kEncodeStateSymbol[] = "daxvmm_control_encode_state";
inline constexpr char kDecodeStateSymbol[] = "daxvmm_control_decode_state";

using daxvmm_control_handle = daxvmm_library_handle;

extern "C" {

struct daxvmm_control_start_args {
  uint32_t abi_version;                 // kServerAbiVersion
  uint32_t log_level;                   // a LogLevel: the library has its own copy of base/
  uint64_t layout;                      // kServerAbiLayout
  Controller* controller;               // outlives the server
  const ControlServerOptions* options;  // all of it is borrowed for the call
  // Takes the library's log lines, from any of its threads.
  void (*log)(uint32_t level, const char* line);
};

// 0 and a filled `handle`, or an absl::StatusCode and a text in `error`, which has room for `error_size` bytes.
// One server per process at a time.
using daxvmm_control_start_fn = int (*)(const daxvmm_control_start_args* args, daxvmm_control_handle* handle,
                                        char* error, size_t error_size);

struct daxvmm_control_check_args {
  uint32_t abi_version;  // kServerAbiVersion
  uint32_t reserved;     // 0
  uint64_t layout;       // kServerAbiLayout
  const TlsFiles* tls;   // borrowed for the call
};

// 0 if a server could use the files, or an absl::StatusCode and a line that begins with the flag at fault.
using daxvmm_control_check_tls_fn = int (*)(const daxvmm_control_check_args* args, char* error, size_t error_size);

struct daxvmm_control_parse_args {
  uint32_t abi_version;  // kServerAbiVersion
  uint32_t reserved;     // 0
  uint64_t layout;       // kServerAbiLayout
  const char* text;      // of a policy file, either form
  size_t text_size;
  const char* name;  // of the file, for errors
};

// 0 and a valid `policy`, or an absl::StatusCode and a line of text in `error`. From any thread, server or not.
using daxvmm_control_parse_policy_fn = int (*)(const daxvmm_control_parse_args* args, dax::Policy* policy, char* error,
                                               size_t error_size);

struct daxvmm_control_state_args {
  uint32_t abi_version;  // kServerAbiVersion
  uint32_t reserved;     // 0
  uint64_t layout;       // kServerAbiLayout
};

// As StateCodec says: 0 and a filled result, or an absl::StatusCode and a line of text in `error`. From any thread,
// server or not.
using daxvmm_control_encode_state_fn = int (*)(const daxvmm_control_state_args* args, const SavedPolicy* state,
                                               std::string* text, char* error, size_t error_size);
using daxvmm_control_decode_state_fn = int (*)(const daxvmm_control_state_args* args, const char* text,
                                               size_t text_size, SavedPolicy* state, char* error, size_t error_size);

}  // extern "C"

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVER_ABI_H_
