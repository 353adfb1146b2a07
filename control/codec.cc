#include "control/codec.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/policy_codec.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// The config space's field has 36 bytes (virtio 1.2, 5.11.4).
constexpr size_t kMaxTag = 36;
// The longest sensible text is "size:" and a number of 20 digits with a unit. Errors repeat it, so it must be short.
constexpr size_t kMaxPolicyName = 64;
constexpr size_t kMaxPath = 4096;  // PATH_MAX
constexpr size_t kMaxNote = 256;
constexpr absl::Duration kMinInterval = absl::Milliseconds(100);
constexpr absl::Duration kMaxInterval = absl::Seconds(60);
// The ranges of google.protobuf.Duration (10000 years) and Timestamp (years 1 to 9999).
constexpr int64_t kMaxDurationSeconds = 315'576'000'000;
constexpr int64_t kMinTimestampSeconds = -62'135'596'800;
constexpr int64_t kMaxTimestampSeconds = 253'402'300'799;
constexpr int32_t kMaxNanos = 999'999'999;

absl::Status BadField(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

absl::StatusOr<absl::Duration> DecodeDuration(const google::protobuf::Duration& message, absl::string_view field) {
  const bool in_range = message.seconds() >= 0 && message.seconds() <= kMaxDurationSeconds && message.nanos() >= 0 &&
                        message.nanos() <= kMaxNanos;
  if (!in_range) return BadField(field, "not a duration from 0 s up");
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
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

v1::PolicySource::Kind EncodeKind(dax::SourceKind kind) {
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

void EncodeSource(const dax::PolicySource& source, absl::Time since, v1::PolicySource* message) {
  message->set_kind(EncodeKind(source.kind));
  message->set_detail(EscapeNonUtf8(source.detail));
  EncodeTime(since, message->mutable_effective_time());
}

void EncodeOverride(const dax::Override& override, v1::FileOverride* message) {
  message->set_share(ToPathText(override.share_tag));
  if (const auto* node = std::get_if<NodeId>(&override.file)) {
    message->set_node_id(node->raw());
  } else {
    message->set_path(ToPathText(std::get<std::string>(override.file)));
  }
  message->set_outcome(override.dax ? v1::OUTCOME_DAX : v1::OUTCOME_NO_DAX);
  if (override.expires_at) EncodeTime(*override.expires_at, message->mutable_expire_time());
  message->set_note(EscapeNonUtf8(override.note));
}

template <typename Request>
PolicySetOptions DecodeOptions(const Request& message) {
  PolicySetOptions options;
  if (message.has_expected_generation()) options.expected_generation = message.expected_generation();
  return options;
}

// Of any message with `share` and the oneof `file`. `prefix` is "" or ends with a dot.
template <typename Message>
absl::StatusOr<FileRef> DecodeFileRef(const Message& message, const std::string& prefix = "") {
  FileRef ref;
  const auto share = DecodeShare(message.share());
  if (!share.ok()) return BadField(prefix + "share", "a tag has at most 36 bytes");
  if (share->empty()) return BadField(prefix + "share", "missing; the tag of the file's share is needed");
  ref.share_tag = *share;
  switch (message.file_case()) {
    case Message::kNodeId:
      if (message.node_id() == 0) return BadField(prefix + "node_id", "no node has the number 0");
      ref.file = message.node_id();
      return ref;
    case Message::kPath: {
      std::string path = FromPathText(message.path());
      if (path.empty()) return BadField(prefix + "path", "empty");
      if (path.size() > kMaxPath) return BadField(prefix + "path", absl::StrCat("longer than ", kMaxPath, " bytes"));
      ref.file = std::move(path);
      return ref;
    }
    case Message::FILE_NOT_SET:
      break;
  }
  return BadField(prefix + "file", "missing; either path or node_id is needed");
}

void EncodeRate(const double (&per_second)[3], v1::Rate* message) {
  message->set_over_1s(per_second[0]);
  message->set_over_10s(per_second[1]);
  message->set_over_60s(per_second[2]);
}

void EncodeFile(const LiveFile& file, v1::LiveFile* out) {
  out->set_share(ToPathText(file.share_tag));
  out->set_node_id(file.node_id);
  out->set_path(ToPathText(file.path));
  out->set_size_bytes(file.size.raw());
  out->set_decision_dax(file.decision_dax);
  out->set_decision_rule(EscapeNonUtf8(file.decision_rule));
  out->set_decision_reason(EscapeNonUtf8(file.reason));
  out->set_overridden(file.overridden);
  if (file.told_dax) out->set_told_dax(*file.told_dax);
  out->set_told_generation(file.told_generation);
  out->set_convergence(EncodeConvergence(file.convergence));
  if (file.convergence == Convergence::kAttributesCached) {
    EncodeDuration(file.attributes_left, out->mutable_attributes_left());
  }
  out->set_open(file.open);
  out->set_mapped_chunks(file.mapped_chunks);
  out->set_setup_mappings(file.setup_mappings);
  out->set_unmaps(file.unmaps);
  out->set_reads(file.reads);
  out->set_writes(file.writes);
  out->set_mapped_against_policy(file.mapped_against_policy);
}

}  // namespace

absl::StatusOr<SetPolicyCommand> DecodeSetPolicy(const v1::SetPolicyRequest& message) {
  SetPolicyCommand command;
  switch (message.source_case()) {
    case v1::SetPolicyRequest::kPolicy: {
      ASSIGN_OR_RETURN(command.policy, DecodePolicy(message.policy(), "policy"));
      break;
    }
    case v1::SetPolicyRequest::kNamedPolicy: {
      if (message.named_policy().size() > kMaxPolicyName) {
        return BadField("named_policy", absl::StrCat("longer than ", kMaxPolicyName, " bytes"));
      }
      auto policy = dax::ParsePolicyName(message.named_policy());
      if (!policy.ok()) return BadField("named_policy", policy.status().message());
      command.policy = *std::move(policy);
      break;
    }
    case v1::SetPolicyRequest::SOURCE_NOT_SET:
      return BadField("source", "missing; either policy or named_policy is needed");
  }
  command.options = DecodeOptions(message);
  command.options.force = message.force();
  return command;
}

absl::StatusOr<SetOverrideCommand> DecodeSetOverride(const v1::SetFileOverrideRequest& message, absl::Time now) {
  if (!message.has_override()) return BadField("override", "missing");
  const v1::FileOverride& in = message.override();
  SetOverrideCommand command;
  ASSIGN_OR_RETURN(FileRef ref, DecodeFileRef(in, "override."));
  command.override.share_tag = std::move(ref.share_tag);
  if (const uint64_t* node = std::get_if<uint64_t>(&ref.file)) {
    command.override.file = NodeId(*node);
  } else {
    command.override.file = std::get<std::string>(std::move(ref.file));
  }
  if (in.outcome() != v1::OUTCOME_DAX && in.outcome() != v1::OUTCOME_NO_DAX) {
    return BadField("override.outcome", "OUTCOME_DAX or OUTCOME_NO_DAX is needed");
  }
  command.override.dax = in.outcome() == v1::OUTCOME_DAX;
  switch (in.expiration_case()) {
    case v1::FileOverride::kExpireTime: {
      ASSIGN_OR_RETURN(command.override.expires_at, DecodeTime(in.expire_time(), "override.expire_time"));
      break;
    }
    case v1::FileOverride::kTtl: {
      ASSIGN_OR_RETURN(const absl::Duration ttl, DecodeDuration(in.ttl(), "override.ttl"));
      if (ttl == absl::ZeroDuration()) return BadField("override.ttl", "must be more than 0");
      command.override.expires_at = std::min(now + ttl, absl::FromUnixSeconds(kMaxTimestampSeconds));
      break;
    }
    case v1::FileOverride::EXPIRATION_NOT_SET:
      break;
  }
  if (command.override.expires_at && *command.override.expires_at <= now) {
    return BadField("override.expire_time", "in the past");
  }
  if (in.note().size() > kMaxNote) return BadField("override.note", absl::StrCat("longer than ", kMaxNote, " bytes"));
  command.override.note = in.note();
  command.options = DecodeOptions(message);
  return command;
}

absl::StatusOr<ClearOverrideCommand> DecodeClearOverride(const v1::ClearFileOverrideRequest& message) {
  ClearOverrideCommand command;
  ASSIGN_OR_RETURN(command.file, DecodeFileRef(message));
  command.options = DecodeOptions(message);
  return command;
}

absl::StatusOr<FileRef> DecodeExplain(const v1::ExplainFileRequest& message) { return DecodeFileRef(message); }

absl::StatusOr<WatchCommand> DecodeWatch(const v1::WatchConvergenceRequest& message) {
  WatchCommand command;
  ASSIGN_OR_RETURN(command.share_tag, DecodeShare(message.share()));
  if (message.has_interval()) {
    ASSIGN_OR_RETURN(command.interval, DecodeDuration(message.interval(), "interval"));
    if (command.interval < kMinInterval || command.interval > kMaxInterval) {
      return BadField("interval", "not between 0.1 s and 60 s");
    }
  }
  if (message.has_until_settled()) command.until_settled = message.until_settled();
  return command;
}

absl::StatusOr<std::string> DecodeShare(const std::string& share) {
  std::string tag = FromPathText(share);
  if (tag.size() > kMaxTag) return BadField("share", absl::StrCat("a tag has at most ", kMaxTag, " bytes"));
  return tag;
}

void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message) {
  message->Clear();
  message->set_generation(state.generation);
  EncodePolicy(state.policy, message->mutable_policy());
  EncodeSource(state.source, state.since, message->mutable_source());
  for (const dax::Override& override : state.overrides) EncodeOverride(override, message->add_overrides());
  if (state.watched_file.empty()) return;
  v1::WatchedFile* const file = message->mutable_watched_file();
  file->set_path(EscapeNonUtf8(state.watched_file));
  if (!state.watched_file_error) return;
  file->set_load_error(EscapeNonUtf8(state.watched_file_error->message));
  EncodeTime(state.watched_file_error->time, file->mutable_load_error_time());
}

void EncodeHistory(const std::vector<dax::PolicyHistoryEntry>& entries, v1::ListPolicyHistoryResponse* message) {
  message->Clear();
  for (const dax::PolicyHistoryEntry& entry : entries) {
    v1::PolicyHistoryEntry* const out = message->add_entries();
    out->set_generation(entry.generation);
    EncodeSource(entry.source, entry.since, out->mutable_source());
    out->set_summary(EscapeNonUtf8(entry.summary));
    out->set_change(EscapeNonUtf8(entry.change));
  }
}

void EncodeBound(const PolicyChange& change, v1::ChangeBound* message) {
  EncodeDuration(change.attribute_timeout, message->mutable_notice_delay());
  std::string notices = absl::StrCat("notices within ", DurationText(change.attribute_timeout));
  if (change.attribute_timeout <= absl::ZeroDuration()) notices = "notices at its next request";
  if (change.attribute_timeout == absl::InfiniteDuration()) notices = "need not notice";
  message->set_description(
      absl::StrCat("a file in use ", notices,
                   "; an open file keeps its state until its last close; an idle one changes on next use"));
}

void EncodeExplanation(const Explanation& explanation, v1::ExplainFileResponse* message) {
  message->Clear();
  message->set_share(ToPathText(explanation.share_tag));
  message->set_path(ToPathText(explanation.path));
  message->set_node_id(explanation.node_id);
  message->set_live(explanation.live);
  for (const FactLine& fact : explanation.facts) {
    auto* const out = message->add_facts();
    out->set_name(EscapeNonUtf8(fact.name));
    out->set_value(EscapeNonUtf8(fact.value));
  }
  for (const ExplainStep& step : explanation.steps) {
    auto* const out = message->add_steps();
    out->set_rule(EscapeNonUtf8(step.rule));
    out->set_matched(step.matched);
    out->set_why(EscapeNonUtf8(step.why));
  }
  message->set_decision_dax(explanation.dax);
  message->set_decision_rule(EscapeNonUtf8(explanation.rule));
  message->set_decision_reason(EscapeNonUtf8(explanation.reason));
  message->set_generation(explanation.generation);
  if (!explanation.live) return;
  if (explanation.told_dax) message->set_told_dax(*explanation.told_dax);
  message->set_convergence(EncodeConvergence(explanation.convergence));
  if (explanation.convergence == Convergence::kAttributesCached) {
    EncodeDuration(explanation.attributes_left, message->mutable_attributes_left());
  }
}

absl::Status EncodeFiles(const std::vector<LiveFile>& files, uint64_t generation, v1::ListFilesResponse* message,
                         size_t limit) {
  message->Clear();
  message->set_generation(generation);
  size_t bytes = 0;
  for (const LiveFile& file : files) {
    v1::LiveFile* out = message->add_files();
    EncodeFile(file, out);
    // Tag and length of the element take at most 6 bytes more.
    bytes += out->ByteSizeLong() + 6;
    if (bytes > limit) {
      message->Clear();
      return absl::ResourceExhaustedError(
          absl::StrCat("the list of ", files.size(), " files is larger than ", limit >> 20, " MiB; ask for one share"));
    }
  }
  return absl::OkStatus();
}

void EncodeCounts(const ConvergenceCounts& counts, v1::WatchConvergenceResponse* message) {
  message->Clear();
  message->set_generation(counts.generation);
  message->set_converged(counts.converged);
  message->set_attributes_cached(counts.attributes_cached);
  message->set_changes_on_next_use(counts.changes_on_next_use);
  message->set_noticed_held_open(counts.noticed_held_open);
  message->set_noticed_still_held(counts.noticed_still_held);
  message->set_unknown(counts.unknown);
  EncodeDuration(counts.longest_wait, message->mutable_longest_wait());
  message->set_settled(counts.settled());
}

void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message) {
  message->Clear();
  for (const WindowUse& window : windows) {
    v1::Window* out = message->add_windows();
    out->set_share(ToPathText(window.share_tag));
    out->set_capacity_bytes(window.capacity.raw());
    out->set_guest_base(window.guest_base.raw());
    out->set_read_only(window.read_only);
    out->set_mount_mode(EncodeMountMode(window.mount_mode));
    out->set_mapped_chunks(window.mapped_chunks);
    out->set_mapped_chunks_max(window.mapped_chunks_max);
    out->set_maps(window.maps);
    out->set_unmaps(window.unmaps);
    out->set_rejected(window.rejected);
    out->set_dropped_stores(window.dropped_stores);
    EncodeRate(window.maps_per_second, out->mutable_map_rate());
    EncodeRate(window.unmaps_per_second, out->mutable_unmap_rate());
    out->set_reused_soon(window.reused_soon);
    out->set_repairs(window.repairs);
    out->set_restores(window.restores);
    out->set_stores_past_end(window.stores_past_end);
    out->set_files_extended(window.files_extended);
    out->set_against_policy(window.against_policy);
    out->set_denied(window.denied);
    out->set_quota_bytes(window.quota.raw());
    out->set_quota_reached(window.quota_reached);
  }
}

}  // namespace daxvmm::control
