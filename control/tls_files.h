// The certificates of the control plane's TCP socket, checked before they are used: gRPC would only log what is wrong.
#ifndef DAXVMM_CONTROL_TLS_FILES_H_
#define DAXVMM_CONTROL_TLS_FILES_H_

#include "absl/status/status.h"
#include "control/server_options.h"

namespace daxvmm::control {

// That the files can be read, are PEM, that the key is the certificate's, and that neither the certificate nor all of
// the CA's are out of date. INVALID_ARGUMENT in one line that begins with the flag, "--control-tls-key: FILE: ".
absl::Status CheckTlsFiles(const TlsFiles& files);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TLS_FILES_H_
