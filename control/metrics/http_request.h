// The head of an HTTP/1.x request, as far as a server of one page needs it.
#ifndef DAXVMM_CONTROL_METRICS_HTTP_REQUEST_H_
#define DAXVMM_CONTROL_METRICS_HTTP_REQUEST_H_

#include <cstddef>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"

namespace daxvmm::control {

// More than any honest client sends.
inline constexpr size_t kMaxRequestHead = 8192;

struct HttpRequest {
  std::string method;  // a token: "GET"
  std::string path;    // of the target, without its query; as sent, nothing decoded
};

// Whether a head is complete, and what it says.
struct HttpIncomplete {};
struct HttpRefusal {
  int status;  // to answer: 400, 414, 431 or 505
};
using HttpParse = std::variant<HttpIncomplete, HttpRequest, HttpRefusal>;

// Parses what has arrived of a connection. Refuses as soon as what is there cannot become a request; what stands behind
// the head (a body) is ignored. Lines may end with a bare newline, as RFC 9112, 2.2 allows.
HttpParse ParseHttpRequest(absl::string_view received);

// "Not Found"; empty for a status that this server does not send.
absl::string_view HttpReason(int status);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_METRICS_HTTP_REQUEST_H_
