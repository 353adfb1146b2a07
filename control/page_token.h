// Where the next page of a list begins, as text that a client hands back. The server keeps nothing: the token says it
// all, and which call it is of.
#ifndef DAXVMM_CONTROL_PAGE_TOKEN_H_
#define DAXVMM_CONTROL_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace daxvmm::control {

inline constexpr uint32_t kDefaultPageSize = 1000;
inline constexpr uint32_t kMaxPageSize = 10000;
// A client of gRPC takes messages up to 4 MiB unless it says otherwise.
inline constexpr size_t kMaxPageBytes = size_t{3} << 20;

// `page_size` as the contract means it.
uint32_t PageSizeOf(uint32_t page_size);

struct PageToken {
  uint64_t amount = 0;
  uint64_t number = 0;
  std::string share_tag;
  std::string path;  // bytes
};

// A number for all fields of a request but `page_size` and `page_token`: the same for the same ones only, as far as 64
// bits can tell.
uint64_t ConditionsOf(const google::protobuf::Message& request);

// URL-safe.
std::string EncodePageToken(const PageToken& token, uint64_t conditions);
// INVALID_ARGUMENT, "page_token: ...", with the reason BAD_PAGE_TOKEN for what is none, and PAGE_TOKEN_OF_OTHER_CALL
// for one of other conditions.
absl::StatusOr<PageToken> DecodePageToken(absl::string_view text, uint64_t conditions);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_PAGE_TOKEN_H_
