#include "control/metrics/http_request.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace daxvmm::control {
namespace {

// RFC 9110, 5.6.2.
bool IsToken(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && !absl::StrContains("!#$%&'*+-.^_`|~", c)) return false;
  }
  return !text.empty();
}

bool IsPrintable(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return !text.empty();
}

// No control character but the tab; bytes beyond ASCII are tolerated, as servers do.
bool IsFieldText(absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\t') return false;
  }
  return true;
}

// Takes the next line, without its end; false if there is no whole one.
bool TakeLine(absl::string_view* text, absl::string_view* line) {
  const size_t end = text->find('\n');
  if (end == absl::string_view::npos) return false;
  *line = text->substr(0, end);
  absl::ConsumeSuffix(line, "\r");
  text->remove_prefix(end + 1);
  return true;
}

// The path of a target in origin form or in absolute form, both of which a server must accept (RFC 9112, 3.2).
std::string PathOf(absl::string_view target) {
  const size_t scheme = target.find("://");
  if (!absl::StartsWith(target, "/") && scheme != absl::string_view::npos) {
    target.remove_prefix(scheme + 3);
    const size_t slash = target.find('/');
    target = slash == absl::string_view::npos ? absl::string_view("/") : target.substr(slash);
  }
  return std::string(target.substr(0, target.find('?')));
}

HttpParse ParseRequestLine(absl::string_view line, bool* host_needed) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == absl::string_view::npos || first == last) return HttpRefusal{400};
  const absl::string_view method = line.substr(0, first);
  const absl::string_view target = line.substr(first + 1, last - first - 1);
  const absl::string_view version = line.substr(last + 1);
  if (!IsToken(method) || !IsPrintable(target) || !absl::StartsWith(version, "HTTP/")) return HttpRefusal{400};
  if (version != "HTTP/1.0" && version != "HTTP/1.1") return HttpRefusal{505};
  *host_needed = version == "HTTP/1.1";
  return HttpRequest{std::string(method), PathOf(target)};
}

// What is there of a line that has not ended: 400 as soon as it cannot be the beginning of a request, so that somebody
// who speaks another protocol is not waited for.
bool MayBegin(absl::string_view partial) { return IsToken(partial.substr(0, partial.find(' '))) || partial.empty(); }

}  // namespace

HttpParse ParseHttpRequest(absl::string_view received) {
  const bool full = received.size() >= kMaxRequestHead;
  absl::string_view rest = received.substr(0, kMaxRequestHead);
  // Empty lines in front of a request are ignored (RFC 9112, 2.2), a few at least.
  for (int i = 0; i < 4; ++i) {
    if (!absl::ConsumePrefix(&rest, "\r\n") && !absl::ConsumePrefix(&rest, "\n")) break;
  }
  if (rest == "\r") return HttpIncomplete{};
  absl::string_view line;
  if (!TakeLine(&rest, &line)) {
    if (!MayBegin(rest)) return HttpRefusal{400};
    if (full) return HttpRefusal{414};
    return HttpIncomplete{};
  }
  bool host_needed = false;
  HttpParse parsed = ParseRequestLine(line, &host_needed);
  if (std::holds_alternative<HttpRefusal>(parsed)) return parsed;
  int hosts = 0;
  while (TakeLine(&rest, &line)) {
    if (line.empty()) {
      if (hosts > 1 || (host_needed && hosts == 0)) return HttpRefusal{400};
      return parsed;
    }
    const size_t colon = line.find(':');
    // A name with a blank behind it, or a folded line, is what requests are smuggled with.
    if (colon == absl::string_view::npos || !IsToken(line.substr(0, colon)) || !IsFieldText(line)) {
      return HttpRefusal{400};
    }
    if (absl::EqualsIgnoreCase(line.substr(0, colon), "host")) ++hosts;
  }
  if (full) return HttpRefusal{431};
  return HttpIncomplete{};
}

absl::string_view HttpReason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

}  // namespace daxvmm::control
