// HTTP/2 frames by hand, for clients that no library would be.
#ifndef DAXVMM_CONTROL_TESTING_RAW_HTTP2_H_
#define DAXVMM_CONTROL_TESTING_RAW_HTTP2_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace daxvmm::control {

inline constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kContinuation = 9 };
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kEndHeaders = 4;

std::string Frame(FrameType type, uint8_t flags, uint32_t stream, const std::string& payload);
// A header block that calls `path`, with `extra` fields (HeaderField) behind.
std::string CallHeaders(const std::string& path, const std::string& extra = "");
std::string HeaderField(const std::string& name, const std::string& value);
// A whole call with the serialized request.
std::string Call(uint32_t stream, const std::string& path, const std::string& request);
// The preface and empty settings; those of the peer are never acknowledged.
std::string Hello();

// Sends as much as the peer takes; false once it has hung up, or after `limit` without progress.
bool SendAll(const UniqueFd& connection, const std::string& bytes, absl::Duration limit);
// Whether the peer hangs up within `limit`; what it sends meanwhile is thrown away.
bool HungUpWithin(const UniqueFd& connection, absl::Duration limit);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_TESTING_RAW_HTTP2_H_
