#include "control/field_codec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// The config space's field has 36 bytes (virtio 1.2, 5.11.4).
constexpr size_t kMaxTag = 36;
// The ranges of google.protobuf.Duration (10000 years) and Timestamp (years 1 to 9999).
constexpr int64_t kMaxDurationSeconds = 315'576'000'000;
constexpr int64_t kMinTimestampSeconds = -62'135'596'800;
constexpr int32_t kMaxNanos = 999'999'999;

}  // namespace

absl::Status BadField(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

absl::StatusOr<absl::Duration> DecodeDuration(const google::protobuf::Duration& message, absl::string_view field) {
  const bool in_range = message.seconds() >= 0 && message.seconds() <= kMaxDurationSeconds && message.nanos() >= 0 &&
                        message.nanos() <= kMaxNanos;
  if (!in_range) return BadField(field, "not a duration from 0 s up");
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::StatusOr<absl::Duration> DecodeInterval(const google::protobuf::Duration& message, absl::Duration least,
                                              absl::Duration most) {
  const auto interval = DecodeDuration(message, "interval");
  if (interval.ok() && (*interval < least || *interval > most)) {
    return BadField("interval", absl::StrCat("not between ", DurationText(least), " and ", DurationText(most)));
  }
  return interval;
}

void EncodeDuration(absl::Duration duration, google::protobuf::Duration* message) {
  duration = std::clamp(duration, absl::ZeroDuration(), absl::Seconds(kMaxDurationSeconds));
  message->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  message->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

absl::StatusOr<absl::Time> DecodeTime(const google::protobuf::Timestamp& message, absl::string_view field) {
  const bool in_range = message.seconds() >= kMinTimestampSeconds && message.seconds() <= kMaxTimestampSeconds &&
                        message.nanos() >= 0 && message.nanos() <= kMaxNanos;
  if (!in_range) return BadField(field, "not a time of the years 1 to 9999");
  return absl::FromUnixSeconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

void EncodeTime(absl::Time time, google::protobuf::Timestamp* message) {
  time = std::clamp(time, absl::FromUnixSeconds(kMinTimestampSeconds), absl::FromUnixSeconds(kMaxTimestampSeconds));
  const int64_t seconds = absl::ToUnixSeconds(time);  // rounds down
  message->set_seconds(seconds);
  message->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

absl::StatusOr<std::string> DecodeShare(const std::string& share) {
  std::string tag = FromPathText(share);
  if (tag.size() > kMaxTag) return BadField("share", absl::StrCat("a tag has at most ", kMaxTag, " bytes"));
  return tag;
}

absl::StatusOr<std::string> DecodePath(const std::string& path, absl::string_view field) {
  std::string bytes = FromPathText(path);
  if (bytes.empty()) return BadField(field, "empty");
  if (bytes.size() > kMaxPathBytes) return BadField(field, absl::StrCat("longer than ", kMaxPathBytes, " bytes"));
  return bytes;
}

v1::PolicySource::Kind EncodeSourceKind(dax::SourceKind kind) {
  switch (kind) {
    case dax::SourceKind::kStart:
      return v1::PolicySource::KIND_START;
    case dax::SourceKind::kFile:
      return v1::PolicySource::KIND_FILE;
    case dax::SourceKind::kRequest:
      return v1::PolicySource::KIND_REQUEST;
    case dax::SourceKind::kExpiry:
      return v1::PolicySource::KIND_EXPIRY;
    case dax::SourceKind::kState:
      return v1::PolicySource::KIND_STATE;
  }
  return v1::PolicySource::KIND_UNSPECIFIED;
}

v1::Convergence EncodeConvergence(Convergence convergence) {
  switch (convergence) {
    case Convergence::kConverged:
      return v1::CONVERGENCE_CONVERGED;
    case Convergence::kAttributesCached:
      return v1::CONVERGENCE_ATTRIBUTES_CACHED;
    case Convergence::kChangesOnNextUse:
      return v1::CONVERGENCE_CHANGES_ON_NEXT_USE;
    case Convergence::kNoticedHeldOpen:
      return v1::CONVERGENCE_NOTICED_HELD_OPEN;
    case Convergence::kNoticedStillHeld:
      return v1::CONVERGENCE_NOTICED_STILL_HELD;
    case Convergence::kUnknown:
      return v1::CONVERGENCE_UNKNOWN;
  }
  return v1::CONVERGENCE_UNSPECIFIED;
}

v1::MountMode EncodeMountMode(MountMode mode) {
  switch (mode) {
    case MountMode::kNotMounted:
      return v1::MOUNT_MODE_NOT_MOUNTED;
    case MountMode::kNever:
      return v1::MOUNT_MODE_NEVER;
    case MountMode::kAlways:
      return v1::MOUNT_MODE_ALWAYS;
    case MountMode::kPerFile:
      return v1::MOUNT_MODE_PER_FILE;
  }
  return v1::MOUNT_MODE_UNSPECIFIED;
}

}  // namespace daxvmm::control
