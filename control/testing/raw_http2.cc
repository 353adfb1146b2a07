#include "control/testing/raw_http2.h"

#include <poll.h>
#include <sys/socket.h>

#include "absl/time/clock.h"

namespace daxvmm::control {
namespace {

// HPACK's integer with a prefix of 7 bits.
std::string Length(size_t n) {
  std::string out;
  if (n < 127) return std::string(1, static_cast<char>(n));
  out += '\x7f';
  for (n -= 127; n >= 128; n /= 128) out += static_cast<char>(n % 128 + 128);
  return out + static_cast<char>(n);
}

}  // namespace

std::string Frame(FrameType type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const size_t n = payload.size();
  const unsigned char header[9] = {static_cast<unsigned char>(n >> 16),
                                   static_cast<unsigned char>(n >> 8),
                                   static_cast<unsigned char>(n),
                                   type,
                                   flags,
                                   static_cast<unsigned char>(stream >> 24),
                                   static_cast<unsigned char>(stream >> 16),
                                   static_cast<unsigned char>(stream >> 8),
                                   static_cast<unsigned char>(stream)};
  return std::string(reinterpret_cast<const char*>(header), sizeof(header)) + payload;
}

std::string HeaderField(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + Length(name.size()) + name + Length(value.size()) + value;
}

std::string CallHeaders(const std::string& path, const std::string& extra) {
  // :method POST, :scheme http, :path and :authority of the static table.
  return std::string("\x83\x86\x04") + Length(path.size()) + path + "\x01" + Length(1) + "x" +
         HeaderField("content-type", "application/grpc") + HeaderField("te", "trailers") + extra;
}

std::string Call(uint32_t stream, const std::string& path, const std::string& request) {
  const size_t n = request.size();
  const char prefix[5] = {0, static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
                          static_cast<char>(n)};
  return Frame(kHeaders, kEndHeaders, stream, CallHeaders(path)) +
         Frame(kData, kEndStream, stream, std::string(prefix, sizeof(prefix)) + request);
}

std::string Hello() { return std::string(kPreface) + Frame(kSettings, 0, 0, ""); }

bool SendAll(const UniqueFd& connection, const std::string& bytes, absl::Duration limit) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    pollfd wait = {.fd = connection.get(), .events = POLLOUT, .revents = 0};
    if (poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) != 1) return false;
    const ssize_t n = send(connection.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) sent += n;
  }
  return true;
}

bool HungUpWithin(const UniqueFd& connection, absl::Duration limit) {
  const absl::Time give_up = absl::Now() + limit;
  char bytes[4096];
  while (absl::Now() < give_up) {
    pollfd wait = {.fd = connection.get(), .events = POLLIN, .revents = 0};
    const int left = static_cast<int>(absl::ToInt64Milliseconds(give_up - absl::Now()));
    if (poll(&wait, 1, left > 0 ? left : 0) == 1 && recv(connection.get(), bytes, sizeof(bytes), MSG_DONTWAIT) <= 0) {
      return true;
    }
  }
  return false;
}

}  // namespace daxvmm::control
