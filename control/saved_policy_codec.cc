#include "control/saved_policy_codec.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/field_codec.h"
#include "control/policy_codec.h"
#include "control/text.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "proto/daxvmm/state/v1/state.pb.h"

namespace daxvmm::control {
namespace {

namespace state_v1 = ::daxvmm::state::v1;

// The schema is four deep.
constexpr int kMaxTextDepth = 16;
constexpr size_t kMaxWhat = 400;
// So far from the end that counting on never gets there.
constexpr uint64_t kMaxGeneration = uint64_t{1} << 62;

// One line, whatever the text has in it.
absl::Status WrongText(int line, absl::string_view what) {
  std::string shown = EscapeNonUtf8(what.substr(0, kMaxWhat));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", shown));
}

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (status_.ok()) status_ = WrongText(line + 1, message);
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {}

  absl::Status status() const {
    return status_.ok() ? absl::InvalidArgumentError("not the text of a daxvmm.state.v1.State") : status_;
  }

 private:
  absl::Status status_;
};

absl::StatusOr<dax::SourceKind> DecodeKind(daxvmm::v1::PolicySource::Kind kind, absl::string_view field) {
  switch (kind) {
    case v1::PolicySource::KIND_START:
      return dax::SourceKind::kStart;
    case v1::PolicySource::KIND_FILE:
      return dax::SourceKind::kFile;
    case v1::PolicySource::KIND_REQUEST:
      return dax::SourceKind::kRequest;
    case v1::PolicySource::KIND_EXPIRY:
      return dax::SourceKind::kExpiry;
    case v1::PolicySource::KIND_STATE:
      return dax::SourceKind::kState;
    default:
      return BadField(field, absl::StrCat("the value ", static_cast<int>(kind), " is not known"));
  }
}

void EncodeOverride(const dax::Override& override, state_v1::Override* message) {
  message->set_share(override.share_tag);
  if (const auto* node = std::get_if<NodeId>(&override.file)) {
    message->set_node_id(node->raw());
  } else {
    message->set_path(std::get<std::string>(override.file));
  }
  message->set_dax(override.dax);
  if (override.expires_at) EncodeTime(*override.expires_at, message->mutable_expire_time());
  message->set_note(override.note);
}

absl::StatusOr<dax::Override> DecodeOverride(const state_v1::Override& message, const std::string& field) {
  dax::Override override;
  override.share_tag = message.share();
  switch (message.file_case()) {
    case state_v1::Override::kPath:
      override.file = message.path();
      break;
    case state_v1::Override::kNodeId:
      override.file = NodeId(message.node_id());
      break;
    case state_v1::Override::FILE_NOT_SET:
      return BadField(field, "path or node_id is needed");
  }
  override.dax = message.dax();
  if (message.has_expire_time()) {
    ASSIGN_OR_RETURN(override.expires_at, DecodeTime(message.expire_time(), field + ".expire_time"));
  }
  override.note = message.note();
  if (const absl::Status valid = dax::Validate(override); !valid.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".", valid.message()));
  }
  return override;
}

void EncodeEntry(const dax::PolicyHistoryEntry& entry, state_v1::Generation* message) {
  message->set_generation(entry.generation);
  message->set_kind(EncodeSourceKind(entry.source.kind));
  message->set_detail(entry.source.detail);
  EncodeTime(entry.since, message->mutable_effective_time());
  message->set_summary(entry.summary);
  message->set_change(entry.change);
}

absl::StatusOr<dax::PolicyHistoryEntry> DecodeEntry(const state_v1::Generation& message, const std::string& field) {
  dax::PolicyHistoryEntry entry;
  entry.generation = message.generation();
  ASSIGN_OR_RETURN(entry.source.kind, DecodeKind(message.kind(), field + ".kind"));
  entry.source.detail = message.detail();
  ASSIGN_OR_RETURN(entry.since, DecodeTime(message.effective_time(), field + ".effective_time"));
  entry.summary = message.summary();
  entry.change = message.change();
  return entry;
}

// The history counts up to the generation in force.
absl::Status DecodeHistory(const state_v1::State& message, SavedPolicy* state) {
  if (static_cast<size_t>(message.history_size()) > dax::PolicyStore::kMaxHistory) {
    return BadField("history", "too many generations");
  }
  for (int i = 0; i < message.history_size(); ++i) {
    const std::string field = absl::StrCat("history[", i, "]");
    ASSIGN_OR_RETURN(dax::PolicyHistoryEntry entry, DecodeEntry(message.history(i), field));
    if (entry.generation == 0 || (i > 0 && entry.generation <= state->history.back().generation)) {
      return BadField(field + ".generation", "does not count up");
    }
    state->history.push_back(std::move(entry));
  }
  if (state->history.empty() || state->history.back().generation != state->generation) {
    return BadField("history", "does not end with the generation in force");
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedPolicy> DecodeState(const state_v1::State& message) {
  SavedPolicy state;
  state.generation = message.generation();
  if (state.generation == 0 || state.generation > kMaxGeneration) return BadField("generation", "not a number of one");
  ASSIGN_OR_RETURN(state.policy, DecodePolicy(message.policy(), "policy"));
  if (message.has_file_policy()) {
    ASSIGN_OR_RETURN(state.file_policy, DecodePolicy(message.file_policy(), "file_policy"));
  }
  // Before anything is allocated for them.
  if (static_cast<size_t>(message.overrides_size()) > dax::kMaxOverrides) return BadField("overrides", "too many");
  for (int i = 0; i < message.overrides_size(); ++i) {
    ASSIGN_OR_RETURN(dax::Override one, DecodeOverride(message.overrides(i), absl::StrCat("overrides[", i, "]")));
    state.overrides.push_back(std::move(one));
  }
  if (const absl::Status total = dax::ValidateTotal(state.overrides); !total.ok()) {
    return BadField("overrides", std::string(total.message()));
  }
  RETURN_IF_ERROR(DecodeHistory(message, &state));
  return state;
}

class Linked final : public StateCodec {
 public:
  absl::StatusOr<std::string> Encode(const SavedPolicy& state) const override { return EncodeSavedPolicy(state); }
  absl::StatusOr<SavedPolicy> Decode(absl::string_view text) const override { return DecodeSavedPolicy(text); }
};

}  // namespace

absl::StatusOr<std::string> EncodeSavedPolicy(const SavedPolicy& state) {
  state_v1::State message;
  message.set_generation(state.generation);
  EncodePolicy(state.policy, message.mutable_policy());
  for (const dax::Override& override : state.overrides) EncodeOverride(override, message.add_overrides());
  if (state.file_policy) EncodePolicy(*state.file_policy, message.mutable_file_policy());
  for (const dax::PolicyHistoryEntry& entry : state.history) EncodeEntry(entry, message.add_history());
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  if (!printer.PrintToString(message, &text)) return absl::InternalError("the state has no text");
  return text;
}

absl::StatusOr<SavedPolicy> DecodeSavedPolicy(absl::string_view text) {
  state_v1::State message;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.SetRecursionLimit(kMaxTextDepth);
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(std::string(text), &message)) return error.status();
  return DecodeState(message);
}

std::shared_ptr<const StateCodec> LinkedStateCodec() { return std::make_shared<Linked>(); }

}  // namespace daxvmm::control
