// What a control server listens on, whom it serves, and how much of it. Plain values: no gRPC.
#ifndef DAXVMM_CONTROL_SERVER_OPTIONS_H_
#define DAXVMM_CONTROL_SERVER_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/control_access.h"

namespace daxvmm::control {

// Larger requests are refused with RESOURCE_EXHAUSTED; the largest policy has about 150 KiB.
inline constexpr int kMaxRequestBytes = 1 << 20;

// What one client, and all of them together, may ask for. What is above is refused, and the rest is served on.
// docs/control_security.md says why each is what it is.
struct ControlLimits {
  int request_bytes = kMaxRequestBytes;
  int response_bytes = 64 << 20;
  int metadata_bytes = 8 << 10;  // of a call's header block
  int streams_per_connection = 64;

  size_t connections = 128;  // in all
  size_t connections_per_principal =
      32;  // a principal is a user with a role; all of TCP counts as one, and may have 64
  size_t connections_for_operators = 32;  // of all, that those of readers may not take
  size_t tcp_connections = 64;
  size_t principals = 32;  // users with a role that are connected at a time
  size_t principals_for_operators = 8;

  // Calls of a principal, of whatever kind: a burst, and then so many a second.
  double calls_per_second = 2000;
  double call_burst = 2000;
  // A principal that had so many refused for that within a second loses its connections, and gets none for a while. So
  // does one that keeps more than 4 KiB waiting to be read for a whole second.
  uint64_t refusals_per_second = 10000;
  // The same for one that begins so many calls without ever sending their request, or resets them at once.
  int64_t calls_without_request = 1024;
  std::chrono::milliseconds banned_for{2000};

  // No further call of a principal is answered while so many bytes of answers wait to be read by it.
  int64_t answer_bytes = 8 << 20;

  // From a connection's beginning to the end of TLS and HTTP/2 set-up.
  std::chrono::milliseconds handshake{5000};
  // TCP: after so long without data the peer is asked whether it lives, and has as long to answer.
  std::chrono::milliseconds keepalive{30000};
  // A client that takes nothing of what waits for it for so long loses its connection.
  std::chrono::milliseconds stalled{600000};
  // Of gRPC's buffers, for all connections.
  size_t memory_bytes = 64 << 20;
  // Of gRPC's threads, so that they give way to the vCPUs; 0: as the process. Threads of gRPC are the process's, so an
  // embedder that uses gRPC for itself leaves it at 0.
  int nice = 0;
};

struct TlsFiles {
  std::string certificate;  // PEM, with what leads to its root
  std::string key;
  std::string client_ca;  // what clients' certificates must be signed by
};

struct ControlServerOptions {
  // Listening and non-blocking sockets, duplicated by the server; -1: none.
  int unix_listener = -1;
  int tcp_listener = -1;
  TlsFiles tls;  // with tcp_listener
  std::vector<AllowRule> allow;
  ControlLimits limits;
};

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_SERVER_OPTIONS_H_
