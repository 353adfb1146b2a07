#include "control/list_codec.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "control/field_codec.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

constexpr int kMaxStates = 16;
constexpr int kMaxMaskPaths = 100;
constexpr size_t kMaxShownPath = 64;  // of a mask, in an error
// The tag and the length of an element.
constexpr size_t kElementBytes = 6;

absl::StatusOr<Convergence> DecodeConvergence(int state, int index) {
  switch (state) {
    case v1::CONVERGENCE_CONVERGED:
      return Convergence::kConverged;
    case v1::CONVERGENCE_ATTRIBUTES_CACHED:
      return Convergence::kAttributesCached;
    case v1::CONVERGENCE_CHANGES_ON_NEXT_USE:
      return Convergence::kChangesOnNextUse;
    case v1::CONVERGENCE_NOTICED_HELD_OPEN:
      return Convergence::kNoticedHeldOpen;
    case v1::CONVERGENCE_NOTICED_STILL_HELD:
      return Convergence::kNoticedStillHeld;
    case v1::CONVERGENCE_UNKNOWN:
      return Convergence::kUnknown;
    default:
      return BadField(absl::StrCat("states[", index, "]"), absl::StrCat(state, " is no state"));
  }
}

absl::StatusOr<FileQuery::Order> DecodeOrder(int order) {
  switch (order) {
    case v1::ListFilesRequest::ORDER_UNSPECIFIED:
    case v1::ListFilesRequest::ORDER_PATH:
      return FileQuery::Order::kPath;
    case v1::ListFilesRequest::ORDER_MAPPED_CHUNKS:
      return FileQuery::Order::kMappedChunks;
    case v1::ListFilesRequest::ORDER_READS:
      return FileQuery::Order::kReads;
    case v1::ListFilesRequest::ORDER_SIZE:
      return FileQuery::Order::kSize;
    case v1::ListFilesRequest::ORDER_SETUP_MAPPINGS:
      return FileQuery::Order::kSetupMappings;
    default:
      return BadField("order", absl::StrCat(order, " is no order"));
  }
}

absl::StatusOr<std::vector<int>> DecodeReadMask(const google::protobuf::FieldMask& mask) {
  if (mask.paths().empty()) return BadField("read_mask", "names no field; leave it out for all");
  if (mask.paths_size() > kMaxMaskPaths) return BadField("read_mask", "names too many fields");
  std::vector<int> fields;
  for (const std::string& path : mask.paths()) {
    if (path == "*") return std::vector<int>();
    const auto* const field = v1::LiveFile::descriptor()->FindFieldByName(path);
    if (field == nullptr) {
      return BadField("read_mask", absl::StrCat("LiveFile has no field '", path.substr(0, kMaxShownPath), "'"));
    }
    fields.push_back(field->number());
  }
  return fields;
}

absl::StatusOr<std::string> DecodeSubtree(const std::string& text) {
  if (text.empty()) return std::string();
  ASSIGN_OR_RETURN(std::string subtree, DecodePath(text, "subtree"));
  if (subtree.starts_with('/')) return BadField("subtree", "must be relative to the share");
  while (subtree.ends_with('/')) subtree.pop_back();
  return subtree;
}

std::optional<bool> OptionalOf(bool has, bool value) { return has ? std::optional(value) : std::nullopt; }

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

void KeepFields(const std::vector<int>& fields, v1::LiveFile* file) {
  if (fields.empty()) return;
  const auto* const type = v1::LiveFile::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (std::ranges::find(fields, type->field(i)->number()) == fields.end()) {
      file->GetReflection()->ClearField(file, type->field(i));
    }
  }
}

std::string TokenOf(const FileQuery::Place& place, uint64_t conditions) {
  return EncodePageToken(
      {.amount = place.amount, .number = place.node_id, .share_tag = place.share_tag, .path = place.path}, conditions);
}

}  // namespace

absl::StatusOr<ListFilesCommand> DecodeListFiles(const v1::ListFilesRequest& message) {
  ListFilesCommand command;
  FileQuery& query = command.query;
  ASSIGN_OR_RETURN(query.share_tag, DecodeShare(message.share()));
  if (message.states_size() > kMaxStates) return BadField("states", "too many");
  for (int i = 0; i < message.states_size(); ++i) {
    ASSIGN_OR_RETURN(const Convergence state, DecodeConvergence(message.states(i), i));
    query.states.push_back(state);
  }
  query.decision_dax = OptionalOf(message.has_decision_dax(), message.decision_dax());
  query.told_dax = OptionalOf(message.has_told_dax(), message.told_dax());
  query.open = OptionalOf(message.has_open(), message.open());
  query.mapped = OptionalOf(message.has_mapped(), message.mapped());
  query.overridden = OptionalOf(message.has_overridden(), message.overridden());
  ASSIGN_OR_RETURN(query.subtree, DecodeSubtree(message.subtree()));
  ASSIGN_OR_RETURN(query.order, DecodeOrder(message.order()));
  if (message.has_read_mask()) {
    ASSIGN_OR_RETURN(command.fields, DecodeReadMask(message.read_mask()));
  }
  query.limit = PageSizeOf(message.page_size());
  command.conditions = ConditionsOf(message);
  if (!message.page_token().empty()) {
    ASSIGN_OR_RETURN(PageToken token, DecodePageToken(message.page_token(), command.conditions));
    query.after = FileQuery::Place{.amount = token.amount,
                                   .share_tag = std::move(token.share_tag),
                                   .path = std::move(token.path),
                                   .node_id = token.number};
  }
  return command;
}

void EncodeFilePage(const FilePage& page, uint64_t generation, const ListFilesCommand& command,
                    v1::ListFilesResponse* message, size_t limit) {
  message->Clear();
  message->set_generation(generation);
  message->set_total_size(page.total);
  if (page.next_after) message->set_next_page_token(TokenOf(*page.next_after, command.conditions));
  size_t bytes = 0;
  for (size_t i = 0; i < page.entries.size(); ++i) {
    v1::LiveFile* const out = message->add_files();
    EncodeFile(page.entries[i].file, out);
    KeepFields(command.fields, out);
    bytes += out->ByteSizeLong() + kElementBytes;
    if (bytes > limit && i > 0) {
      message->mutable_files()->RemoveLast();
      message->set_next_page_token(TokenOf(page.entries[i - 1].place, command.conditions));
      return;
    }
  }
}

}  // namespace daxvmm::control
