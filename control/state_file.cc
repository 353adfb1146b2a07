#include "control/state_file.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/crc32c.h"

namespace daxvmm::control {
namespace {

// "daxvmm-policy-state 1 0000001234 1a2b3c4d\n": format, bytes of the body, its CRC-32C.
constexpr absl::string_view kMagic = "daxvmm-policy-state ";
constexpr uint32_t kFormat = 1;
constexpr size_t kHeaderBytes = 20 + 2 + 11 + 9;

std::string Header(uint64_t bytes, uint32_t checksum) {
  return absl::StrFormat("%s%d %010d %08x\n", kMagic, kFormat, bytes, checksum);
}

absl::Status Bad(absl::string_view why) { return absl::DataLossError(why); }

}  // namespace

std::string FrameState(absl::string_view body) { return absl::StrCat(Header(body.size(), Crc32c(body)), body); }

absl::StatusOr<absl::string_view> UnframeState(absl::string_view file) {
  if (file.empty()) return Bad("torn: it is empty");
  if (!absl::StartsWith(file, kMagic)) {
    return Bad(absl::StartsWith(kMagic, file) ? "torn: it ends within its header" : "not a state file of daxvmm");
  }
  const absl::string_view rest = file.substr(kMagic.size());
  const size_t space = rest.find(' ');
  uint32_t format = 0;
  if (space == absl::string_view::npos) return Bad("torn: it ends within its header");
  if (!absl::SimpleAtoi(rest.substr(0, space), &format)) return Bad("its header is damaged");
  if (format != kFormat) {
    return Bad(
        absl::StrCat("of format ", format, ", which another version of daxvmm wrote; this one knows format ", kFormat));
  }
  if (file.size() < kHeaderBytes) return Bad("torn: it ends within its header");
  const absl::string_view body = file.substr(kHeaderBytes);
  uint64_t bytes = 0;
  if (!absl::SimpleAtoi(rest.substr(2, 10), &bytes)) return Bad("its header is damaged");
  if (body.size() < bytes) {
    return Bad(absl::StrCat("torn: it has ", body.size(), " bytes behind its header instead of ", bytes));
  }
  if (file.substr(0, kHeaderBytes) != Header(bytes, Crc32c(body.substr(0, bytes)))) {
    return Bad("damaged: its checksum is not that of what it holds");
  }
  if (body.size() > bytes) return Bad("damaged: something is behind its end");
  return body;
}

}  // namespace daxvmm::control
