#include "vmm/policy_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "control/server_loader.h"
#include "vmm/policy_start.h"

namespace daxvmm::vmm {
namespace {

absl::Status Prefix(const absl::Status& status, absl::string_view prefix) {
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

const char* ActionName(dax::PolicyAction action, dax::SourceKind source) {
  switch (action) {
    case dax::PolicyAction::kStart:
      return "start";
    case dax::PolicyAction::kSetPolicy:
      return source == dax::SourceKind::kFile ? "load-policy-file" : "set-policy";
    case dax::PolicyAction::kSetOverride:
      return "set-override";
    case dax::PolicyAction::kClearOverride:
      return "clear-override";
    case dax::PolicyAction::kExpireOverrides:
      return "expire-overrides";
  }
  return "unknown";
}

const char* SourceName(dax::SourceKind kind) {
  switch (kind) {
    case dax::SourceKind::kStart:
      return "start";
    case dax::SourceKind::kFile:
      return "file";
    case dax::SourceKind::kRequest:
      return "request";
    case dax::SourceKind::kExpiry:
      return "expiry";
    case dax::SourceKind::kState:
      return "state";
  }
  return "unknown";
}

absl::StatusOr<std::shared_ptr<const control::StateCodec>> CodecOf(const MachineConfig& config) {
  if (config.state_codec != nullptr) return config.state_codec;
  ASSIGN_OR_RETURN(const std::string library, control::LocateControlLibrary());
  return control::LoadStateCodec(library);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PolicyKeeper>> PolicyKeeper::Open(const MachineConfig& config) {
  std::unique_ptr<PolicyKeeper> keeper(new PolicyKeeper);
  if (!config.state_dir.empty()) {
    if (absl::Status read = keeper->ReadState(config); !read.ok()) return Prefix(read, "state-dir: ");
  }
  if (!config.audit_log.empty()) {
    auto log = control::AuditLogFile::Open(config.audit_log);
    if (!log.ok()) return Prefix(log.status(), "audit-log: ");
    keeper->audit_log_ = *std::move(log);
  }
  return keeper;
}

absl::Status PolicyKeeper::ReadState(const MachineConfig& config) {
  ASSIGN_OR_RETURN(codec_, CodecOf(config));
  ASSIGN_OR_RETURN(directory_, control::StateDirectory::Open(config.state_dir));
  absl::StatusOr<std::optional<std::string>> body = directory_->Read();
  absl::Status bad = body.status();
  if (body.ok() && body->has_value()) {
    auto state = codec_->Decode(**body);
    if (state.ok()) {
      saved_ = *std::move(state);
    } else {
      bad = absl::DataLossError(
          absl::StrCat(config.state_dir, "/", control::StateDirectory::kFileName, ": ", state.status().message()));
    }
  }
  // What cannot be read now may be read later: that is not for setting aside.
  if (bad.code() != absl::StatusCode::kDataLoss) return bad;
  if (!config.reset_bad_state) {
    return absl::DataLossError(absl::StrCat(bad.message(),
                                            "; it is left as it is: put a good one in its place, or give "
                                            "--reset-bad-state to set it aside and start from the flags"));
  }
  LOG(kWarning) << "state-dir: " << std::string(bad.message());
  ASSIGN_OR_RETURN(set_aside_, directory_->SetAside());
  return absl::OkStatus();
}

dax::PolicyStart PolicyKeeper::Start(const MachineConfig& config) {
  ChosenStart chosen = ChooseStart(config, std::exchange(saved_, std::nullopt), set_aside_, absl::Now());
  for (const std::string& note : chosen.notes) LOG(kWarning) << note;
  return std::move(chosen.start);
}

absl::Status PolicyKeeper::Record(const dax::PolicyRecord& next) {
  if (directory_ == nullptr) return absl::OkStatus();
  control::SavedPolicy state{.generation = next.generation,
                             .policy = next.policy,
                             .overrides = next.overrides,
                             .file_policy = next.file_policy != nullptr ? *next.file_policy : file_policy_,
                             .history = next.history};
  absl::StatusOr<std::string> text = codec_->Encode(state);
  if (!text.ok()) return absl::UnavailableError(absl::StrCat(control::kNotKept, text.status().message()));
  if (absl::Status written = directory_->Write(*text); !written.ok()) {
    LOG_LIMITED(kWarning) << "state-dir: " << std::string(written.message()) << "; the policy stays as it was";
    return Prefix(written, absl::StrCat(control::kNotKept, "state directory "));
  }
  file_policy_ = std::move(state.file_policy);
  return absl::OkStatus();
}

void PolicyKeeper::Attempted(const dax::PolicyAttempt& attempt) {
  if (audit_log_ == nullptr) return;
  audit_log_->Write({.time = absl::Now(),
                     .action = ActionName(attempt.action, attempt.source.kind),
                     .source = SourceName(attempt.source.kind),
                     .who = attempt.source.detail,
                     .result = attempt.result,
                     .from_generation = attempt.from_generation,
                     .to_generation = attempt.to_generation,
                     .change = attempt.change,
                     .summary = attempt.summary});
}

void PolicyKeeper::AuditRefusal(absl::string_view action, const dax::PolicySource& source, absl::string_view change,
                                const absl::Status& why) const {
  if (audit_log_ == nullptr) return;
  audit_log_->Write({.time = absl::Now(),
                     .action = std::string(action),
                     .source = SourceName(source.kind),
                     .who = source.detail,
                     .result = why,
                     .change = std::string(change)});
}

}  // namespace daxvmm::vmm
