#include "control/window_codec.h"

#include <utility>

#include "base/status.h"
#include "control/field_codec.h"
#include "control/text.h"

namespace daxvmm::control {
namespace {

constexpr absl::Duration kMinInterval = absl::Milliseconds(100);
constexpr absl::Duration kMaxInterval = absl::Hours(1);
// The tag and the length of an element.
constexpr size_t kElementBytes = 6;

void EncodeRate(const double (&per_second)[3], v1::Rate* message) {
  message->set_over_1s(per_second[0]);
  message->set_over_10s(per_second[1]);
  message->set_over_60s(per_second[2]);
}

void EncodeWindow(const WindowUse& window, v1::Window* out) {
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
  out->set_total_chunks(window.total_chunks);
  out->set_free_chunks(window.free_chunks());
  out->set_reclaim_threshold_chunks(window.reclaim_threshold_chunks);
  out->set_below_reclaim_threshold(window.free_chunks() < window.reclaim_threshold_chunks);
}

void EncodeMapping(const WindowMapping& mapping, v1::Mapping* out) {
  out->set_share(ToPathText(mapping.share_tag));
  out->set_window_offset(mapping.at.raw());
  out->set_length_bytes(mapping.length.raw());
  out->set_guest_address(mapping.guest_address.raw());
  out->set_node_id(mapping.node_id);
  out->set_path(ToPathText(mapping.path));
  out->set_file_offset(mapping.from.raw());
  out->set_writable(mapping.writable);
  out->set_policy_generation(mapping.policy_generation);
  EncodeTime(mapping.mapped_at, out->mutable_map_time());
}

std::string TokenOf(const WindowMapping& mapping, uint64_t conditions) {
  return EncodePageToken({.number = mapping.at.raw(), .share_tag = mapping.share_tag, .path = {}}, conditions);
}

}  // namespace

absl::StatusOr<ListMappingsCommand> DecodeListMappings(const v1::ListMappingsRequest& message) {
  ListMappingsCommand command;
  MappingQuery& query = command.query;
  ASSIGN_OR_RETURN(query.share_tag, DecodeShare(message.share()));
  switch (message.file_case()) {
    case v1::ListMappingsRequest::kNodeId:
      if (message.node_id() == 0) return BadField("node_id", "no node has the number 0");
      query.file = message.node_id();
      break;
    case v1::ListMappingsRequest::kPath: {
      ASSIGN_OR_RETURN(query.file, DecodePath(message.path(), "path"));
      break;
    }
    case v1::ListMappingsRequest::FILE_NOT_SET:
      break;
  }
  if (query.file.has_value() && query.share_tag.empty()) {
    return BadField("share", "missing; the tag of the file's share is needed");
  }
  query.limit = PageSizeOf(message.page_size());
  command.conditions = ConditionsOf(message);
  if (!message.page_token().empty()) {
    ASSIGN_OR_RETURN(PageToken token, DecodePageToken(message.page_token(), command.conditions));
    query.after = MappingQuery::Place{.share_tag = std::move(token.share_tag), .at = WindowOffset(token.number)};
  }
  return command;
}

absl::StatusOr<WatchWindowCommand> DecodeWatchWindow(const v1::WatchWindowRequest& message) {
  WatchWindowCommand command;
  ASSIGN_OR_RETURN(command.share_tag, DecodeShare(message.share()));
  if (message.has_interval()) {
    ASSIGN_OR_RETURN(command.interval, DecodeInterval(message.interval(), kMinInterval, kMaxInterval));
  }
  return command;
}

void EncodeWindows(const std::vector<WindowUse>& windows, v1::GetWindowResponse* message) {
  message->Clear();
  for (const WindowUse& window : windows) EncodeWindow(window, message->add_windows());
}

void EncodeWindowSample(absl::Time at, const std::vector<WindowUse>& windows, const std::string& share_tag,
                        uint64_t dropped_samples, v1::WatchWindowResponse* message) {
  message->Clear();
  EncodeTime(at, message->mutable_sample_time());
  for (const WindowUse& window : windows) {
    if (share_tag.empty() || window.share_tag == share_tag) EncodeWindow(window, message->add_windows());
  }
  message->set_dropped_samples(dropped_samples);
}

void EncodeMappingPage(const MappingPage& page, const ListMappingsCommand& command, v1::ListMappingsResponse* message,
                       size_t limit) {
  message->Clear();
  message->set_total_size(page.total);
  if (page.more && !page.mappings.empty()) {
    message->set_next_page_token(TokenOf(page.mappings.back(), command.conditions));
  }
  size_t bytes = 0;
  for (size_t i = 0; i < page.mappings.size(); ++i) {
    v1::Mapping* const out = message->add_mappings();
    EncodeMapping(page.mappings[i], out);
    bytes += out->ByteSizeLong() + kElementBytes;
    if (bytes > limit && i > 0) {
      message->mutable_mappings()->RemoveLast();
      message->set_next_page_token(TokenOf(page.mappings[i - 1], command.conditions));
      return;
    }
  }
}

}  // namespace daxvmm::control
