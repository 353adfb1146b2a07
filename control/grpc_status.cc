#include "control/grpc_status.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "control/text.h"
#include "proto/daxvmm/rpc/status.pb.h"

namespace daxvmm::control {
namespace {

// An error travels in the trailers, which gRPC refuses above 8 KiB: a longer text would hide the error itself. The text
// goes in the clear, where a byte may take three, and again in the details, in base64.
constexpr size_t kMaxErrorText = 1024;
constexpr size_t kMaxDescription = 256;
constexpr size_t kMaxFactText = 128;
constexpr size_t kMaxFacts = 6;
constexpr absl::string_view kErrorInfoType = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr absl::string_view kBadRequestType = "type.googleapis.com/google.rpc.BadRequest";

// Of `limit` bytes, and a few more.
std::string Cut(absl::string_view text, size_t limit) {
  const std::string escaped = EscapeNonUtf8(text.substr(0, limit));
  if (escaped.size() <= limit && text.size() <= limit) return escaped;
  // Once more, as a character may have been cut in two.
  return EscapeNonUtf8(absl::string_view(escaped).substr(0, limit)) + "...";
}

// Where nothing nearer to the error has said it.
absl::string_view ReasonFor(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return "INVALID_FIELD";
    case absl::StatusCode::kNotFound:
      return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kAborted:
      return "CHANGED_MEANWHILE";
    case absl::StatusCode::kFailedPrecondition:
      return "WRONG_STATE";
    case absl::StatusCode::kPermissionDenied:
      return "ROLE_REQUIRED";
    case absl::StatusCode::kUnauthenticated:
      return "UNKNOWN_CALLER";
    case absl::StatusCode::kResourceExhausted:
      return "LIMIT_REACHED";
    case absl::StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kDeadlineExceeded:
      return "TIMED_OUT";
    case absl::StatusCode::kUnimplemented:
      return "UNSUPPORTED";
    default:
      return "INTERNAL";
  }
}

void AddDetail(absl::string_view type, const google::protobuf::Message& detail, rpc::Status* details) {
  google::protobuf::Any* const any = details->add_details();
  any->set_type_url(std::string(type));
  detail.SerializeToString(any->mutable_value());
}

}  // namespace

std::string FieldOf(absl::string_view message) {
  const size_t length = message.find(": ");
  if (length == absl::string_view::npos || length == 0 || length > 128) return "";
  const absl::string_view field = message.substr(0, length);
  const bool possible =
      absl::ascii_islower(static_cast<unsigned char>(field.front())) &&
      std::all_of(field.begin(), field.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return absl::ascii_islower(byte) || absl::ascii_isdigit(byte) || c == '_' || c == '.' || c == '[' || c == ']';
      });
  return possible ? std::string(field) : "";
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::string_view message(status.message().data(), status.message().size());
  const std::string text = Cut(message, kMaxErrorText);
  rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(text);
  rpc::ErrorInfo info;
  const std::string reason = ReasonOf(status);
  info.set_reason(reason.empty() ? std::string(ReasonFor(status.code())) : reason);
  info.set_domain(kErrorDomain);
  for (const auto& [key, value] : FactsOfReason(status)) {
    if (info.metadata_size() == static_cast<int>(kMaxFacts)) break;
    (*info.mutable_metadata())[Cut(key, kMaxFactText)] = Cut(value, kMaxFactText);
  }
  AddDetail(kErrorInfoType, info, &details);
  if (const std::string field = FieldOf(message); !field.empty() && absl::IsInvalidArgument(status)) {
    rpc::BadRequest bad;
    rpc::BadRequest::FieldViolation* const violation = bad.add_field_violations();
    violation->set_field(field);
    violation->set_description(Cut(message.substr(field.size() + 2), kMaxDescription));
    AddDetail(kBadRequestType, bad, &details);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), text, details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return out;
  for (const google::protobuf::Any& any : details.details()) {
    rpc::ErrorInfo info;
    if (any.type_url() != kErrorInfoType || !info.ParseFromString(any.value())) continue;
    if (info.domain() != kErrorDomain) continue;
    out = WithReason(std::move(out), info.reason(), ReasonFacts(info.metadata().begin(), info.metadata().end()));
  }
  return out;
}

}  // namespace daxvmm::control
