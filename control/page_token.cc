#include "control/page_token.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <memory>

#include "absl/strings/escaping.h"
#include "base/error_reason.h"
#include "control/field_codec.h"

namespace daxvmm::control {
namespace {

// version, conditions, amount, number, length of the tag; then the tag, the path and a checksum of all that.
constexpr char kVersion = 1;
constexpr size_t kFixed = 1 + 3 * 8 + 1;
constexpr size_t kChecksum = 8;
constexpr size_t kMaxToken = 8192;

// FNV-1a. Not against an attacker, who could write any request as well: against a token that was cut or mixed up.
uint64_t Hash(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

void Append64(uint64_t value, std::string* out) {
  for (int i = 0; i < 8; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t Take64(absl::string_view* in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= uint64_t{static_cast<unsigned char>((*in)[i])} << (8 * i);
  in->remove_prefix(8);
  return value;
}

absl::Status NoToken() {
  return WithReason(BadField("page_token", "not one that this service gave out"), "BAD_PAGE_TOKEN");
}

}  // namespace

uint32_t PageSizeOf(uint32_t page_size) {
  return page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
}

uint64_t ConditionsOf(const google::protobuf::Message& request) {
  const std::unique_ptr<google::protobuf::Message> conditions(request.New());
  conditions->CopyFrom(request);
  for (const char* name : {"page_size", "page_token"}) {
    const auto* const field = conditions->GetDescriptor()->FindFieldByName(name);
    if (field != nullptr) conditions->GetReflection()->ClearField(conditions.get(), field);
  }
  return Hash(request.GetDescriptor()->full_name() + conditions->SerializeAsString());
}

std::string EncodePageToken(const PageToken& token, uint64_t conditions) {
  std::string bytes(1, kVersion);
  Append64(conditions, &bytes);
  Append64(token.amount, &bytes);
  Append64(token.number, &bytes);
  bytes.push_back(static_cast<char>(token.share_tag.size()));
  bytes += token.share_tag;
  bytes += token.path;
  Append64(Hash(bytes), &bytes);
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<PageToken> DecodePageToken(absl::string_view text, uint64_t conditions) {
  std::string bytes;
  if (text.size() > kMaxToken || !absl::WebSafeBase64Unescape(text, &bytes)) return NoToken();
  if (bytes.size() < kFixed + kChecksum || bytes[0] != kVersion) return NoToken();
  absl::string_view rest(bytes);
  absl::string_view checksum = rest.substr(rest.size() - kChecksum);
  rest.remove_suffix(kChecksum);
  if (Hash(rest) != Take64(&checksum)) return NoToken();
  rest.remove_prefix(1);
  if (Take64(&rest) != conditions) {
    return WithReason(BadField("page_token", "of a call with other conditions; begin anew without it"),
                      "PAGE_TOKEN_OF_OTHER_CALL");
  }
  PageToken token;
  token.amount = Take64(&rest);
  token.number = Take64(&rest);
  const size_t tag_length = static_cast<unsigned char>(rest[0]);
  rest.remove_prefix(1);
  if (tag_length > rest.size()) return NoToken();
  token.share_tag = std::string(rest.substr(0, tag_length));
  token.path = std::string(rest.substr(tag_length));
  return token;
}

}  // namespace daxvmm::control
