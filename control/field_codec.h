// Fields that messages of several services have.
#ifndef DAXVMM_CONTROL_FIELD_CODEC_H_
#define DAXVMM_CONTROL_FIELD_CODEC_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "control/controller.h"
#include "proto/daxvmm/v1/daxvmm.pb.h"

namespace daxvmm::control {

inline constexpr size_t kMaxPathBytes = 4096;  // PATH_MAX
// The last second that a Timestamp can say.
inline constexpr int64_t kMaxTimestampSeconds = 253'402'300'799;

// INVALID_ARGUMENT "FIELD: WHY".
absl::Status BadField(absl::string_view field, absl::string_view why);

// INVALID_ARGUMENT that begins with `field`, for what the types do not allow, and for a duration below 0.
absl::StatusOr<absl::Duration> DecodeDuration(const google::protobuf::Duration& message, absl::string_view field);
absl::StatusOr<absl::Time> DecodeTime(const google::protobuf::Timestamp& message, absl::string_view field);
// The same, of an interval that has to be within bounds.
absl::StatusOr<absl::Duration> DecodeInterval(const google::protobuf::Duration& message, absl::Duration least,
                                              absl::Duration most);
// What the types cannot say is the nearest that they can.
void EncodeDuration(absl::Duration duration, google::protobuf::Duration* message);
void EncodeTime(absl::Time time, google::protobuf::Timestamp* message);

// The tag in the field `share` of a request, empty for all; INVALID_ARGUMENT if no share can have it.
absl::StatusOr<std::string> DecodeShare(const std::string& share);
// Path text of a file; INVALID_ARGUMENT for an empty one, or one that is too long.
absl::StatusOr<std::string> DecodePath(const std::string& path, absl::string_view field);

v1::PolicySource::Kind EncodeSourceKind(dax::SourceKind kind);
v1::Convergence EncodeConvergence(Convergence convergence);
v1::MountMode EncodeMountMode(MountMode mode);

}  // namespace daxvmm::control

#endif  // DAXVMM_CONTROL_FIELD_CODEC_H_
