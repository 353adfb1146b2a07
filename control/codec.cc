#include "control/codec.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/field_codec.h"
#include "control/policy_codec.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

// The longest sensible text is "size:" and a number of 20 digits with a unit. Errors repeat it, so it must be short.
constexpr size_t kMaxPolicyName = 64;
constexpr size_t kMaxNote = 256;
constexpr int kMaxMaskPaths = 100;
constexpr size_t kMaxShownPath = 64;  // of a mask, in an error
constexpr absl::Duration kMinInterval = absl::Milliseconds(100);
constexpr absl::Duration kMaxInterval = absl::Seconds(60);

void EncodeSource(const dax::PolicySource& source, absl::Time since, v1::PolicySource* message) {
  message->set_kind(EncodeSourceKind(source.kind));
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
  options.expected_etag = message.etag();
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
      ASSIGN_OR_RETURN(ref.file, DecodePath(message.path(), prefix + "path"));
      return ref;
    }
    case Message::FILE_NOT_SET:
      break;
  }
  return BadField(prefix + "file", "missing; either path or node_id is needed");
}

absl::StatusOr<dax::PolicyParts> DecodeParts(const google::protobuf::FieldMask& mask) {
  dax::PolicyParts parts = {.rules = false, .default_outcome = false, .enforcement = false};
  if (mask.paths().empty()) return BadField("update_mask", "names no field; leave it out for all");
  if (mask.paths_size() > kMaxMaskPaths) return BadField("update_mask", "names too many fields");
  for (const std::string& path : mask.paths()) {
    if (path == "*") return dax::PolicyParts();
    bool* const part = path == "rules"             ? &parts.rules
                       : path == "default_outcome" ? &parts.default_outcome
                       : path == "enforcement"     ? &parts.enforcement
                                                   : nullptr;
    if (part == nullptr) {
      return BadField("update_mask", absl::StrCat("no field '", path.substr(0, kMaxShownPath),
                                                  "'; there are rules, default_outcome and enforcement"));
    }
    *part = true;
  }
  return parts;
}

}  // namespace

absl::StatusOr<SetPolicyCommand> DecodeSetPolicy(const v1::SetPolicyRequest& message) {
  SetPolicyCommand command;
  switch (message.source_case()) {
    case v1::SetPolicyRequest::kPolicy: {
      if (!message.has_update_mask()) {
        ASSIGN_OR_RETURN(command.policy, DecodePolicy(message.policy(), "policy"));
        break;
      }
      ASSIGN_OR_RETURN(command.options.parts, DecodeParts(message.update_mask()));
      v1::Policy masked = message.policy();
      // What is not taken is not looked at either.
      if (!command.options.parts.rules) masked.clear_rules();
      if (!command.options.parts.default_outcome) masked.set_default_outcome(v1::OUTCOME_NO_DAX);
      if (!command.options.parts.enforcement) masked.clear_enforcement();
      ASSIGN_OR_RETURN(command.policy, DecodePolicy(masked, "policy"));
      break;
    }
    case v1::SetPolicyRequest::kNamedPolicy: {
      if (message.has_update_mask()) return BadField("update_mask", "a named policy is taken as a whole");
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
  const dax::PolicyParts parts = command.options.parts;
  command.options = DecodeOptions(message);
  command.options.parts = parts;
  command.options.force = message.force();
  command.validate_only = message.validate_only();
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
    ASSIGN_OR_RETURN(command.interval, DecodeInterval(message.interval(), kMinInterval, kMaxInterval));
  }
  if (message.has_until_settled()) command.until_settled = message.until_settled();
  return command;
}

void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message) {
  message->Clear();
  message->set_generation(state.generation);
  EncodePolicy(state.policy, message->mutable_policy());
  message->set_etag(state.etag);
  EncodeSource(state.source, state.since, message->mutable_source());
  for (const dax::Override& override : state.overrides) EncodeOverride(override, message->add_overrides());
  if (state.watched_file.empty()) return;
  v1::WatchedFile* const file = message->mutable_watched_file();
  file->set_path(EscapeNonUtf8(state.watched_file));
  if (!state.watched_file_error) return;
  file->set_load_error(EscapeNonUtf8(state.watched_file_error->message));
  EncodeTime(state.watched_file_error->time, file->mutable_load_error_time());
}

void EncodeHistory(const std::vector<dax::PolicyHistoryEntry>& entries, uint32_t limit,
                   v1::ListPolicyHistoryResponse* message) {
  message->Clear();
  const size_t left_out = limit != 0 && entries.size() > limit ? entries.size() - limit : 0;
  for (const dax::PolicyHistoryEntry& entry : std::span(entries).subspan(left_out)) {
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

void EncodeEffect(const PolicyPreview& preview, v1::PolicyEffect* message) {
  message->Clear();
  message->set_gaining(preview.gaining);
  message->set_losing(preview.losing);
  message->set_live(preview.live);
  for (const PolicyPreview::File& file : preview.files) {
    v1::PolicyEffect::File* const out = message->add_files();
    out->set_share(ToPathText(file.share_tag));
    out->set_path(ToPathText(file.path));
    out->set_node_id(file.node_id);
    out->set_decision_dax(file.dax);
    out->set_decision_rule(EscapeNonUtf8(file.rule));
  }
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
  if (explanation.override) EncodeOverride(*explanation.override, message->mutable_override());
  message->set_adaptive(explanation.adaptive);
  message->set_enforcement(explanation.enforcement == dax::Enforcement::kDeny ? v1::ENFORCEMENT_DENY
                                                                              : v1::ENFORCEMENT_ADVISORY);
  message->set_mount_mode(EncodeMountMode(explanation.mount_mode));
  if (!explanation.live) return;
  message->set_told_generation(explanation.told_generation);
  message->set_open(explanation.open);
  message->set_mapped_chunks(explanation.mapped_chunks);
  message->set_setup_mappings(explanation.setup_mappings);
  message->set_unmaps(explanation.unmaps);
  message->set_reads(explanation.reads);
  message->set_writes(explanation.writes);
  message->set_mapped_against_policy(explanation.mapped_against_policy);
  if (explanation.told_dax) message->set_told_dax(*explanation.told_dax);
  message->set_convergence(EncodeConvergence(explanation.convergence));
  if (explanation.convergence == Convergence::kAttributesCached) {
    EncodeDuration(explanation.attributes_left, message->mutable_attributes_left());
  }
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

}  // namespace daxvmm::control
