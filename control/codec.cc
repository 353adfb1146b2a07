#include "control/codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace daxvmm::control {
namespace {

// The config space's field has 36 bytes (virtio 1.2, 5.11.4).
constexpr size_t kMaxTag = 36;
// The longest sensible text is "size:" and a number of 20 digits with a unit. Errors repeat it, so it must be short.
constexpr size_t kMaxPolicyName = 64;

absl::Status BadField(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", why));
}

absl::StatusOr<dax::Outcome> DecodeOutcome(v1::Outcome outcome, absl::string_view field) {
  switch (outcome) {
    case v1::OUTCOME_DAX:
      return dax::Outcome::kDax;
    case v1::OUTCOME_NO_DAX:
      return dax::Outcome::kNoDax;
    case v1::OUTCOME_FOLLOW_HINT:
      return dax::Outcome::kFollowHint;
    case v1::OUTCOME_ADAPTIVE:
      return dax::Outcome::kAdaptive;
    case v1::OUTCOME_UNSPECIFIED:
      return BadField(field, "missing; OUTCOME_DAX, OUTCOME_NO_DAX, OUTCOME_FOLLOW_HINT or OUTCOME_ADAPTIVE is needed");
    default:  // proto3 enums are open: any number arrives
      return BadField(field, absl::StrCat("the value ", static_cast<int>(outcome), " is not known"));
  }
}

v1::Outcome EncodeOutcome(dax::Outcome outcome) {
  switch (outcome) {
    case dax::Outcome::kDax:
      return v1::OUTCOME_DAX;
    case dax::Outcome::kNoDax:
      return v1::OUTCOME_NO_DAX;
    case dax::Outcome::kFollowHint:
      return v1::OUTCOME_FOLLOW_HINT;
    case dax::Outcome::kAdaptive:
      return v1::OUTCOME_ADAPTIVE;
  }
  return v1::OUTCOME_UNSPECIFIED;
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

// Names, tags and sizes are left to dax::Validate, which spells the fields as the contract does.
absl::StatusOr<dax::Rule> DecodeRule(const v1::Rule& message, const std::string& field) {
  dax::Rule rule;
  rule.name = message.name();
  if (message.has_share()) rule.share_tag = message.share();
  if (message.has_size_at_least()) rule.size_at_least = ByteCount(message.size_at_least());
  if (message.has_size_below()) rule.size_below = ByteCount(message.size_below());
  ASSIGN_OR_RETURN(rule.outcome, DecodeOutcome(message.outcome(), field + ".outcome"));
  return rule;
}

// The length of the UTF-8 sequence at the start of `text`, 0 if there is none (Unicode 15, table 3-7).
size_t Utf8SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;   // overlong
    if (first == 0xed) high = 0x9f;  // surrogates
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;   // overlong
    if (first == 0xf4) high = 0x8f;  // beyond U+10FFFF
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

absl::StatusOr<dax::Policy> DecodePolicy(const v1::Policy& message, absl::string_view field) {
  // Before anything is allocated for them.
  if (static_cast<size_t>(message.rules_size()) > dax::kMaxRules) {
    return BadField(absl::StrCat(field, ".rules"),
                    absl::StrCat(message.rules_size(), " rules, but at most ", dax::kMaxRules, " are allowed"));
  }
  dax::Policy policy;
  policy.rules.reserve(message.rules_size());
  for (int i = 0; i < message.rules_size(); ++i) {
    ASSIGN_OR_RETURN(dax::Rule rule, DecodeRule(message.rules(i), absl::StrCat(field, ".rules[", i, "]")));
    policy.rules.push_back(std::move(rule));
  }
  ASSIGN_OR_RETURN(policy.default_outcome,
                   DecodeOutcome(message.default_outcome(), absl::StrCat(field, ".default_outcome")));
  if (const absl::Status valid = dax::Validate(policy); !valid.ok()) {
    return absl::Status(valid.code(), absl::StrCat(field, ".", valid.message()));
  }
  return policy;
}

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
  if (message.has_expected_generation()) command.expected_generation = message.expected_generation();
  return command;
}

absl::StatusOr<std::string> DecodeShare(const std::string& share) {
  if (share.size() > kMaxTag) return BadField("share", absl::StrCat("a tag has at most ", kMaxTag, " bytes"));
  return share;
}

void EncodePolicy(const dax::Policy& policy, v1::Policy* message) {
  message->Clear();
  for (const dax::Rule& rule : policy.rules) {
    v1::Rule* out = message->add_rules();
    out->set_name(EscapeNonUtf8(rule.name));
    if (rule.share_tag.has_value()) out->set_share(EscapeNonUtf8(*rule.share_tag));
    if (rule.size_at_least.has_value()) out->set_size_at_least(rule.size_at_least->raw());
    if (rule.size_below.has_value()) out->set_size_below(rule.size_below->raw());
    out->set_outcome(EncodeOutcome(rule.outcome));
  }
  message->set_default_outcome(EncodeOutcome(policy.default_outcome));
}

void EncodePolicyState(const PolicyState& state, v1::GetPolicyResponse* message) {
  message->set_generation(state.generation);
  EncodePolicy(state.policy, message->mutable_policy());
}

absl::Status EncodeFiles(const std::vector<LiveFile>& files, uint64_t generation, v1::ListFilesResponse* message,
                         size_t limit) {
  message->Clear();
  message->set_generation(generation);
  size_t bytes = 0;
  for (const LiveFile& file : files) {
    v1::LiveFile* out = message->add_files();
    out->set_share(EscapeNonUtf8(file.share_tag));
    out->set_node_id(file.node_id);
    out->set_path(EscapeNonUtf8(file.path));
    out->set_size_bytes(file.size.raw());
    out->set_decision_dax(file.decision_dax);
    out->set_decision_rule(EscapeNonUtf8(file.decision_rule));
    out->set_told_dax(file.told_dax);
    out->set_told_generation(file.told_generation);
    out->set_open(file.open);
    out->set_mapped_chunks(file.mapped_chunks);
    out->set_setup_mappings(file.setup_mappings);
    out->set_reads(file.reads);
    out->set_writes(file.writes);
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

void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message) {
  message->Clear();
  for (const WindowUse& window : windows) {
    v1::Window* out = message->add_windows();
    out->set_share(EscapeNonUtf8(window.share_tag));
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
  }
}

std::string EscapeNonUtf8(absl::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  // Whole stretches at once: nearly every name is valid to its end.
  size_t valid = 0;
  while (!bytes.empty()) {
    const size_t length = valid < bytes.size() ? Utf8SequenceLength(bytes.substr(valid)) : 0;
    valid += length;
    if (length != 0) continue;
    out.append(bytes.data(), valid);
    bytes.remove_prefix(valid);
    valid = 0;
    if (bytes.empty()) break;
    absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(bytes[0]));
    bytes.remove_prefix(1);
  }
  return out;
}

}  // namespace daxvmm::control
